"""Which attempts of an entry can be asked for, and when nobody can know what it cost."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.app.callables import FUNCTIONS, Schedule
from firerouter.firestore import READ_S
from firerouter.generation.limits import GenerationLimits
from firerouter.generation.reconciler import Reconciler, billed_attempts
from firerouter.ledger import AttemptRecord, StoredEntry

(RECONCILE,) = (row for row in FUNCTIONS if row.name == "reconcile_generations")

LIMITS = GenerationLimits()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ANSWERED = AttemptRecord("a/one", "gen-1", None, 1)
STOPPED = AttemptRecord("a/one", "gen-2", "stopped", 1)
FAILED = AttemptRecord("a/one", "gen-3", "empty_answer", 1)
REFUSED = AttemptRecord("a/one", None, "upstream_busy", 1)
SENT = AttemptRecord("a/one", None, None, 1)
SENT_AND_STOPPED = AttemptRecord("a/one", None, "stopped", 1)
TITLE = AttemptRecord("a/paid", "gen-4", "stopped", 1, "title")
TITLE_SENT = AttemptRecord("a/paid", None, "stopped", 1, "title")
FREE_TITLE = AttemptRecord("a/one:free", None, "stopped", 1, "title")


def stored(status: str, *attempts: AttemptRecord) -> StoredEntry:
    return StoredEntry(
        id="id", uid="user", status=status, feature="chat", admitted_at=NOW, attempts=attempts
    )


@pytest.mark.parametrize(
    ("status", "attempts", "asked"),
    [
        ("done", [ANSWERED], [ANSWERED]),
        ("stopped", [REFUSED, FAILED, STOPPED], [FAILED, STOPPED]),
        ("failed", [REFUSED, REFUSED], []),
        ("stopped", [], []),
        ("stopped", [SENT_AND_STOPPED], None),
        ("stopped", [FAILED, SENT_AND_STOPPED], None),
        ("interrupted", [ANSWERED], [ANSWERED]),
        ("interrupted", [FAILED, ANSWERED], [FAILED, ANSWERED]),
        ("interrupted", [STOPPED], [STOPPED]),
        ("interrupted", [], None),
        ("interrupted", [SENT], None),
        ("interrupted", [FAILED], None),
        ("interrupted", [ANSWERED, REFUSED], None),
        ("done", [ANSWERED, TITLE], [ANSWERED, TITLE]),
        ("done", [ANSWERED, TITLE_SENT], None),
        ("done", [ANSWERED, FREE_TITLE], [ANSWERED]),
        ("interrupted", [TITLE], None),
        ("interrupted", [STOPPED, TITLE], [STOPPED, TITLE]),
    ],
)
def test_what_is_asked_for(status: str, attempts: list[AttemptRecord], asked: Any) -> None:
    assert billed_attempts(stored(status, *attempts)) == asked


def test_a_run_ends_inside_its_functions_timeout() -> None:
    # a page that was asked for just in time, or what was begun then; and the count at the end
    longest_s = LIMITS.reconcile_s + max(READ_S, LIMITS.reconcile_end_s) + READ_S
    assert longest_s < RECONCILE.timeout_s


class HangingStore:
    """Entries without end, none of which can be closed or given up."""

    def __init__(self) -> None:
        self.begun = 0

    async def overdue(self, now: datetime, most: int) -> list[StoredEntry]:
        return [stored("interrupted")] * most

    cost_due = overdue

    async def close(self, entry: StoredEntry, now: datetime) -> bool:
        self.begun += 1
        await asyncio.Event().wait()
        return True

    give_up = close

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


def test_a_cost_that_was_not_known_is_asked_for_at_the_next_run() -> None:
    assert RECONCILE.trigger == Schedule("*/5 * * * *")
    assert LIMITS.cost_pause_s < 300 < LIMITS.cost_sought_s
