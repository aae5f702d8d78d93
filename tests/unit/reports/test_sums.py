"""What an entry adds to the sums of its day, whole or damaged, and how sums add up."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.reports.sums import (
    Cell,
    Contribution,
    add,
    contribution_of,
    flatten,
    nest,
    nonzero,
    of_cell,
    under,
)

AT = datetime(2026, 7, 14, 23, 59, 59, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    "uid": "ann",
    "feature": "chat",
    "revision": 3,
    "model": "a/b",
    "tier": "pro",
    "status": "done",
    "createdAt": AT,
    "usage": {"promptTokens": 10, "completionTokens": 4, "cachedTokens": 2, "cost": 0.5},
    "timing": {"firstTokenMs": 100, "totalMs": 1000},
    "attempts": [
        {"keyVersion": 3, "costNanoUsd": 9, "byokNanoUsd": 7},
        {"keyVersion": 3, "costNanoUsd": 1, "costIsEstimate": True},
        {"keyVersion": None, "costNanoUsd": 2},
        {"model": "c/d"},
    ],
    "costNanoUsd": 12,
    "costIsEstimate": False,
}


def sums_of(**fields: Any) -> dict[str, Any]:
    contribution = contribution_of({**ENTRY, **fields})
    assert contribution is not None
    return nest(contribution.sums)


def test_an_answer_adds_its_cost_its_tokens_and_its_times() -> None:
    contribution = contribution_of(ENTRY)
    assert contribution is not None
    assert (contribution.day, contribution.uid) == ("20260714", "ann")
    assert contribution.cell == Cell("chat", "a/b", 3, "pro")
    assert sums_of() == {
        "requests": 1,
        "status": {"done": 1},
        "nanoUsd": 12,
        "byokNanoUsd": 7,
        "keyNanoUsd": {"v3": 3, "latest": 2},
        "keyEstimatedNanoUsd": {"v3": 1},
        "promptTokens": 10,
        "completionTokens": 4,
        "cachedTokens": 2,
        "firstTokenMs": {"b49": 1},
        "totalMs": {"b73": 1},
    }


def test_what_a_key_was_charged_is_counted_of_days_alone() -> None:
    contribution = contribution_of(ENTRY)
    assert contribution is not None
    left_out = contribution.sums.keys() - of_cell(contribution.sums).keys()
    assert {path[0] for path in left_out} == {"keyNanoUsd", "keyEstimatedNanoUsd"}


def test_what_runs_adds_nothing_yet() -> None:
    assert contribution_of({**ENTRY, "status": "running"}) is None


def test_a_failure_adds_its_reason_and_no_total_time() -> None:
    sums = sums_of(status="failed", error="upstream_timeout")
    assert sums["errors"] == {"upstream_timeout": 1}
    assert "totalMs" not in sums
    assert "firstTokenMs" in sums


def test_an_estimate_is_told_apart() -> None:
    sums = sums_of(costIsEstimate=True)
    assert (sums["estimates"], sums["estimatedNanoUsd"], sums["nanoUsd"]) == (1, 12, 12)


def test_a_cached_answer_adds_what_it_saved_and_no_times() -> None:
    sums = sums_of(cached=True, savedNanoUsd=99, costNanoUsd=0, attempts=[])
    assert (sums["cacheHits"], sums["savedNanoUsd"]) == (1, 99)
    assert not {"firstTokenMs", "totalMs", "nanoUsd"} & sums.keys()


@pytest.mark.parametrize(
    "damage",
    [
        {"usage": 5, "timing": "long", "attempts": None},
        {"usage": {"promptTokens": "many"}, "timing": {"firstTokenMs": True}, "attempts": [5]},
        {"costNanoUsd": "dear", "costIsEstimate": "no"},
        {"uid": 4, "feature": None, "model": 9, "revision": "2", "tier": {}},
        {"createdAt": "yesterday"},
        {"status": 7, "error": {"a": 1}},
        {"error": "a.b/c`d"},
    ],
)
def test_a_damaged_entry_is_counted_as_far_as_it_can_be_read(damage: dict[str, Any]) -> None:
    contribution = contribution_of({**ENTRY, **damage}, AT)
    assert contribution is not None
    assert contribution.day == "20260714"
    assert contribution.sums["requests",] == 1
    for path in contribution.sums:
        assert all(name.isidentifier() for name in path)


def test_what_is_counted_is_read_back_as_it_was() -> None:
    for entry in (ENTRY, {"createdAt": AT}, {**ENTRY, "cached": True, "error": "no_credit"}):
        contribution = contribution_of(entry)
        assert contribution is not None
        assert Contribution.from_document(contribution.to_document()) == contribution
    assert Contribution.from_document({"day": 5}) is None
    assert Contribution.from_document(None) is None


def test_cells_are_told_apart_by_each_of_their_parts() -> None:
    cells = [
        Cell(),
        Cell(feature="a"),
        Cell(model="a"),
        Cell(tier="a"),
        Cell(revision=1),
        Cell("a", "b"),
        Cell("a|b"),
        Cell("a", tier="b"),
    ]
    assert len({cell.id for cell in cells}) == len(cells)
    assert all(cell.id.isidentifier() for cell in cells)


paths = st.tuples(st.sampled_from("abc")) | st.tuples(st.sampled_from("xyz"), st.sampled_from("12"))
sums = st.dictionaries(paths, st.integers(-(2**62), 2**62))


@given(sums, sums)
def test_what_is_added_and_taken_back_leaves_nothing(
    one: dict[tuple[str, ...], int], other: dict[tuple[str, ...], int]
) -> None:
    total = dict(one)
    add(total, other)
    add(total, one, times=-1)
    assert nonzero(total) == nonzero(other)
    assert flatten(nest(one)) == one


def test_a_group_is_read_by_its_names() -> None:
    assert under({("errors", "a"): 2, ("requests",): 3, ("status", "a"): 1}, "errors") == {"a": 2}
