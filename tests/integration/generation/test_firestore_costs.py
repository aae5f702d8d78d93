"""What a call reads and writes in Firestore: documents are what is billed, and what takes time."""

from __future__ import annotations

from typing import Any

from google.cloud.firestore_v1.types import CommitRequest

from tests.support.calls import ASK
from tests.support.faulty_firestore import Commit, firestore_api
from tests.support.in_process import Instance, World

QUESTION = {"feature": "plain", "prompt": "Hi"}
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


async def test_a_user_over_a_limit_costs_one_refusal_and_then_nothing(world: World) -> None:
    await world.write("config/app", {"limits": {"requestsPerDay": 2}})
    instance = world.instance(limits=None)
    await instance.save("plain", {"model": "sim/fast"})
    first = await instance.ask("plain", requestId="r1")
    await instance.ask("plain")
    told = (await instance.refusal(ASK, QUESTION, "user")).details
    await instance.app.background.drain()
    traffic = Traffic(instance)
    for more in ({}, {"conversationId": "new"}, {"requestId": "r2"}):
        refused = await instance.refusal(ASK, {**QUESTION, **more}, "user")
        assert refused.details == told
        assert (told["limit"], told["used"]) == ("requestsPerDay", 2)
    await instance.app.background.drain()
    assert traffic.written == []
    again = await instance.ask("plain", requestId="r1")  # it was answered before
    assert again["generationId"] == first["generationId"]
    assert (await instance.ask("plain", "other"))["text"]


async def test_a_limit_that_is_raised_lets_a_refused_user_go_on(world: World) -> None:
    await world.write("config/app", {"limits": {"requestsPerDay": 1}})
    instance = world.instance()
    await instance.save("plain", {"model": "sim/fast"})
    await instance.ask("plain")
    for _ in range(2):
        await instance.refusal(ASK, QUESTION, "user")
    await world.write("config/app", {"limits": {"requestsPerDay": 2}})
    assert (await world.instance().ask("plain"))["text"]
    await instance.refusal(ASK, QUESTION, "user")


async def test_a_stop_of_an_unknown_request_reads_three_times(world: World) -> None:
    instance = world.instance()
    traffic = Traffic(instance)
    for name, reads in (("requestId", 3), ("comparisonId", 3), ("generationId", 1)):
        traffic.reads = 0
        await instance.refusal("stop_generation", {name: "0" * 32}, "user")
        assert (traffic.reads, traffic.written) == (reads, [])
