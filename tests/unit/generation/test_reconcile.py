"""Which attempts of an entry can be asked for, and when nobody can know what it cost."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter import limits
from firerouter.app.callables import FUNCTIONS, Schedule
from firerouter.generation.reconciler import billed
from firerouter.ledger.store import AttemptRecord, Reservation, StoredEntry
from firerouter.openrouter import OpenRouterLimits
from tests.support.repository import ROOT

(RECONCILE,) = (row for row in FUNCTIONS if row.name == "reconcile_generations")

INDEXES = ROOT / "firestore.indexes.json"
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
    held = Reservation("id", "user", NOW, 0, None)
    return StoredEntry(held, status, "chat", NOW, 0, list(attempts))


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
    one_look_s = 2 * (limits.READ_S + OpenRouterLimits().ping_s) + limits.ADMIT_S
    assert limits.RECONCILE_S + one_look_s + 2 * limits.READ_S < RECONCILE.timeout_s


def test_a_cost_that_was_not_known_is_asked_for_at_the_next_run() -> None:
    assert RECONCILE.trigger == Schedule("*/5 * * * *")
    assert limits.COST_PAUSE_S < 300 < limits.COST_SOUGHT_S


def test_firestore_has_an_index_for_each_query() -> None:
    """Which its emulator does without. Of one field alone there is one, unless it is exempted."""
    indexes = json.loads(INDEXES.read_text())
    fields = [[f["fieldPath"] for f in index["fields"]] for index in indexes["indexes"]]
    assert ["status", "deadlineAt"] in fields
    assert "costDueAt" not in {override["fieldPath"] for override in indexes["fieldOverrides"]}
