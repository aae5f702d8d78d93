"""The kill test kills, and would say so if something did not add up."""

import subprocess
from dataclasses import replace
from typing import Any

import pytest

from scripts.devtools.cli_errors import FAILED
from scripts.kill_test.__main__ import main
from scripts.kill_test.conversation_audit import Conversation, Conversations, duplicates
from scripts.kill_test.ledger_audit import LedgerAudit
from scripts.kill_test.plan import CALLS_MAX, CAPPED, CONTINUES, PROMPT, Call, plan
from scripts.trials.findings import report
from tests.support.repository import SCRIPTS

CENT = 10_000_000  # in nano dollars


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert plan(30, 1) == plan(30, 1) != plan(30, 2)
    rounds = plan(100, 3)
    calls = [call for round_ in rounds for call in round_.calls]
    assert {len(round_.calls) for round_ in rounds} == set(range(1, CALLS_MAX + 1))
    assert {call.stream for call in calls} == {True, False}
    assert len({call.request_id for call in calls}) < len(calls), "some are sent again"
    assert {len(round_.functions) for round_ in rounds} == {1, 2}
    assert {round_.functions[0] for round_ in rounds} == {"execute_prompt", "continuation"}
    assert any(round_.kill_after_s > 5 for round_ in rounds)
    for what in ("again", "file", "stop_after_s", "leave_after_s"):
        some = [call for call in calls if getattr(call, what)]
        assert 0 < len(some) < len(calls), what
        assert any(call.feature == CONTINUES for call in some), what
    data = {call.request_id: call.data for call in calls}
    assert all(call.data == data[call.request_id] for call in calls)


def entry(**fields: Any) -> dict[str, Any]:
    kept = {"requestId": "0-0", "uid": "user", "feature": "killed", "status": "interrupted"}
    attempts = [{"model": "sim/paid", "upstreamId": "gen-1"}]
    cost = {"costNanoUsd": CENT, "costIsEstimate": False, "attempts": attempts}
    return {**kept, **cost, **fields}


def windows(**fields: Any) -> dict[str, dict[str, Any]]:
    return {
        "concurrent": {"count": fields.get("concurrent", 0)},
        "202611": {
            "days": {
                "22": {"requests": fields.get("requests", 1), "nanoUsd": fields.get("spent", CENT)}
            },
            "features": {CAPPED: {"days": {"22": {"requests": fields.get("capped", 0)}}}},
        },
    }


def asked(marker: str = "0-0", model: str = "sim/paid") -> dict[str, Any]:
    system = {"role": "system", "content": PROMPT.replace("{{request}}", marker)}
    return {"model": model, "body": {"messages": [system, {"content": "for 9-9."}]}}


def titled(marker: str = "0-0", model: str = "sim/paid") -> dict[str, Any]:
    system = {"role": "system", "content": "A title."}
    quoted = {"role": "user", "content": f"for {marker}."}
    return {"model": model, "body": {"messages": [system, quoted]}}


SOUND: dict[str, Any] = {
    "entries": {"a": entry()},
    "windows": {"user": windows()},
    "asked": [asked()],
    "charged": {"gen-1": CENT},
}
UNSOUND: dict[str, dict[str, Any]] = {
    "generations still running": {"entries": {"a": entry(status="running")}},
    "concurrency slots not released": {"windows": {"user": windows(concurrent=1)}},
    "spending that differs from the entries": {"windows": {"user": windows(spent=2 * CENT)}},
    "request counters that differ from the entries": {"windows": {"user": windows(requests=2)}},
    "requests sent to OpenRouter twice": {"asked": [asked(), asked()]},
    "requests to OpenRouter without an entry": {"asked": [asked(), asked("1-1")]},
    "costs that differ from OpenRouter's": {"charged": {"gen-1": CENT - 1}},
}


def judged(changed: dict[str, Any]) -> tuple[dict[str, list[str]], int]:
    given = {**SOUND, **changed}
    ledger = LedgerAudit(given["entries"], given["windows"])
    findings = ledger.findings(given["asked"], given["charged"])
    return {name: lines for name, lines in findings.lines.items() if lines}, report(findings)


def test_a_ledger_that_adds_up_is_found_to() -> None:
    assert judged({}) == ({}, 0)
    assert judged({"asked": [asked(), titled()]}) == ({}, 0)
    estimate = entry(costIsEstimate=True)
    assert judged({"entries": {"a": estimate}, "charged": {"gen-1": 1}}) == ({}, 0)


@pytest.mark.parametrize("name", UNSOUND)
def test_whatever_does_not_add_up_is_found(name: str) -> None:
    wrong, status = judged(UNSOUND[name])
    assert list(wrong) == [name]
    assert status == FAILED


def test_a_feature_with_a_cap_is_counted_by_itself() -> None:
    wrong, _ = judged({"entries": {"a": entry(feature=CAPPED)}})
    assert list(wrong) == ["request counters that differ from the entries"]
    assert judged(
        {"entries": {"a": entry(feature=CAPPED)}, "windows": {"user": windows(capped=1)}}
    ) == ({}, 0)


