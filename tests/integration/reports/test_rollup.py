"""The roll-ups equal the ledger, to the nano dollar: after faults, corrections, and two at once.

Against a real Firestore. Most entries are written as the ledger leaves them behind; that it leaves
them so is tested with calls.
"""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument, ServiceUnavailable
from google.cloud.firestore import SERVER_TIMESTAMP
from google.cloud.firestore_v1.types import CommitRequest

from firerouter.app.limits import Limits
from firerouter.errors import LedgerUnavailable
from firerouter.ledger import Correction, Cost, LedgerStore, StoredEntry
from firerouter.reports import ReportLimits
from tests.support.ended_entries import NOON, ended, write_ended, write_entries
from tests.support.faulty_firestore import Commit, CommitCounter, applied_twice, at_commit
from tests.support.in_process import Instance, World
from tests.support.usage_audit import ledger_sums, rolled_up


async def correct(world: World, id_: str, nano_usd: int) -> None:
    """Have a reconciler learn what an entry really cost."""
    store = LedgerStore(world.firestore)
    stored = await store.read(id_)
    assert isinstance(stored, StoredEntry)
    usage = {"promptTokens": 1, "completionTokens": 2}
    assert await store.correct(stored, told(usage, nano_usd), datetime.now(UTC))


def told(usage: dict[str, int], nano_usd: int) -> Correction:
    return Correction(attempts=(), usage=usage, cost=Cost(nano_usd, is_estimate=False))


def rolling(world: World, **bounds: float) -> Instance:
    """An instance whose roll-ups have other bounds, with a client of its own."""
    limits = replace(ReportLimits(), roll_pause_s=0.01, **bounds)  # type: ignore[arg-type]
    return world.instance(limits=Limits(reports=limits))


async def roll(instance: Instance) -> Any:
    return (await instance.app.reports.rollup.run())["rolled"]


async def equal(world: World) -> bool:
    """Nothing is left to count, and the roll-ups are what the ledger adds up to."""
    entries = (await world.all("generations")).values()
    assert not [entry for entry in entries if "rollDueAt" in entry]
    assert await rolled_up(world) == await ledger_sums(world)
    return True


# -- what calls leave behind -----------------------------------------------------------------------


async def test_calls_are_counted_however_they_end(world: World) -> None:
    await world.write(
        "config/app", {"freeModelsOnly": False, "keys": {"default": [{"version": 1}]}}
    )
    instance = rolling(world)
    for feature, model in (("dear", "sim/paid"), ("free", "sim/fast"), ("bad", "sim/error-first")):
        await instance.save(feature, {"model": model})
    await asyncio.gather(
        *(instance.ask("dear", uid) for uid in ("ann", "bob", "ann")),
        instance.ask("free", "ann"),
        instance.refusal("execute_prompt", {"feature": "bad", "prompt": "Hi"}, "ann"),
    )
    assert await roll(instance) == 5
    assert await equal(world)
    (day,) = [document for id_, document in (await world.all("usage")).items() if id_ != "cursor"]
    assert day["sums"]["status"] == {"done": 4, "failed": 1}
    assert day["sums"]["nanoUsd"] > 0
    assert sum(day["sums"]["firstTokenMs"].values()) == 4
    assert sum(day["sums"]["errors"].values()) == 1
    assert await roll(instance) == 0


async def test_an_answer_that_is_still_running_is_not_counted(world: World) -> None:
    await write_ended(world, 1, status="running")  # as if somebody had marked it by hand
    instance = rolling(world)
    assert await roll(instance) == 1
    assert await equal(world)
    assert await rolled_up(world) == {}


# -- sums ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [7, 500])
async def test_every_level_equals_the_ledger(world: World, page: int) -> None:
    await write_ended(world, 150)
    assert await roll(rolling(world, roll_page_entries=page)) == 150
    assert await equal(world)


async def test_entries_that_come_later_are_added(world: World) -> None:
    instance = rolling(world)
    for _ in range(3):
        await write_ended(world, 20)
        assert await roll(instance) == 20
        assert await equal(world)


