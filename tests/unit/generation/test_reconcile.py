"""Which attempts of an entry can be asked for, and when nobody can know what it cost."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter import limits
from firerouter.app.callables import FUNCTIONS, Schedule
from firerouter.generation.reconciler import Reconciler, billed
from firerouter.ledger import AttemptRecord, StoredEntry

(RECONCILE,) = (row for row in FUNCTIONS if row.name == "reconcile_generations")

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
    assert billed(stored(status, *attempts)) == asked


def test_a_run_ends_inside_its_functions_timeout() -> None:
    # a page that was asked for just in time, or what was begun then; and the count at the end
    longest_s = limits.RECONCILE_S + max(limits.READ_S, limits.RECONCILE_END_S) + limits.READ_S
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
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "RECONCILE_S", 0.05)
    monkeypatch.setattr(limits, "RECONCILE_END_S", 0.05)
    store: Any = HangingStore()
    nobody: Any = None
    reconcile = Reconciler(
        store=store,
        progress=nobody,
        conversations=nobody,
        keys=nobody,
        openrouter=nobody,
        look=nobody,
        now=lambda: NOW,
    )
    summary = await asyncio.wait_for(reconcile.run(), limits.READ_S)
    assert summary == {"closed": 0, "costed": 0, "givenUp": 0, "waiting": 7}
    assert store.begun == limits.RECONCILE_AT_ONCE
    assert capsys.readouterr().out.count("reconcile_cut") == limits.RECONCILE_AT_ONCE


def test_a_cost_that_was_not_known_is_asked_for_at_the_next_run() -> None:
    assert RECONCILE.trigger == Schedule("*/5 * * * *")
    assert limits.COST_PAUSE_S < 300 < limits.COST_SOUGHT_S
