"""What a call reads and writes in Firestore: documents are what is billed, and what takes time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore_v1.types import CommitRequest

from firerouter.app.callables import FUNCTIONS
from firerouter.app.limits import Limits
from firerouter.users.limits import CallLimits, Pace
from tests.support.calls import ASK, call_of
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


async def write_messages(world: World, count: int) -> None:
    """A conversation of the user's with so many messages, one below the other."""
    conversation = world.firestore.document("users/user/conversations/long")
    batch, last = world.firestore.batch(), None
    for number in range(count):
        message = {"role": "user", "text": "x", "createdAt": datetime.now(UTC), "parent": last}
        last = f"{number:033}"
        batch.set(conversation.collection("messages").document(last), message)
    batch.set(conversation, {"leaf": last})
    await batch.commit()


async def test_what_reads_or_sends_much_counts_as_several_calls(world: World) -> None:
    await write_messages(world, 250)
    await world.write("config/app", {"freeModelsOnly": False})
    instance = world.instance()
    await instance.save("vectors", {"model": "sim/vectors", "kind": "embedding"})
    path = {"conversationId": "long"}
    vectors = {"feature": "vectors", "input": ["a"] * 100}  # of 1,536 numbers
    for name, data, units in (
        ("export_conversation", path, 3),
        ("export_conversation", {**path, "format": "markdown"}, 6),  # the links, then the texts
        ("export_my_data", {}, 3),
        ("create_embeddings", vectors, 1 + 3_072_000 // 100_000),
        ("create_embeddings", {**vectors, "encodingFormat": "base64"}, 1 + 921_600 // 100_000),
        ("get_available_models", {"pageSize": 50}, 1),
        ("get_available_models", {"pageSize": 200}, 2),
        ("get_allowance", {}, 1),
    ):
        call = call_of(data, "user")
        (row,) = (row for row in FUNCTIONS if row.name == name)
        await row.handler(instance.app)(call)
        assert call.units == units, (name, data)


async def test_an_export_through_the_api_is_charged_as_an_export(world: World) -> None:
    await write_messages(world, 250)
    instance = world.instance(Limits(calls=CallLimits(export=Pace(1, 2))))
    export = {"endpoint": "export_conversation", "conversationId": "long"}
    assert len((await instance.call("api", export, "user"))["conversation"]["messages"]) == 250
    refused = await instance.refusal("api", export, "user")
    assert (refused.details["limit"], refused.details["max"]) == ("callsPerMinute", 1)
    assert (refused.retry_after_seconds or 0) >= 60
    await instance.call("api", {"endpoint": "list_features"}, "user")
