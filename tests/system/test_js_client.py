"""The official JavaScript client, unchanged, calls and streams `execute_prompt` in the emulator.

It is the only judge of whether we speak the callable protocol: what it cannot read it drops
without a word. tests/system/js/client.mjs plays the scenarios, in one process for all of them.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.devtools.ports import LOOPBACK
from scripts.devtools.seed import PASSWORD, USER, create_documents
from scripts.devtools.suite import BUCKET, Suite, clean_environment
from scripts.devtools.toolchain import find_node
from tests.support.callables import serving

CLIENT = Path(__file__).parent / "js" / "client.mjs"
ENDS_WITHIN_S = 60
EMAIL = "js@demo.test"  # of its own: what one user may do in a minute is limited
FEATURES = {"js-cut": "sim/cut-mid-stream", "js-slow": "sim/slow", "js-drip": "sim/slow-drip"}
SCENARIOS = (
    *("stream", "unary", "refusedStream", "refusedUnary", "cutStream"),
    *("undefinedFields", "halfEmoji"),
    *("abort", "breakOut", "stopFromAnother", "watched", "compare"),
    *("files", "withoutAppCheck", "withoutAppCheckStream", "signedOut"),
)
WIRE_SCENARIOS = ("silence", "characters", "notANumber", "megabytes")

Outcome = dict[str, Any]


@pytest.fixture(scope="module")
def outcomes(suite: Suite) -> dict[str, Outcome]:
    """What came of each scenario, by its name."""
    _prepare(suite)
    addresses = {
        "project": suite.project,
        "region": suite.region,
        "functions": suite.functions_url.split("/")[2],
        "auth": suite.auth_host,
        "firestore": suite.firestore_host,
        "appCheck": suite.app_check_host,
        "email": EMAIL,
        "other": USER,
        "password": PASSWORD,
        "storage": suite.storage_url.removeprefix("http://"),
        "bucket": BUCKET,
    }
    return _play(addresses, *SCENARIOS)


def _play(addresses: dict[str, str], *scenarios: str) -> dict[str, Outcome]:
    command = [find_node(), str(CLIENT), json.dumps(addresses), *scenarios]
    done = subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, Outcome] = json.loads(done.stdout)
    return outcomes


@pytest.fixture(scope="module")
def wire_outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The same, of callables that know nothing of AI and can be made to do odd things."""
    with serving(tmp_path_factory.mktemp("callables") / "log") as server:
        addresses = {"project": "demo-wire", "url": f"http://{LOOPBACK}:{server.port}"}
        return _play(addresses, *WIRE_SCENARIOS)


def _prepare(suite: Suite) -> None:
    identity = f"http://{suite.auth_host}/identitytoolkit.googleapis.com/v1"
    account = {"email": EMAIL, "password": PASSWORD}
    sign_up = f"{identity}/accounts:signUp?key=local"
    httpx.post(sign_up, json=account, timeout=30, trust_env=False).raise_for_status()
    settings: dict[str, Outcome] = {id_: {"model": model} for id_, model in FEATURES.items()}
    settings["js-compare"] = {"model": "sim/fast", "allowedModels": ["sim/cut-mid-stream"]}
    features = {
        f"features/{id_}": {"enabled": True, "revision": 1, "settings": values}
        for id_, values in settings.items()
    }
    create_documents(suite.firestore_host, suite.project, features)


