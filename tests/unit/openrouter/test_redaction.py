"""What admins may read of a failure: enough to act on, and neither keys nor prompts."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract import Message, TextPart, ToolReply, ToolRequest
from firerouter.errors import UpstreamRejected
from firerouter.keys import Secret
from firerouter.openrouter.failures import from_status
from firerouter.openrouter.redaction import HIDDEN, REASON_MAX_CHARS, explain, redact
from firerouter.openrouter.requests import ChatRequest, EmbeddingsRequest

KEY = "sk-or-v1-0123456789abcdef"
PROMPT = "Is Marguerite's password hunter2-Xk9, or 4111 1111 1111 1111?"


def clear(said: str, *prompts: str, known: str = "") -> str:
    return redact(said, keys=[KEY], prompts=prompts, known=known)


@pytest.mark.parametrize(
    "said",
    [
        "prompt is too long: 208732 tokens > 200000 maximum",
        "Developer instruction is not enabled for models/basalt-27b-it",
        "Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys",
        "temperature must be at most 2",
        "No endpoints found matching your data policy",
    ],
)
def test_what_is_wrong_stays_legible(said: str) -> None:
    assert clear(said, PROMPT) == said


def test_words_of_failures_stay_legible_for_a_prompt_that_has_them_too() -> None:
    said = "prompt is too long: 208732 tokens > 200000 maximum"
    assert clear(said, "How long is a prompt? Too long is a maximum of tokens.") == said


@pytest.mark.parametrize(
    "quoted",
    [
        KEY,
        f"Bearer {KEY}",
        f"bearer  {KEY}",
        "sk-or-v1-ffff0000ffff0000",
        "sk-or-v1-****************0000",
        "sk-proj-AbCdEfGhIjKl",
        "gsk_1234567890abcdef",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "Zm9vYmFyYmF6cXV4Zm9vYmFyMTIzNDU2Nzg5",
    ],
)
def test_a_key_is_taken_out(quoted: str) -> None:
    cleared = clear(f"Incorrect API key provided: {quoted}. Find it there.")
    assert cleared.startswith("Incorrect API key provided: [")
    for part in quoted.split():
        assert part[-8:] not in cleared


def test_the_key_in_use_is_taken_out_whatever_it_looks_like() -> None:
    assert (
        redact("key plain words given", keys=["plain words"], prompts=()) == f"key {HIDDEN} given"
    )


@pytest.mark.parametrize(
    "said",
    [
        PROMPT,
        f"Invalid value: '{PROMPT}'",
        json.dumps({"input": PROMPT}),
        json.dumps(json.dumps({"input": f"x\n{PROMPT}"})),
        PROMPT.upper(),
        PROMPT.replace(" ", "\n"),
        PROMPT[:38],
        PROMPT[12:41],
        f"...{PROMPT[8:30]}...",
        "hunter2",
        "".join(f"\\u{ord(char):04x}" for char in PROMPT),
    ],
)
def test_what_was_asked_is_taken_out_whole_or_in_pieces(said: str) -> None:
    cleared = clear(said, "Be brief.", PROMPT).lower()
    for secret in ("marguerite", "guerite", "hunter2", "xk9", "4111", "1111"):
        assert secret not in cleared


def test_what_was_asked_is_taken_out_where_no_spaces_part_the_words() -> None:
    cleared = clear("エラー: 秘密の合言葉は桜です", "秘密の合言葉は桜です。覚えて。")
    assert "秘密" not in cleared
    assert "桜" not in cleared


def test_common_words_in_the_order_of_the_prompt_are_the_prompts() -> None:
    cleared = clear("Bad input: the model is not free for this account", "the model is not free")
    assert cleared == f"Bad input: {HIDDEN} for this account"


def test_the_models_name_stays_whatever_the_prompt_has() -> None:
    assert clear("basalt is down", "Is basalt hard?", known="quarry/basalt") == "basalt is down"


def test_it_is_one_line_of_a_bounded_length() -> None:
    cleared = clear("no\n\n way\t" * 1_000)
    assert len(cleared) == REASON_MAX_CHARS
    assert "\n" not in cleared


def test_a_long_prompt_is_looked_through_quickly() -> None:
    prompt = "The quick brown fox jumps over the lazy dog number 12345. " * 20_000
    begins = time.perf_counter()
    assert "fox" not in clear("the fox says no " * 100, prompt)
    assert time.perf_counter() - begins < 5


async def test_all_that_a_request_holds_is_taken_out() -> None:
    call = ToolRequest("c1", "look", json.dumps({"q": "query-7"}))
    request = ChatRequest(
        keys=None,  # type: ignore[arg-type]
        models=["quarry/basalt"],
        messages=[
            Message("system", "system-1"),
            Message("user", "question-2", parts=(TextPart("part-3"),)),
            Message("assistant", "answer-4", tool_requests=(call,)),
            Message("tool", tool_replies=(ToolReply("c1", "reply-5"),)),
            Message("user", "question-6"),
        ],
        parameters={},
        app_name="App",
        referer="https://app.example",
    )
    said = "Bad value: system-1 question-2 part-3 answer-4 reply-5 question-6 query-7"
    error = from_status(400, {"message": said}, {})
    await explain(error, Secret(KEY), request, "quarry/basalt")
    assert error.upstream_reason == f"Bad value: {HIDDEN}"
    assert error.unredacted == ""
    vectors = EmbeddingsRequest(
        keys=None,  # type: ignore[arg-type]
        model="quarry/slate",
        inputs=["alpha-1", "beta-2"],
        form="float",
        parameters={},
        app_name="App",
        referer="https://app.example",
    )
    error = from_status(400, {"message": "Bad value: alpha-1 or beta-2"}, {})
    await explain(error, Secret(KEY), vectors, "quarry/slate")
    assert error.upstream_reason == f"Bad value: {HIDDEN} or {HIDDEN}"


async def test_admins_are_told_it_and_users_are_not() -> None:
    error = from_status(400, {"message": "temperature must be at most 2"}, {})
    await explain(error, None)
    assert type(error) is UpstreamRejected
    told = error.to_wire("0" * 32, for_admin=True)["details"]
    assert told["upstreamReason"] == "temperature must be at most 2"
    assert "temperature" not in json.dumps(error.to_wire("0" * 32))
    assert "temperature" not in repr(error) + str(error)


@given(said=st.text(), prompt=st.text())
def test_nothing_raises(said: str, prompt: str) -> None:
    assert len(clear(said, prompt)) <= REASON_MAX_CHARS
