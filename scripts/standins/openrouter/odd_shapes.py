"""What providers make of the format: answers that OpenRouter passes on as it got them.

The table in `faults` names each of them. Some also refuse what many providers refuse.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from .behaviors import error_of
from .chat_requests import ChatRequest
from .completions import REASONING, Answer, words
from .error_responses import Refusal
from .streams import SHORT_TOKENS, Event, Exchange, script_of, usage_event

Json = dict[str, Any]

IMAGE_BYTES = 7_800_000
FOLLOWS = {"user": {"assistant"}, "assistant": {"user", "tool"}, "tool": {"assistant", "tool"}}


# Ends


async def held_after_done(ex: Exchange) -> None:
    ex.settle()
    await ex.open()
    await ex.send(script_of(ex).all())
    await ex.wire.hold()


async def held_after_finish(ex: Exchange) -> None:
    ex.settle()
    await ex.open()
    await ex.send(script_of(ex).all()[:-1])
    await ex.wire.hold()


async def spaced_done(ex: Exchange) -> None:
    ex.settle()
    await ex.play([*script_of(ex).all()[:-1], Event(b"data: [DONE] \n\n")])


def finishing(reason: str) -> Callable[[Answer], Answer]:
    """Return what ends an answer after a few words, with this finish reason."""

    def reshape(answer: Answer) -> Answer:
        tokens = answer.tokens[:SHORT_TOKENS]
        return replace(answer, tokens=tokens, finish_reason=reason, native_finish_reason=reason)

    return reshape


async def blank_finish(ex: Exchange) -> None:
    """Say `finish_reason: ""` in each chunk, and end cleanly in the middle."""
    tokens = ex.answer.tokens[:SHORT_TOKENS]
    await ex.play([Event(ex.chunks.delta({"content": token}, ""), 1) for token in tokens])


async def error_in_packet(ex: Exchange) -> None:
    """Send five words and an error with its usage in one packet."""
    ex.generation.finish_reason = "error"
    spoken = b"".join(ex.chunks.text(token) for token in ex.answer.tokens[:5])
    error = {"error": error_of(502), "choices": [], "usage": ex.usage(5)}
    await ex.play([Event(spoken + ex.chunks.event(error), 5)])


# Usage


async def zero_usage(ex: Exchange) -> None:
    ex.settle()
    script = script_of(ex)
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}
    after = Event(ex.chunks.event({"choices": [], "usage": zero}))
    await ex.play([*script.body, script.finish, script.usage, after, script.done])


def floats(usage: Json) -> Json:
    return {
        **usage,
        "prompt_tokens": float(usage["prompt_tokens"]),
        "completion_tokens": float(usage["completion_tokens"]),
    }


async def two_choices(ex: Exchange) -> None:
    """Answer twice at once, as for `n: 2`."""
    ex.settle()
    script = script_of(ex)
    spoken = []
    for token in ex.answer.tokens:
        choices = [{"index": at, "delta": {"content": text}} for at, text in ((0, token), (1, "?"))]
        spoken.append(Event(ex.chunks.event({"choices": choices}), 1))
    await ex.play([*script.opening, *spoken, script.finish, script.usage, script.done])


# Reasoning


async def reasoning_details_alone(ex: Exchange) -> None:
    ex.answer = replace(ex.answer, reasoning=())
    await _reasoning_first(
        ex,
        [
            {"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]}
            for text in REASONING
        ],
    )


async def plain_reasoning(ex: Exchange) -> None:
    ex.answer = replace(ex.answer, reasoning=())
    await _reasoning_first(ex, [{"reasoning": text} for text in REASONING])


def wants_reasoning(chat: ChatRequest) -> Refusal | None:
    """Refuse results of tools whose calls came back without their reasoning."""
    called = [message for message in chat.messages if message.get("tool_calls")]
    if all(message.get("reasoning") for message in called):
        return None
    raw = "Missing `reasoning_content` field in the assistant message"
    return Refusal(400, "Provider returned error", {"raw": raw, "provider_name": "Simulated"})


async def _reasoning_first(ex: Exchange, deltas: list[Json]) -> None:
    ex.settle()
    script = script_of(ex)
    reasoned = [Event(ex.chunks.delta({"content": "", **delta}), 1) for delta in deltas]
    usage = usage_event(ex, "repeats", ex.answer.spent + len(deltas))
    ends = [script.finish, usage, script.done]
    await ex.play([*script.opening, *reasoned, *script.content, *ends])


# Tool calls


async def shared_index(ex: Exchange) -> None:
    """Call each tool three times, whole, in one chunk and with the same index."""
    calls = [
        {"index": 0, "id": f"a{n}", "type": "function", "function": _function(tool, n)}
        for tool in ex.chat.tools
        for n in (1, 2, 3)
    ]
    await _call(ex, [{"tool_calls": calls}])


async def odd_calls(ex: Exchange) -> None:
    """Call each tool without index and id, its arguments an object, a null name before it."""
    deltas: list[Json] = []
    for number, tool in enumerate(ex.chat.tools):
        function = {"name": tool.get("name"), "arguments": {"number": number}}
        deltas += [
            {"tool_calls": [{"function": {"name": None, "arguments": ""}}]} if number else {},
            {"tool_calls": [{"function": function}]},
        ]
    await _call(ex, deltas)


def _function(tool: Json, number: int) -> Json:
    return {"name": tool.get("name"), "arguments": json.dumps({"number": number})}


async def _call(ex: Exchange, deltas: list[Json]) -> None:
    ex.answer = Answer((), finish_reason="tool_calls", native_finish_reason="tool_calls")
    ex.settle()
    script = script_of(ex)
    called = [Event(ex.chunks.delta({"content": None, **delta}), 1) for delta in deltas if delta]
    usage = usage_event(ex, "repeats", len(called))
    await ex.play([*script.opening, *called, script.finish, usage, script.done])


# Images


def large_image(_: Exchange) -> Answer:
    """Draw as many bytes as a picture of 4K has."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(IMAGE_BYTES - 8)
    return Answer((), image=f"data:image/png;base64,{base64.b64encode(png).decode()}")


# JSON


def wrapped_json(ex: Exchange) -> Answer:
    before, after = words("Sure! Here it is:"), words("I hope that helps.")
    return Answer((*before, "\r\n\r\n```JSON\r\n", ex.answer.text, "\r\n```\r\n\r\n", *after))


# Histories


def strict_turns(chat: ChatRequest) -> Refusal | None:
    """Refuse roles that don't alternate, and blank messages."""
    said = [message for message in chat.messages if message["role"] != "system"]
    roles = ["assistant", *(message["role"] for message in said)]
    for last, role in pairwise(roles):
        if role not in FOLLOWS[last] or roles[1] != "user":
            raw = "Conversation roles must alternate user/assistant/user/assistant/..."
            return Refusal(400, "Provider returned error", {"raw": raw})
    for message in chat.messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        if not message.get("tool_calls") and any(_is_blank(part) for part in parts):
            raw = "messages: text content blocks must contain non-whitespace text"
            return Refusal(400, "Provider returned error", {"raw": raw})
    return None


def blank(ex: Exchange) -> Answer:
    """Answer a first question with white space."""
    return ex.answer if "\n\n" in ex.chat.last_text else Answer((" \n ",))


def _is_blank(part: Json) -> bool:
    text = part.get("text", "x")
    return text is None or not text.strip()
