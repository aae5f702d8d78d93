"""What a call reads and writes in Firestore: documents are what is billed, and what takes time."""

from __future__ import annotations

from typing import Any

from google.cloud.firestore_v1.types import CommitRequest

from tests.support.faulty_firestore import Commit, firestore_api
from tests.support.in_process import Instance, World

READS_MAX = 2
COMMITS_MAX = 2
DOCUMENTS_MAX = 8


class Traffic:
    """What an instance sends to Firestore from now on."""

    def __init__(self, instance: Instance) -> None:
        self.reads = 0
        self.written: list[list[str]] = []  # the paths of each commit
        api = firestore_api(instance.app.firestore)
        for call in ("batch_get_documents", "run_query", "run_aggregation_query"):
            setattr(api, call, self._counting(getattr(api, call)))
        instance.commits(self._commit)

    def _counting(self, call: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.reads += 1
            return call(*args, **kwargs)

        return counted

    async def _commit(self, commit: Commit, *args: Any, **kwargs: Any) -> Any:
        request: Any = CommitRequest.pb(kwargs["request"])
        self.written.append([write.update.name or write.delete for write in request.writes])
        return await commit(*args, **kwargs)


async def test_a_warm_stateless_call_reads_little_and_writes_eight_documents(world: World) -> None:
    instance = world.instance(limits=None)
    await instance.save("plain", {"model": "sim/fast"})
    await instance.ask("plain")
    traffic = Traffic(instance)
    await instance.ask("plain")
    await instance.app.background.drain()
    assert traffic.reads <= READS_MAX
    assert len(traffic.written) <= COMMITS_MAX
    documents = [path.partition("/documents/")[2] for paths in traffic.written for path in paths]
    assert len(documents) <= DOCUMENTS_MAX
    assert {path.split("/")[0] for path in documents} == {"generations", "quotas", "ceilings"}
