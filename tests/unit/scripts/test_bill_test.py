"""The bill test ends generations in every way, and would say so if something did not add up."""

import subprocess
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from scripts.bill_test.__main__ import GENERATIONS_MIN, main
from scripts.bill_test.bill_audit import Bill, Charge, LedgerBooks
from scripts.bill_test.ends import AGAIN, COMPARE, ENDS, features
from scripts.bill_test.plan import SERVERS, PlannedCall, plan
from scripts.bill_test.trial import PROJECT_CALLS, sizes
from tests.support.repository import SCRIPTS

CENT = 10_000_000  # in nano dollars
CALL = next(call for call in plan(GENERATIONS_MIN, 1).calls if call.end.callable != COMPARE)
(ID,) = CALL.generations


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert plan(100, 1) == plan(100, 1) != plan(100, 2)


@pytest.mark.parametrize("seed", range(5))
def test_every_end_comes_up_and_every_instance_is_killed(seed: int) -> None:
    planned = plan(GENERATIONS_MIN, seed)
    assert {call.end.name for call in planned.calls} | {AGAIN} == {end.name for end in ENDS}
    assert {*planned.kills.values()} == {*SERVERS}
    assert planned.audits
    assert len(planned.calls) == GENERATIONS_MIN


def test_each_end_asks_a_feature_that_allows_its_models() -> None:
    known = features()
    for end in ENDS:
        settings = known[end.feature]
        allowed = {settings["model"], *settings.get("allowedModels", ())}
        asked = (end.more or {}).get("models", end.models)
        assert {*asked} <= allowed, end.name


def test_a_call_that_is_sent_again_is_the_same_and_nobody_stops_it() -> None:
    calls = plan(1_000, 4).calls
    again = [call for call in calls if call.again]
    assert again
    for call in again:
        (first,) = (one for one in calls if one.data == call.data and not one.again)
        assert (call.uid, call.generations) == (first.uid, first.generations)
        assert call.stop_after_s is call.leave_after_s is None


@pytest.mark.parametrize("generations", [50, 1_000, 1_001, 10_000])
def test_projects_share_the_calls(generations: int) -> None:
    shared = sizes(generations)
    assert sum(shared) == generations
    assert max(shared) <= PROJECT_CALLS
    assert max(shared) - min(shared) <= 1


# -- the audit -------------------------------------------------------------------------------------


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "uid": "user",
        "requestId": CALL.request_id,
        "feature": "bill",
        "model": "sim/paid",
        "countsFeature": True,
        "status": "done",
        "createdAt": datetime(2026, 11, 22, tzinfo=UTC),
        "attempts": [{"upstreamId": "gen-1"}],
        "costNanoUsd": CENT,
        "costIsEstimate": False,
        "usage": {"totalTokens": 30},
        **fields,
    }


def windows(spent: int = CENT, **fields: Any) -> dict[str, dict[str, Any]]:
    day = {"requests": 1, "tokens": fields.get("tokens", 30), "nanoUsd": spent}
    counted = {"days": {"22": day}, "month": {"nanoUsd": spent}}
    own = fields.get("feature", counted)
    return {
        "concurrent": {"count": fields.get("running", 0)},
        "202611": {**counted, "features": {"bill": own}, "minutes": {"220000": 1}},
    }


def wrong(
    *,
    entries: dict[str, Any] | None = None,
    charges: list[Charge] | None = None,
    counted: dict[str, Any] | None = None,
    ceiling: int = CENT,
    calls: list[PlannedCall] | None = None,
) -> Counter[str]:
    """How often each check finds something."""
    shard = {"days": {"22": {"nanoUsd": ceiling}}, "month": {"nanoUsd": ceiling}}
    books = LedgerBooks(
        {ID: entry()} if entries is None else entries, {"user": counted or windows()}, [shard]
    )
    bill = Bill([Charge("gen-1", CALL.mark, CENT)] if charges is None else charges)
    lines = books.findings(bill, [CALL] if calls is None else calls).lines
    return Counter({name: len(found) for name, found in lines.items() if found})


def test_what_adds_up_is_found_to() -> None:
    assert wrong() == {}


def test_an_entry_that_differs_by_a_billionth_is_found() -> None:
    assert "entries that differ from the bill" in wrong(charges=[Charge("gen-1", "", CENT + 1)])
    assert "entries that differ from the bill" in wrong(charges=[])


def test_an_estimate_may_be_above_its_charge_and_not_below() -> None:
    estimate = {ID: entry(costIsEstimate=True, attempts=[{"upstreamId": None}])}
    asked = f"For {CALL.mark}, as an assistant:"
    assert wrong(entries=estimate, charges=[Charge("gen-2", asked, CENT - 1)]) == {}
    assert wrong(entries=estimate, charges=[Charge("gen-2", asked, CENT + 1)]) == {
        "estimates below what was charged": 1
    }
    free = {ID: {**estimate[ID], "model": "sim/free-billed"}}
    assert wrong(entries=free, charges=[Charge("gen-2", asked, CENT + 1)]) == {}
    running = {ID: {**estimate[ID], "status": "running"}}
    assert "generations still running" in wrong(entries=running, charges=[])


def test_a_charge_that_belongs_to_nothing_is_found() -> None:
    more = [Charge("gen-1", CALL.mark, CENT), Charge("gen-2", "call-99999999.", 5)]
    assert wrong(charges=more) == {
        "charges without an entry": 1,
        "nano dollars on the bill and in no entry": 1,
    }
    free = [more[0], Charge("gen-2", "", 0)]
    assert wrong(charges=free) == {}


def test_a_summary_may_belong_to_a_later_call_of_the_conversation() -> None:
    talks = [call for call in plan(1_000, 1).calls if call.conversation is not None]
    later = next(call for call in talks if call.data["conversationId"] != "new")
    opener = next(call for call in talks if call.conversation == later.conversation)
    assert opener.data["conversationId"] == "new"
    (id_,) = later.generations
    estimate = {id_: entry(costIsEstimate=True, attempts=[])}
    charges = [Charge("gen-2", f"user: for {opener.mark}", 5)]
    assert wrong(entries=estimate, charges=charges, calls=[opener, later]) == {}


def test_a_request_in_two_entries_is_found() -> None:
    two = {ID: entry(), "other": entry()}
    assert "requests charged to two entries" in wrong(entries=two)


@pytest.mark.parametrize(
    ("counted", "found"),
    [
        (windows(running=1), "places not given back"),
        (windows(CENT + 1), "counters that differ from the entries"),
        (windows(tokens=31), "counters that differ from the entries"),
        (windows(feature={}), "counters that differ from the entries"),
    ],
)
def test_a_counter_that_is_wrong_is_found(counted: dict[str, Any], found: str) -> None:
    assert {*wrong(counted=counted)} == {found}


def test_a_ceiling_that_is_wrong_is_found() -> None:
    assert wrong(ceiling=CENT - 1) == {"ceilings that differ from the entries": 2}


# -- the command line ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["0", "49", "20001", "x"])
def test_a_count_that_makes_no_sense_is_refused(number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--generations", number])
    assert ended.value.code == 2


def test_says_what_it_does() -> None:
    script = SCRIPTS / "bill-test"
    said = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--generations" in said
    assert "--seed" in said
