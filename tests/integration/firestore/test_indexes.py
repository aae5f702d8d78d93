"""Every query of the functions is run, and Firestore would have an index for each of them."""

import ast
import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition

from firerouter.app.limits import Limits
from firerouter.callable import CallableError
from firerouter.delivery import DeliveryLimits, StopLimits
from firerouter.ledger import LedgerLimits
from firerouter.ledger.ids import generation_id
from tests.support.eventually import until
from tests.support.firestore_indexes import FILE, Indexes, Query, refuse_queries_without_index
from tests.support.in_process import World
from tests.support.repository import FUNCTIONS

UID = "user"


def queried_fields() -> set[str]:
    """Return the fields that the source filters by or orders by."""
    found = set()
    for file in sorted((FUNCTIONS / "firerouter").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"FieldFilter", "order_by", "equals"} and node.args:
                parts = file.relative_to(FUNCTIONS).with_suffix("").parts
                module = ".".join(parts).removesuffix(".__init__")
                # a constant that the module knows, or a literal
                expression = compile(ast.Expression(node.args[0]), str(file), "eval")
                found.add(eval(expression, vars(importlib.import_module(module))))
    return found - {"__name__"}  # in which order documents are anyway


async def test_firestore_has_an_index_for_each_query(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[Query] = set()
    refuse_queries_without_index(monkeypatch, seen.add)  # which fails the query, and the call
    at_once = replace(StopLimits(), listen_after_s=0.0)
    instance = world.instance(limits=Limits(delivery=DeliveryLimits(stops=at_once)))
    other = world.instance()

    # revisions, also in place of a document that is broken; the shards of an older list of models
    await instance.save("talk", {"model": "sim/stall"})
    await instance.save("broken", {"model": "sim/fast"})
    await world.firestore.document("features/broken").update({"settings": 7})
    await world.instance().ask("broken", UID)
    for _ in range(2):
        await instance.app.models.catalog.refresh()

    # a stop that another instance hears, and what it shows of the answer until then
    answering = asyncio.create_task(
        instance.ask("talk", UID, requestId="r", conversationId="new", prompt=world.project)
    )
    id_ = generation_id(UID, "r")
    await until(lambda: world.document(f"generations/{id_}"))
    await until(world.bodies)
    await other.app.delivery.progress.read(id_)
    await other.call("stop_generation", {"requestId": "r"}, UID)
    stopped = await answering

    # what is in progress
    await other.call("get_allowance", {}, UID)

    # what is left for the reconciler, for the queue, and of a conversation
    await other.app.generation.reconciler.run()
    for _ in range(2):  # from the beginning, and from the cursor on
        await other.app.reports.rollup.run()
    await other.call("get_usage_report", {})  # of the users with the most requests
    day = f"usage/{datetime.now(UTC):%Y%m%d}"
    await world.firestore.document(day).set({"sums": {"nanoUsd": 1}}, merge=True)
    await other.call("get_usage_report", {})  # and of those with the highest cost
    with suppress(CallableError):  # nothing is queued
        await other.app.delivery.handover.take_request(id_)
    gone = {"conversationId": stopped["conversationId"]}
    await other.call("export_conversation", gone, UID)
    await other.call("delete_conversation", gone, UID)

    # all that is a user's
    await other.call("export_my_data", {}, UID)
    await other.app.reports.erasure.erase(UID, forgets_limits=True)

    assert {field for query in seen for field in query.fields} == queried_fields()


async def test_what_says_when_it_expires_is_deleted_then(world: World) -> None:
    """And counters are in no index, of which a document has 40,000 entries at most."""
    limits = Limits(ledger=replace(LedgerLimits(), lease_renewal_s=0.01))
    instance = world.instance(limits)
    await instance.save("cached", {"model": "sim/fast", "cacheSeconds": 60})
    await instance.save("slow", {"model": "sim/ticks", "maxTokens": 10})
    for feature in ("cached", "slow"):
        await instance.ask(feature, UID)
    overrides = json.loads(FILE.read_text("utf-8"))["fieldOverrides"]
    deleted = {one["collectionGroup"] for one in overrides if one.get("ttl")}
    paths = [snapshot.reference.path async for snapshot in all_documents(world.firestore)]
    expiring = {path.split("/")[-2] for path in paths if "expireAt" in await world.document(path)}
    assert {"generations", "windows", "shards", "instances", "responses"} <= expiring
    assert expiring <= deleted

    exempt = {(one["collectionGroup"], one["fieldPath"]) for one in overrides if not one["indexes"]}
    for path in paths:
        group = path.split("/")[-2]
        if group in {"windows", "shards"}:
            growing = {n for n, v in (await world.document(path)).items() if isinstance(v, dict)}
            assert {(group, name) for name in growing - {"month"}} <= exempt


async def all_documents(parent: Any) -> AsyncIterator[Any]:
    async for collection in parent.collections():
        async for reference in collection.list_documents():
            snapshot = await reference.get()
            if snapshot.exists:
                yield snapshot
            async for inner in all_documents(reference):
                yield inner


async def test_a_query_without_an_index_fails_here_as_in_production(world: World) -> None:
    from google.cloud.firestore import FieldFilter

    entries = world.firestore.collection("generations")
    late = entries.where(filter=FieldFilter("status", "==", "running"))
    assert await late.order_by("deadlineAt").get() == []
    with pytest.raises(FailedPrecondition, match="costDueAt ASCENDING"):
        await late.order_by("costDueAt").get()


@pytest.mark.parametrize("count", range(5))
def test_the_list_of_runs_may_be_filtered_by_whatever_admins_ask(count: int) -> None:
    """Clients list `generations`, the newest first: see docs/operations.md."""
    indexes = Indexes.load()
    for fields in combinations(("feature", "status", "model", "uid"), count):
        newest_first = Query("generations", frozenset(fields), (("createdAt", "DESCENDING"),))
        assert indexes.missing(newest_first) is None
