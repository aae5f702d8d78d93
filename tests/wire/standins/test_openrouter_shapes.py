"""The forms of answers that providers make up, as the OpenRouter stand-in sends them."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scripts.standins.openrouter.faults import SHAPES
from scripts.standins.openrouter.odd_shapes import IMAGE_BYTES
from tests.support.openrouter_standin import (
    Answer,
    Server,
    answer,
    ask,
    call,
    deltas,
    serving,
)

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
JSON = {"type": "json_object"}
HELD_S = 0.1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--token-delay-ms", "1") as started:
        yield started


def calls(done: Answer) -> list[Any]:
    return [call for delta in deltas(done.chunks) for call in delta.get("tool_calls") or ()]


def tokens(done: Answer) -> list[tuple[Any, Any]]:
    return [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in done.usages]


CHECKS: dict[str, Callable[[Answer], bool]] = {
    "sim/done-with-space": lambda it: it.body.endswith(b"data: [DONE] \n\n"),
    "sim/blank-finish": lambda it: b'"finish_reason":""' in it.body and not it.finishes,
    "sim/network-error": lambda it: it.finishes[0] == "network_error" and bool(it.text),
    "sim/max-tokens": lambda it: it.finishes[0] == "max_tokens" and bool(it.text),
    "sim/guardrail": lambda it: it.finishes[0] == "guardrail_intervened" and bool(it.text),
    "sim/paid-packet-error": lambda it: len(it.pieces) < 3 and "error" in it.chunks[-1],
    "sim/paid-zero-usage": lambda it: tokens(it)[0] > (0, 0) and tokens(it)[1] == (0, 0),
    "sim/paid-floats": lambda it: isinstance(tokens(it)[0][0], float),
    "sim/two-choices": lambda it: max(len(chunk["choices"]) for chunk in it.chunks) == 2,
    "sim/reasoning-details": lambda it: (
        b'"reasoning_details"' in it.body and b'"reasoning":' not in it.body
    ),
    "sim/plain-reasoning": lambda it: (
        b'"reasoning":' in it.body and b'"reasoning_details"' not in it.body
    ),
    "sim/shared-index": lambda it: (
        [(call["index"], call["id"], call["function"]["name"]) for call in calls(it)]
        == [(0, f"a{n}", name) for name in ("f", "g") for n in (1, 2, 3)]
    ),
    "sim/odd-tools": lambda it: (
        [call["function"]["name"] for call in calls(it)] == ["f", None, "g"]
    ),
    "sim/paid-4k-image": lambda it: (
        len(it.body) > 4 * IMAGE_BYTES // 3 and it.usages[-1]["cost"] == 0.24
    ),
    "sim/wrapped-json": lambda it: "```JSON\r\n{" in it.text,
    "sim/strict-turns": lambda it: it.finishes[0] == "stop",
    "sim/blank-first": lambda it: it.text == " \n ",
}
HELD = {"sim/held-after-done": b"data: [DONE]\n\n", "sim/held-after-finish": b'"usage":'}


@pytest.mark.parametrize("name", CHECKS)
async def test_a_shape_is_what_its_line_says(server: Server, name: str) -> None:
    done = await answer(server, name, tools=TOOLS, response_format=JSON)
    assert (done.status, done.ended) == (200, "clean")
    assert CHECKS[name](done)


@pytest.mark.parametrize("name", HELD)
async def test_a_connection_is_held(server: Server, name: str) -> None:
    held = await ask(server, name)
    await held.head()
    while HELD[name] not in await held.piece():
        pass
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(held.piece(), HELD_S)
    held.close()


USER, SAID = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "x"}


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([USER, SAID, USER], 200),
        ([USER, CALLED, RESULT, SAID, USER], 200),
        ([USER, USER], 400),
        ([SAID, USER], 400),
        ([USER, CALLED, RESULT, USER], 400),
        ([USER, {**SAID, "content": " \n"}, USER], 400),
        ([USER, CALLED, {**RESULT, "content": ""}], 400),
    ],
)
async def test_turns_have_to_alternate_and_to_say_something(
    server: Server, messages: list[Any], status: int
) -> None:
    done = await answer(server, "sim/strict-turns", messages=messages)
    assert done.status == status


async def test_calls_have_to_come_back_with_their_reasoning(server: Server) -> None:
    for fields, status in (({}, 400), ({"reasoning": "Hm."}, 200)):
        messages = [USER, {**CALLED, **fields}, RESULT]
        assert (await answer(server, "sim/plain-reasoning", messages=messages)).status == status


async def test_some_models_have_no_vectors_in_base64(server: Server) -> None:
    async def vectors(model: str, form: str) -> Answer:
        body = json.dumps({"model": model, "input": ["a"], "encoding_format": form}).encode()
        return await (await call(server, "POST", "/api/v1/embeddings", body)).finish()

    refused = await vectors("sim/vectors-no-base64", "base64")
    assert refused.status == 400
    assert "base64" in refused.json["error"]["metadata"]["raw"]
    empty = await vectors("sim/vectors-paid-empty-base64", "base64")
    assert empty.json["data"] == []
    assert empty.json["usage"]["cost"] > 0
    for model in ("sim/vectors-no-base64", "sim/vectors-paid-empty-base64"):
        assert len((await vectors(model, "float")).json["data"]) == 1


def test_every_shape_is_tested() -> None:
    assert {fault.name for fault in SHAPES} == {*CHECKS, *HELD}