CALL = Call("user", "killed", "sim/fast", False, "0-0", opener="0-0", file=True)
AGAIN = replace(CALL, request_id="0-1", again="0-0", file=False)
ASKED, ANSWERED = f"q{CALL.generation}", f"a{CALL.generation}"
FILE = {"path": "users/user/uploads/notes.txt"}


def talk(**changed: Any) -> Conversation:
    """One question and its answer; None leaves something out."""
    question = {"role": "user", "parent": None, "text": "for 0-0.", "attachments": [FILE]}
    messages = {
        ASKED: {**question, "generationId": CALL.generation},
        ANSWERED: {
            "role": "assistant",
            "parent": ASKED,
            "text": "Yes.",
            "generationId": CALL.generation,
        },
    }
    kept = {**messages, **changed.get("messages", {})}
    kept = {id_: message for id_, message in kept.items() if message is not None}
    head = {"leaf": changed.get("leaf", ANSWERED)}
    return Conversation("user", str(CALL.conversation), head, kept, changed.get("sent", kept))


def ended(status: str, text: str = "Yes.") -> dict[str, Any]:
    return {CALL.generation: {"status": status, "result": {"text": text}}}


NO_ANSWER = talk(messages={ANSWERED: None}, leaf=ASKED)


def test_a_conversation_that_is_whole_is_found_to_be() -> None:
    talks = Conversations([talk()])
    assert talks.broken_links() == duplicates(talks) == []
    for status in ("done", "stopped", "failed", "interrupted"):
        assert talks.missing_questions([CALL], ended(status)) == []
        assert talks.missing_answers([CALL], ended(status)) == []
    assert talks.missing_text([CALL], {CALL.generation: "Ye"}) == []
    assert talks.abandoned_paths(Conversations([NO_ANSWER])) == []
    assert talks.file_paths() == [FILE["path"]]
    none = Conversations([])
    assert none.missing_questions([CALL], {}) == none.missing_answers([CALL], {}) == []
    assert none.missing_answers([CALL], ended("failed")) == []
    assert Conversations([NO_ANSWER]).missing_answers([CALL], ended("stopped", "")) == []
    again = {AGAIN.generation: {"status": "failed"}}
    assert Conversations([talk()]).missing_questions([AGAIN], again) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"messages": {ASKED: None}},
        {"leaf": "gone"},
        {"sent": {}},
        {"sent": {ASKED: {}, ANSWERED: {}, "more": {}}},
    ],
)
def test_a_message_that_is_lost_is_found(changed: dict[str, Any]) -> None:
    assert Conversations([talk(**changed)]).broken_links()


@pytest.mark.parametrize("status", ["running", "done", "stopped", "failed", "interrupted"])
def test_a_question_that_is_lost_is_found(status: str) -> None:
    question = talk().messages[ASKED]
    for changed in (None, {**question, "text": "for 0"}):
        talks = Conversations([talk(messages={ASKED: changed})])
        assert len(talks.missing_questions([CALL, CALL], ended(status))) == 1
    assert len(Conversations([]).missing_questions([CALL], ended(status))) == 1
    no_file = Conversations([talk(messages={ASKED: {**question, "attachments": []}})])
    assert len(no_file.missing_questions([CALL], ended(status))) == (status != "interrupted")


@pytest.mark.parametrize("status", ["done", "stopped"])
def test_an_answer_that_is_lost_is_found(status: str) -> None:
    assert len(Conversations([NO_ANSWER]).missing_answers([CALL], ended(status))) == 1
    assert len(Conversations([]).missing_answers([CALL], ended(status))) == 1
    assert len(Conversations([talk()]).missing_answers([CALL], ended(status, "Yes. And"))) == 1


def test_a_text_that_was_kept_and_is_lost_is_found() -> None:
    assert len(Conversations([NO_ANSWER]).missing_text([CALL], {CALL.generation: "Ye"})) == 1
    assert len(Conversations([talk()]).missing_text([CALL], {CALL.generation: "Yes. And"})) == 1


def test_a_path_that_is_taken_back_is_found() -> None:
    assert len(Conversations([NO_ANSWER]).abandoned_paths(Conversations([talk()]))) == 1


def test_a_message_that_is_there_twice_is_found() -> None:
    again = {"role": "user", "parent": None, "text": "for 0-0.", "generationId": "another"}
    assert len(duplicates(Conversations([talk(messages={"qanother": again})]))) == 1
    answer = {"role": "assistant", "generationId": CALL.generation, "parent": ASKED, "text": ""}
    assert len(duplicates(Conversations([talk(messages={"another": answer})]))) == 1


@pytest.mark.parametrize("times", ["0", "401", "x"])
def test_a_count_that_makes_no_sense_is_refused(times: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--times", times])
    assert ended.value.code == 2


def test_says_what_it_does() -> None:
    script = SCRIPTS / "kill-test"
    said = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--times" in said
    assert "--seed" in said