async def test_an_entry_that_is_seen_after_later_ones_were_counted_is_counted_as_well(
    world: World,
) -> None:
    instance = rolling(world)
    await write_ended(world, 1)
    assert await roll(instance) == 1
    late = datetime.now(UTC) - timedelta(seconds=ReportLimits().roll_overlap_s / 2)
    await write_ended(world, 3, rollDueAt=late)
    assert await roll(instance) == 3
    assert await equal(world)


async def test_damaged_entries_hold_up_nobody(world: World) -> None:
    odd = {"uid": 5, "feature": None, "usage": "much", "costNanoUsd": 3}
    await write_ended(world, 2, createdAt=NOON, **odd)
    await write_entries(world, [{"rollDueAt": SERVER_TIMESTAMP, "status": "done"}])
    instance = rolling(world)
    assert await roll(instance) == 3
    (unknown,) = (await world.all("usage/20260714/users")).values()
    assert (unknown["uid"], unknown["nanoUsd"]) == (None, 6)


# -- corrections -----------------------------------------------------------------------------------


async def test_a_correction_moves_the_sums_by_the_difference(world: World) -> None:
    instance = rolling(world)
    (id_, *_) = await write_ended(world, 5, costNanoUsd=1_000_000, costIsEstimate=True)
    await roll(instance)
    for cost in (0, 7, 1_999_999):
        await correct(world, id_, cost)
        assert await roll(instance) == 1
        assert await equal(world)
    day = f"{(await world.document(f'generations/{id_}'))['createdAt']:%Y%m%d}"
    sums = (await world.document(f"usage/{day}"))["sums"]
    assert sums["estimatedNanoUsd"] == 1_000_000 * sums["estimates"]


async def test_a_correction_before_the_first_count_is_counted_once(world: World) -> None:
    (id_,) = await write_ended(world, 1)
    await correct(world, id_, 5)
    assert await roll(rolling(world)) == 1
    assert await equal(world)


async def test_an_entry_that_is_corrected_while_it_is_counted_is_counted_as_it_is_then(
    world: World,
) -> None:
    ids = await write_ended(world, 10)
    instance = rolling(world)
    instance.commits(at_commit(1, lambda: correct(world, ids[4], 77), after=False))
    assert await roll(instance) == 10
    assert await equal(world)


async def test_an_entry_that_expires_while_it_is_counted_is_not(world: World) -> None:
    ids = await write_ended(world, 10)
    gone = world.firestore.document(f"generations/{ids[4]}")
    instance = rolling(world)
    instance.commits(at_commit(1, gone.delete, after=False))
    assert await roll(instance) == 9
    assert await equal(world)


async def test_a_cell_that_changes_takes_its_sums_along(world: World) -> None:
    (id_,) = await write_ended(world, 1, feature="chat", model="sim/paid")
    instance = rolling(world)
    await roll(instance)
    entry = world.firestore.document(f"generations/{id_}")
    await entry.update({"model": "sim/other", "rollDueAt": SERVER_TIMESTAMP})
    await roll(instance)
    assert await equal(world)


# -- faults ----------------------------------------------------------------------------------------


async def test_a_commit_that_is_applied_twice_counts_once(world: World) -> None:
    await write_ended(world, 30)
    instance = rolling(world, roll_page_entries=10)
    instance.commits(applied_twice)
    await roll(instance)
    assert await equal(world)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_commit_whose_answer_is_lost_counts_once(world: World, number: int) -> None:
    await write_ended(world, 30)
    instance = rolling(world, roll_page_entries=10)
    instance.commits(CommitCounter(loses={number}))
    with pytest.raises(LedgerUnavailable):
        await roll(instance)
    await roll(instance)
    assert await equal(world)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("after", [True, False])
async def test_killed_between_any_two_steps_the_next_run_counts_the_rest(
    world: World, number: int, after: bool
) -> None:
    await write_ended(world, 35)
    instance = rolling(world, roll_page_entries=10)

    async def die() -> None:
        running.cancel()

    instance.commits(at_commit(number, die, after=after))
    running = asyncio.ensure_future(roll(instance))
    await asyncio.wait({running})
    assert running.cancelled()
    await roll(rolling(world))
    assert await equal(world)