def test_stream_gives_the_chunks_in_order_and_then_the_result(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["stream"]
    first, *rest = outcome["chunks"]
    assert first["type"] == "start"
    assert first["generationId"] == outcome["data"]["generationId"]
    text = [chunk["delta"] for chunk in rest if chunk["type"] == "text"]
    assert len(text) > 1
    assert "".join(text) == outcome["data"]["text"] != ""
    assert outcome["data"]["finishReason"] == "stop"
    assert "streamError" not in outcome


def test_a_plain_call_gives_the_result(outcomes: dict[str, Outcome]) -> None:
    data = outcomes["unary"]["data"]
    assert data["text"]
    assert data["finishReason"] == "stop"
    assert data["usage"]["totalTokens"] > 0


def test_a_refused_stream_rejects_stream_and_data_alike(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["refusedStream"]
    (told,) = outcome["chunks"]
    assert (told["type"], told["error"]["reason"]) == ("error", "feature_unknown")
    assert told["error"]["details"] == outcome["dataError"]["details"]
    assert outcome["streamError"] == outcome["dataError"]
    assert outcome["dataError"]["code"] == "functions/not-found"
    assert outcome["dataError"]["details"]["reason"] == "feature_unknown"
    assert outcome["dataError"]["details"]["retryable"] is False
    assert outcome["dataError"]["details"]["traceId"]


def test_a_refused_call_rejects_with_code_and_reason(outcomes: dict[str, Outcome]) -> None:
    error = outcomes["refusedUnary"]["dataError"]
    assert error["code"] == "functions/not-found"
    assert error["details"]["reason"] == "feature_unknown"
    sentence = "This feature doesn't exist. Please update the app."
    assert error["message"] == f"{sentence} [404]"  # so the SDK does
    assert error["details"]["message"] == sentence


def test_undefined_fields_are_as_good_as_absent(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["undefinedFields"]
    assert outcome["data"]["finishReason"] == "stop"
    assert outcome["models"]["data"]["total"] > 20


def test_half_an_emoji_costs_no_call(outcomes: dict[str, Outcome]) -> None:
    assert "Say \ufffd!" in outcomes["halfEmoji"]["data"]["text"]


def test_a_stream_that_breaks_off_keeps_its_chunks_and_rejects(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["cutStream"]
    kinds = [chunk["type"] for chunk in outcome["chunks"]]
    assert (kinds[0], kinds[-1]) == ("start", "error")
    assert "text" in kinds
    assert outcome["chunks"][-1]["error"]["details"] == outcome["dataError"]["details"]
    assert outcome["dataError"]["message"].endswith(" [0]")
    assert outcome["streamError"] == outcome["dataError"]
    assert outcome["dataError"]["code"] == "functions/unavailable"
    assert outcome["dataError"]["details"]["reason"] == "stream_cut"
    assert outcome["dataError"]["details"]["generationId"] == outcome["chunks"][0]["generationId"]


def test_an_abort_ends_stream_and_data_at_the_client(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["abort"]
    assert [chunk["type"] for chunk in outcome["chunks"]] == ["start"]
    assert outcome["dataError"]["code"] == "functions/cancelled"
    assert outcome["streamError"]["code"] == "functions/internal"  # so the SDK reports an abort
    assert "data" not in outcome


def test_breaking_out_of_the_loop_ends_the_stream(outcomes: dict[str, Outcome]) -> None:
    assert [chunk["type"] for chunk in outcomes["breakOut"]["chunks"]] == ["start"]


def test_one_client_stops_what_another_streams(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["stopFromAnother"]
    id_ = outcome["chunks"][0]["generationId"]
    assert outcome["stopped"]["data"] == {
        "generationId": id_,
        "stopped": True,
        "status": "running",
    }
    assert "streamError" not in outcome
    assert outcome["data"]["finishReason"] == "stopped"
    text = [chunk["delta"] for chunk in outcome["chunks"] if chunk["type"] == "text"]
    assert "".join(text) == outcome["data"]["text"] != ""
    assert len(text) < 20  # of 600
    assert outcome["again"]["data"] == {
        "generationId": id_,
        "stopped": False,
        "status": "stopped",
    }
    following = outcome["next"]["data"]
    assert following["conversationId"] == outcome["data"]["conversationId"]
    assert following["messageId"] != outcome["data"]["messageId"]


def test_a_conversation_is_watched_while_it_is_written_and_by_its_owner_alone(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["watched"]
    result, stopped = outcome["data"], outcome["stopped"]["data"]
    assert (result["finishReason"], stopped["stopped"]) == ("stopped", True)
    (question,) = outcome["during"]["messages"]
    assert (question["role"], question["text"], question["parent"]) == ("user", "Hello", None)
    assert outcome["during"]["head"]["title"] == "Hello"
    assert outcome["during"]["head"]["leaf"] == question["id"]
    messages = {message["id"]: message for message in outcome["after"]["messages"]}
    answer = messages[result["messageId"]]
    assert (answer["status"], answer["parent"]) == ("stopped", question["id"])
    assert answer["text"] == result["text"] != ""
    assert outcome["after"]["head"]["leaf"] == answer["id"]
    assert outcome["after"]["errors"] == []
    assert outcome["spied"] == {"messages": [], "errors": ["permission-denied"] * 2}


def test_a_comparison_streams_each_models_chunks_by_its_index(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["compare"]
    first, *rest = outcome["chunks"]
    assert first["models"] == ["sim/fast", "sim/cut-mid-stream"]
    good, bad = outcome["data"]["results"]
    text = [c["delta"] for c in rest if c["index"] == 0 and c["type"] == "text"]
    assert "".join(text) == good["text"] != ""
    assert bad["error"]["details"]["reason"] == "stream_cut"
    (told,) = [chunk for chunk in rest if chunk["index"] == 1 and chunk["type"] == "error"]
    assert told["error"] == bad["error"]


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("withoutAppCheck", "app_check_failed"),
        ("withoutAppCheckStream", "app_check_failed"),
        ("signedOut", "sign_in_required"),
    ],
)
def test_an_app_that_does_not_prove_itself_is_unauthenticated(
    outcomes: dict[str, Outcome], scenario: str, reason: str
) -> None:
    outcome = outcomes[scenario]
    assert outcome["dataError"]["code"] == "functions/unauthenticated"
    assert outcome["dataError"]["details"]["reason"] == reason
    assert outcome.get("streamError", outcome["dataError"]) == outcome["dataError"]


def test_spaces_that_fill_a_silence_are_not_seen(wire_outcomes: dict[str, Outcome]) -> None:
    assert wire_outcomes["silence"] == {"chunks": [{"n": 1}, {"n": 2}], "data": "released"}


def test_no_character_costs_a_frame(wire_outcomes: dict[str, Outcome]) -> None:
    outcome = wire_outcomes["characters"]
    texts = [chunk["text"] for chunk in outcome["chunks"]]
    assert texts == outcome["data"]["texts"]
    assert texts == ["\u2028\u2029\u0085", '"\\\n\r\0', "\U0001f600é", "data: {}\n\n"]


def test_a_result_that_is_no_json_rejects_instead_of_hanging(
    wire_outcomes: dict[str, Outcome],
) -> None:
    outcome = wire_outcomes["notANumber"]
    assert outcome["streamError"] == outcome["dataError"]
    assert outcome["dataError"]["code"] == "functions/internal"
    assert outcome["dataError"]["details"]["reason"] == "internal"


def test_a_frame_of_megabytes_arrives_whole(wire_outcomes: dict[str, Outcome]) -> None:
    assert wire_outcomes["megabytes"] == {"lengths": [3_000_000], "data": {}}


def test_a_user_reads_their_own_files_with_the_storage_sdk(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["files"]
    assert seen["read"] == seen["byUrl"] == "Some words of my own."
    assert seen["metadata"]["contentType"] == "text/plain"
    assert seen["metadata"]["size"] == len(seen["read"])


@pytest.mark.parametrize("how", ["byAnother", "signedOut", "uploaded", "deleted", "listed"])
def test_what_the_storage_rules_do_not_allow_is_refused(
    outcomes: dict[str, Outcome], how: str
) -> None:
    assert outcomes["files"][how]["code"] == "storage/unauthorized"


def test_a_file_that_is_not_there_is_told_apart(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["files"]["missing"]["code"] == "storage/object-not-found"
