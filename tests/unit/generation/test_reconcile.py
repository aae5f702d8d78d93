"""Which attempts of an entry are asked for, and what it costs by what OpenRouter says of them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.app.callables import FUNCTIONS, Schedule
from firerouter.errors import LedgerUnavailable
from firerouter.firestore import READ_S
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.reconciler import Reconciler, attempts_to_ask_for, correct_costs
from firerouter.ledger import AttemptRecord, Cost, LaterRequests, StoredEntry, cost_of_all
from firerouter.openrouter import Usage

(RECONCILE,) = (row for row in FUNCTIONS if row.name == "reconcile_generations")

LIMITS = GenerationLimits()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
COSTED = AttemptRecord("a/one", "gen-0", None, 1, cost_nano_usd=50)
ANSWERED = AttemptRecord("a/one", "gen-1", None, 1)  # without a cost: noted, and killed then
STOPPED = AttemptRecord("a/one", "gen-2", "stopped", 1)
FAILED = AttemptRecord("a/one", "gen-3", "empty_answer", 1)
REFUSED = AttemptRecord("a/one", None, "upstream_busy", 1)
SENT = AttemptRecord("a/one", None, None, 1)
TITLE = AttemptRecord("a/paid", "gen-4", "stopped", 1, "title")
FREE_TITLE = AttemptRecord("a/one:free", None, "stopped", 1, "title")
CHEAP_TITLE = AttemptRecord("a/one:free", "gen-5", None, 1, "title")


def guessed(attempt: AttemptRecord, cost: int = 900, **more: Any) -> AttemptRecord:
    """Return an attempt that ended without a word of its cost."""
    return replace(
        attempt,
        cost_nano_usd=cost,
        is_estimate=True,
        **{"prompt_tokens": 7, "completion_tokens": 3, **more},
    )


def stored(status: str, *attempts: AttemptRecord, **more: Any) -> StoredEntry:
    fields = {"uid": "user", "feature": "chat", "admitted_at": NOW, **more}
    return StoredEntry(id="id", status=status, attempts=attempts, **fields)


@pytest.mark.parametrize(
    ("attempts", "asked"),
    [
        ([], []),
        ([COSTED], []),
        ([guessed(ANSWERED)], [0]),
        ([COSTED, guessed(STOPPED)], [1]),
        ([guessed(SENT)], []),
        ([guessed(FAILED), guessed(SENT), COSTED], [0]),
        ([COSTED, guessed(TITLE)], [1]),
        ([guessed(ANSWERED, is_suspect=True)], [0]),
        ([REFUSED, ANSWERED], [1]),
        ([FAILED, STOPPED, TITLE], [0, 1, 2]),
        ([ANSWERED, FREE_TITLE, CHEAP_TITLE], [0]),
    ],
)
def test_what_is_asked_for(attempts: list[AttemptRecord], asked: list[int]) -> None:
    assert attempts_to_ask_for(stored("stopped", *attempts)) == asked


def test_one_attempt_is_corrected_and_the_others_stay_as_they_are() -> None:
    usage = {"promptTokens": 17, "completionTokens": 5, "totalTokens": 22, "cost": 1.0}
    entry = stored(
        "done",
        guessed(FAILED),
        COSTED,
        guessed(TITLE, 40),
        cost_nano_usd=990,
        usage=usage,
    )
    found = correct_costs(entry, {0: Usage(8, 1, 1, None, 300, 200)}, NOW)
    assert found.attempts == [
        replace(FAILED, cost_nano_usd=300, byok_nano_usd=200),
        COSTED,
        guessed(TITLE, 40),
    ]
    assert found.cost == Cost(390, is_estimate=True)
    assert found.usage == {
        "promptTokens": 17 - 7 + 8,
        "completionTokens": 5 - 3 + 1,
        "totalTokens": 21,
        "reasoningTokens": 1,
        "cost": 390 / 1e9,
        "costIsEstimate": True,
        "costDetails": {
            "answer": 50 / 1e9,
            "failedAttempts": 300 / 1e9,
            "helper": 40 / 1e9,
            "byok": 200 / 1e9,
        },
    }
    assert found.due_at == NOW


def test_a_suspect_cost_that_was_looked_up_is_believed_and_stays_marked() -> None:
    entry = stored("done", guessed(ANSWERED, is_suspect=True), cost_nano_usd=900, usage={})
    found = correct_costs(entry, {0: Usage(8, 1, cost_nano_usd=10**10)}, None)
    assert found.cost == Cost(10**10, is_estimate=False)
    assert found.attempts[0].is_suspect


@pytest.mark.parametrize(
    ("attempts", "told", "cost"),
    [
        ([ANSWERED], {0: 5}, Cost(5, is_estimate=False)),
        ([FAILED, ANSWERED], {0: 5, 1: 6}, Cost(11, is_estimate=False)),
        ([REFUSED, ANSWERED], {1: 6}, Cost(6, is_estimate=False)),
        ([FAILED, ANSWERED], {0: 5}, Cost(1005, is_estimate=True)),
        ([FAILED], {0: 5}, Cost(1005, is_estimate=True)),  # another one may have followed
        ([ANSWERED, REFUSED], {0: 5}, Cost(1005, is_estimate=True)),
        ([ANSWERED, SENT], {0: 5}, Cost(1005, is_estimate=True)),
        ([TITLE], {0: 5}, Cost(1005, is_estimate=True)),
        ([ANSWERED, TITLE], {0: 5, 1: 7}, Cost(12, is_estimate=False)),
        ([ANSWERED, FREE_TITLE], {0: 5}, Cost(5, is_estimate=False)),
        ([COSTED, ANSWERED], {1: 6}, Cost(56, is_estimate=False)),
        ([COSTED, ANSWERED, SENT], {1: 6}, Cost(1056, is_estimate=True)),
    ],
)
def test_what_a_killed_instance_reserved_stands_for_what_nobody_can_ask_for(
    attempts: list[AttemptRecord], told: dict[int, int], cost: Cost
) -> None:
    known = sum(attempt.cost_nano_usd or 0 for attempt in attempts)
    entry = stored("interrupted", *attempts, cost_nano_usd=known + 1000)
    reported = {index: Usage(cost_nano_usd=nano_usd) for index, nano_usd in told.items()}
    assert correct_costs(entry, reported, None).cost == cost


@pytest.mark.parametrize(
    ("attempts", "count", "held"),
    [
        ([ANSWERED], 0, 0),
        ([ANSWERED], 1, 30),  # it was killed in the half second before its title was recorded
        ([ANSWERED, TITLE], 1, 0),
        ([ANSWERED, TITLE], 2, 30),  # a summary, or a repair
        ([ANSWERED, FREE_TITLE], 1, 30),
        ([REFUSED, ANSWERED], 1, 30),
        ([ANSWERED, ANSWERED], 1, 0),
        ([ANSWERED, ANSWERED, TITLE], 2, 0),
    ],
)
def test_a_request_that_a_killed_instance_may_have_made_unrecorded_is_held(
    attempts: list[AttemptRecord], count: int, held: int
) -> None:
    later = LaterRequests(count, 30)
    entry = stored("interrupted", *attempts, cost_nano_usd=1000, later=later)
    told = {index: Usage(cost_nano_usd=5) for index in attempts_to_ask_for(entry)}
    found = correct_costs(entry, told, None).cost
    assert found == Cost(5 * len(told) + held, is_estimate=held > 0)
    ended = replace(entry, status="stopped", cost_nano_usd=0)
    assert correct_costs(ended, told, None).cost == Cost(5 * len(told), is_estimate=False)


@given(
    st.lists(
        st.sampled_from([COSTED, ANSWERED, FAILED, REFUSED, SENT, TITLE, guessed(STOPPED)]),
        max_size=5,
    ),
    st.sampled_from(["done", "stopped", "failed", "interrupted"]),
    st.lists(st.integers(0, 10**12), min_size=5, max_size=5),
)
def test_an_entry_costs_what_its_attempts_cost_and_what_is_held_beside_them(
    attempts: list[AttemptRecord], status: str, costs: list[int]
) -> None:
    entry = stored(status, *attempts, cost_nano_usd=cost_of_all(attempts).nano_usd + 1000)
    wanted = attempts_to_ask_for(entry)
    reported = {index: Usage(cost_nano_usd=costs[index]) for index in wanted}
    found = correct_costs(entry, reported, None)
    held = found.cost.nano_usd - cost_of_all(found.attempts).nano_usd
    assert held in (0, 1000)
    unknown = held > 0 or any(attempt.is_estimate for attempt in found.attempts)
    assert found.cost.is_estimate is unknown
    assert found.usage["cost"] == found.cost.nano_usd / 1e9


def test_a_run_ends_inside_its_functions_timeout() -> None:
    # a page that was asked for just in time, or what was begun then; and the count at the end
    longest_s = LIMITS.reconcile_s + max(READ_S, LIMITS.reconcile_end_s) + READ_S
    assert longest_s < RECONCILE.timeout_s


class HangingStore:
    """Entries without end, none of which can be closed or given up."""

    def __init__(self) -> None:
        self.begun = 0

    async def overdue(
        self, now: datetime, most: int, after: StoredEntry | None = None
    ) -> list[StoredEntry]:
        return [stored("interrupted")] * most

    cost_due = overdue

    async def close(self, entry: StoredEntry, now: datetime) -> bool:
        self.begun += 1
        await asyncio.Event().wait()
        return True

    give_up = close

    async def remove_results(self, now: datetime, limit: int) -> int:
        return 0

    async def count_cost_due(self) -> int:
        return 7


async def test_what_hangs_is_ended_and_what_was_not_begun_is_left_for_the_next_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store: Any = HangingStore()
    nobody: Any = None
    reconcile = Reconciler(
        store=store,
        progress=nobody,
        conversations=nobody,
        keys=nobody,
        openrouter=nobody,
        find_file=nobody,
        limits=replace(LIMITS, reconcile_s=0.05, reconcile_end_s=0.05),
        now=lambda: NOW,
    )
    summary = await asyncio.wait_for(reconcile.run(), READ_S)
    assert summary == {"closed": 0, "costed": 0, "givenUp": 0, "waiting": 7}
    assert store.begun == LIMITS.reconcile_at_once
    assert capsys.readouterr().out.count("reconcile_cut") == LIMITS.reconcile_at_once


class StubbornStore:
    """Running entries, of which some are closed and others fail."""

    def __init__(self, count: int, failing: Callable[[int], Exception | None]) -> None:
        self.ids = [f"{number:032x}" for number in range(count)]
        self.tried: list[int] = []
        self._failing = failing

    async def overdue(
        self, now: datetime, most: int, after: StoredEntry | None = None
    ) -> list[StoredEntry]:
        begin = int(after.id, 16) + 1 if after else 0
        ids = [id_ for id_ in self.ids if int(id_, 16) >= begin]
        return [replace(stored("interrupted"), id=id_) for id_ in ids[:most]]

    async def close(self, entry: StoredEntry, now: datetime) -> bool:
        number = int(entry.id, 16)
        self.tried.append(number)
        if error := self._failing(number):
            raise error
        self.ids.remove(entry.id)
        return True

    async def cost_due(self, *_: object) -> list[StoredEntry]:
        return []

    async def remove_results(self, now: datetime, limit: int) -> int:
        return 0

    async def count_cost_due(self) -> int:
        return 0


class NoProgress:
    async def erase(self, id_: str) -> None:
        """There is none."""


def reconciler(store: Any, **limits: Any) -> Reconciler:
    nobody: Any = None
    progress: Any = NoProgress()
    return Reconciler(
        store=store,
        progress=progress,
        conversations=nobody,
        keys=nobody,
        openrouter=nobody,
        find_file=nobody,
        limits=replace(LIMITS, **limits),
        now=lambda: NOW,
    )


@pytest.mark.parametrize("error", [LedgerUnavailable(), KeyError("poison")])
async def test_entries_that_fail_hold_up_no_other(error: Exception) -> None:
    """The first page is full of them, but for one."""
    store = StubbornStore(250, lambda number: error if number < 99 else None)
    run = reconciler(store)
    if isinstance(error, LedgerUnavailable):
        with pytest.raises(LedgerUnavailable):
            await run.run()  # at its end
    else:
        assert (await run.run())["closed"] == 151
    assert [int(id_, 16) for id_ in store.ids] == [*range(99)]
    assert sorted(store.tried) == [*range(250)]


async def test_while_firestore_is_unavailable_no_more_than_a_page_is_tried() -> None:
    store = StubbornStore(250, lambda number: LedgerUnavailable())
    with pytest.raises(LedgerUnavailable):
        await reconciler(store).run()
    assert len(store.tried) == LIMITS.reconcile_page


async def test_a_run_that_was_out_of_time_is_gone_on_with_by_the_next() -> None:
    clock = asyncio.get_running_loop().time
    until = 0.0

    def slow(number: int) -> Exception | None:
        while number < 2 and clock() < until:  # it blocks: nothing else is begun meanwhile
            pass
        return KeyError("poison") if number < 4 else None

    store = StubbornStore(8, slow)
    run = reconciler(store, reconcile_at_once=2, reconcile_s=0.1)
    until = clock() + 0.15
    await run.run()
    assert store.tried == [0]
    store.tried.clear()
    until = 0.0
    assert (await run.run())["closed"] == 4
    assert store.tried[:6] == [1, 2, 3, 4, 5, 6]
    assert sorted(store.tried) == [*range(8)]  # those before come at the end


def test_a_cost_that_was_not_known_is_asked_for_at_the_next_run() -> None:
    assert RECONCILE.trigger == Schedule("*/5 * * * *")
    assert LIMITS.cost_pause_s < 300 < LIMITS.cost_sought_s