async def test_several_at_once_count_each_entry_once_while_costs_are_corrected(
    world: World,
) -> None:
    ids = await write_ended(world, 120)
    instances = [rolling(world, roll_page_entries=size) for size in (9, 11, 40)]

    async def correct_some() -> None:
        store = LedgerStore(world.firestore)
        for id_ in ids[::10]:
            stored = await store.read(id_)
            assert stored is not None
            await store.correct(stored, told({"promptTokens": 1}, 3), datetime.now(UTC))

    await asyncio.gather(*map(roll, instances), correct_some())
    await roll(instances[0])
    assert await equal(world)


async def test_firestore_is_unavailable_and_the_schedule_comes_again(world: World) -> None:
    await write_ended(world, 3)
    instance = rolling(world, roll_commit_s=0.2)

    async def refuse(commit: Commit, *_: Any, **__: Any) -> Any:
        raise ServiceUnavailable("away")  # type: ignore[no-untyped-call]

    instance.commits(refuse)
    with pytest.raises(LedgerUnavailable):
        await roll(instance)
    assert await roll(rolling(world)) == 3


# -- bounds of Firestore's -------------------------------------------------------------------------


async def test_no_document_gets_more_increments_in_a_commit_than_firestore_takes(
    world: World,
) -> None:
    dice = random.Random(5)
    entries = [ended(dice, uid="busy", model=f"m/{number}") for number in range(120)]
    await write_entries(world, entries)
    instance = rolling(world, roll_increments_max=100)
    most = 0

    async def look(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal most
        request: Any = CommitRequest.pb(kwargs["request"])
        most = max(most, *(len(write.update_transforms) for write in request.writes), 0)
        return await commit(*args, **kwargs)

    instance.commits(look)
    assert await roll(instance) == 120
    assert 50 < most <= 100
    assert await equal(world)


async def test_it_writes_what_the_architecture_page_says(world: World) -> None:
    users, page = 120, 60
    entries = [ended(random.Random(n), uid=f"u{n}", createdAt=NOON) for n in range(users)]
    await write_entries(world, entries)
    instance = rolling(world, roll_page_entries=page)
    written: Counter[str] = Counter()
    commits = 0

    async def look(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal commits
        request: Any = CommitRequest.pb(kwargs["request"])
        names = [write.update.name.partition("/documents/")[2] for write in request.writes]
        if names != ["usage/cursor"]:  # else it is the last one, which says that all is counted
            commits += 1
            written.update(names)
        return await commit(*args, **kwargs)

    instance.commits(look)
    await roll(instance)
    assert commits == users / page
    hottest = {path for path, count in written.items() if count == max(written.values())}
    assert {"usage/20260714", "usage/cursor"} <= hottest
    assert max(written.values()) == commits  # each document once in a commit
    cells = [path for path in written if "/cells/" in path]
    assert written.total() <= 2 * users + commits * (2 + len(cells))


async def test_a_day_of_a_user_that_no_document_holds_is_left_out_and_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await write_ended(world, 1, uid="huge", createdAt=NOON)
    await write_ended(world, 9, uid="ann")
    instance = rolling(world)

    async def refuse(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        request: Any = CommitRequest.pb(kwargs["request"])
        if any(write.update.name.endswith("/users/huge") for write in request.writes):
            raise InvalidArgument("exceeds the maximum allowed size")  # type: ignore[no-untyped-call]
        return await commit(*args, **kwargs)

    instance.commits(refuse)  # the emulator does not measure what increments make of a document
    assert await roll(instance) == 9
    assert "usage_not_counted" in capsys.readouterr().out
    entries = (await world.all("generations")).values()
    assert [entry["uid"] for entry in entries if "rolled" not in entry] == ["huge"]


async def test_time_runs_out_and_the_next_run_goes_on(world: World) -> None:
    await write_ended(world, 30)
    instance = rolling(world, roll_page_entries=10, roll_up_s=0.0)
    assert await instance.app.reports.rollup.run() == {"rolled": 0, "isBehind": True}
    assert await roll(rolling(world, roll_page_entries=10)) == 30
