"""What each fault does: a behavior answers one exchange. The table in `faults` names them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from .completions import DONE, KEEP_ALIVE, Answer
from .error_responses import overloaded
from .streams import BREAK_AFTER_S, SHORT_TOKENS, Event, Exchange, script_of, usage_event

Json = dict[str, Any]
Behavior = Callable[[Exchange], Awaitable[None]]

SLOW_S = 3.0
PROMPT_S = 0.5
COMMENT_EVERY_S = 0.5
DRIP_S = 1.0
DRIP_TOKENS = 600
FLOOD_TOKENS = 100_000
TICK_S = 0.1
STEADY_S = 0.02
SPLIT_S = 0.002
FLAKY_TIMES = 2
LONG_PIECE_BYTES = 100_000
LONG_HEADER_BYTES = 4_000_000
HTML = b"<!DOCTYPE html>\n<html><head><title>Simulated page</title></head><body>ok</body></html>\n"


# Ordinary answers


async def stream(ex: Exchange) -> None:
    ex.settle()
    await ex.play(script_of(ex).all())


async def whole(ex: Exchange) -> None:
    await asyncio.sleep(ex.pace_s)
    await _json(ex, ex.whole())


async def stream_fast(ex: Exchange) -> None:
    ex.pace_s = 0
    await stream(ex)


async def stream_ticks(ex: Exchange) -> None:
    ex.pace_s = TICK_S
    await stream(ex)


async def stream_steady(ex: Exchange) -> None:
    ex.pace_s = STEADY_S
    await stream(ex)


async def flaky(ex: Exchange) -> None:
    """Fail with 503 twice for each distinct prompt, then answer it from then on."""
    if ex.flaky.fails_again(ex.chat.last_text, FLAKY_TIMES):
        raise overloaded()
    await (stream(ex) if ex.chat.stream else whole(ex))


# Time


async def prompt(ex: Exchange) -> None:
    ex.settle()
    script = script_of(ex)
    await ex.open()
    await asyncio.sleep(PROMPT_S)
    await ex.send([*script.content, script.finish, script.usage])
    await ex.wire.end(DONE)


async def slow(ex: Exchange) -> None:
    """Send keep-alive comments until the first token, as a busy provider does."""
    ex.settle()
    script = script_of(ex)
    await ex.open()
    for _ in range(int(SLOW_S / COMMENT_EVERY_S)):
        await ex.wire.send(KEEP_ALIVE)
        await asyncio.sleep(COMMENT_EVERY_S)
    await ex.send([*script.content, script.finish, script.usage])
    await ex.wire.end(DONE)


async def silent_again(ex: Exchange) -> None:
    """Answer the first question of a conversation, and nothing after that."""
    await (silent(ex) if ex.chat.turns > 1 else stream_fast(ex))


async def slow_whole(ex: Exchange) -> None:
    await asyncio.sleep(SLOW_S)
    await whole(ex)


async def silent(ex: Exchange) -> None:
    await ex.wire.hold()


async def silent_after_headers(ex: Exchange) -> None:
    await ex.open()
    await ex.wire.hold()


async def silent_after_headers_whole(ex: Exchange) -> None:
    await ex.wire.open(content_type="application/json", headers=ex.id_header)
    await ex.wire.hold()


async def stall(ex: Exchange) -> None:
    await ex.open()
    await ex.send(_start(ex))
    await ex.wire.hold()


async def stall_whole(ex: Exchange) -> None:
    await _half(ex)
    await ex.wire.hold()


async def comments_only(ex: Exchange) -> None:
    await ex.open()
    while True:
        await ex.wire.send(KEEP_ALIVE)
        await asyncio.sleep(COMMENT_EVERY_S)


async def slow_drip(ex: Exchange) -> None:
    ex.pace_s = DRIP_S
    ex.answer = Answer(tuple(f"drop-{number} " for number in range(1, DRIP_TOKENS + 1)))
    await stream(ex)


async def endless(ex: Exchange) -> None:
    chunk = ex.chunks.text("more ")
    await ex.open()
    while True:
        await ex.wire.send(chunk, 1)
        await asyncio.sleep(0)  # lets the loop notice that the client has disconnected


async def flood(ex: Exchange) -> None:
    """Send very many tokens as fast as they are taken, then the ordinary answer."""
    ex.settle()
    script, chunk = script_of(ex), ex.chunks.text("more ")
    await ex.open()
    for _ in range(FLOOD_TOKENS):
        await ex.wire.send(chunk, 1)
        await asyncio.sleep(0)  # others have their turn
    await ex.send([*script.content, script.finish, script.usage])
    await ex.wire.end(DONE)


# The connection


async def reset(ex: Exchange) -> None:
    ex.wire.reset()


async def reset_mid_stream(ex: Exchange) -> None:
    await ex.open()
    await ex.send(_start(ex))
    await asyncio.sleep(BREAK_AFTER_S)
    ex.wire.reset()


async def reset_mid_body(ex: Exchange) -> None:
    await _half(ex)
    await asyncio.sleep(BREAK_AFTER_S)
    ex.wire.reset()


async def cut_mid_stream(ex: Exchange) -> None:
    await ex.open()
    await ex.send(_start(ex))
    await asyncio.sleep(BREAK_AFTER_S)
    ex.wire.cut()


async def cut_mid_body(ex: Exchange) -> None:
    await _half(ex)
    await asyncio.sleep(BREAK_AFTER_S)
    ex.wire.cut()


async def split_utf8(ex: Exchange) -> None:
    """Split every event inside its first multi-byte character."""
    ex.settle()
    await ex.open()
    for event in script_of(ex).all()[:-1]:
        inside = next((at for at, byte in enumerate(event.data) if byte >= 0x80), -1) + 1
        if inside:
            await ex.wire.send(event.data[:inside])
            await asyncio.sleep(SPLIT_S)
        await ex.wire.send(event.data[inside:], event.tokens)
        await asyncio.sleep(SPLIT_S)
    await ex.wire.end(DONE)


async def one_packet(ex: Exchange) -> None:
    ex.settle()
    events = script_of(ex).all()
    body = b"".join(event.data for event in events)
    await ex.play([Event(body, sum(event.tokens for event in events))])


# Bodies of the wrong kind


async def json_for_sse(ex: Exchange) -> None:
    await _json(ex, ex.whole())


async def html_for_sse(ex: Exchange) -> None:
    await ex.wire.whole(HTML, content_type="text/html; charset=utf-8", headers=ex.id_header)


async def malformed_json(ex: Exchange) -> None:
    """Break one event in the middle; those after it are valid."""
    ex.settle()
    script = script_of(ex)
    first, *rest = script.content
    broken = Event(first.data[: len(first.data) // 2] + b"\n\n")
    await ex.play([*script.opening, first, broken, *rest, script.finish, script.usage, script.done])


async def malformed_whole(ex: Exchange) -> None:
    body = _dumped(ex.whole())
    await ex.wire.whole(body[: len(body) // 2], headers=ex.id_header)


async def error_in_200(ex: Exchange) -> None:
    ex.generation.finish_reason = "error"
    await _json(ex, {"id": ex.head.id, "error": error_of(502)}, tokens=0)


async def sse_as_json(ex: Exchange) -> None:
    ex.settle()
    body = b"".join(event.data for event in script_of(ex).all())
    await ex.wire.whole(body, headers=ex.id_header, tokens=ex.answer.spent)


async def long_line(ex: Exchange) -> None:
    await ex.open()
    await ex.wire.send(b'data: {"choices": "')
    while True:
        await ex.wire.send(b"x" * LONG_PIECE_BYTES)
        await asyncio.sleep(0)  # lets the loop notice that the client has disconnected


async def no_http(ex: Exchange) -> None:
    ex.wire.raw(b"\x00\xff is no HTTP\r\n\r\n")


async def long_header(ex: Exchange) -> None:
    ex.wire.raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * LONG_HEADER_BYTES + b"\r\n\r\n")


async def crlf(ex: Exchange) -> None:
    ex.settle()
    events = script_of(ex).all()
    await ex.play([event._replace(data=event.data.replace(b"\n", b"\r\n")) for event in events])


# Errors after the 200


async def error_first(ex: Exchange) -> None:
    ex.generation.finish_reason = "error"
    await ex.play([_error_event(ex, error_of(502))])


async def error_after_text(ex: Exchange) -> None:
    ex.generation.finish_reason = "error"
    start = _start(ex)
    error = _error_event(ex, error_of(502), usage=ex.usage(SHORT_TOKENS))
    await ex.play([*start, error, Event(DONE)])


async def error_string_code(ex: Exchange) -> None:
    ex.generation.finish_reason = "error"
    await ex.play([*_start(ex), _error_event(ex, error_of("server_error"))])


async def max_tokens_after_text(ex: Exchange) -> None:
    ex.generation.finish_reason = "length"
    metadata = {"error_type": "max_tokens_exceeded"}
    error = {"code": 400, "message": "The completion reached its maximum", "metadata": metadata}
    usage = ex.usage(SHORT_TOKENS)
    await ex.play([*_start(ex), _error_event(ex, error, usage=usage), Event(DONE)])


async def word_for_code(ex: Exchange) -> None:
    ex.generation.finish_reason = "error"
    error = {"code": "rate_limit_exceeded", "message": "Slow down, please"}
    await ex.play([_error_event(ex, error)])


async def error_after_text_whole(ex: Exchange) -> None:
    ex.generation.finish_reason = "error"
    tokens = ex.answer.tokens[:SHORT_TOKENS]
    ex.answer = replace(ex.answer, tokens=tokens, finish_reason="error")
    body = ex.whole()
    body["choices"][0]["error"] = error_of(502)
    await _json(ex, body)


# Ends and usage


async def no_done(ex: Exchange) -> None:
    ex.settle()
    script = script_of(ex)
    await ex.play([*script.body, script.finish, script.usage])


async def no_finish(ex: Exchange) -> None:
    await ex.play(script_of(ex).body)


def with_usage(*shapes: str) -> Behavior:
    """Return a stream whose usage chunks have these shapes; the last one counts everything."""

    async def behave(ex: Exchange) -> None:
        ex.settle()
        script = script_of(ex)
        early = [usage_event(ex, shape, ex.answer.spent // 2) for shape in shapes[:-1]]
        final = [usage_event(ex, shape) for shape in shapes[-1:]]
        await ex.play([*script.body, script.finish, *early, *final, script.done])

    return behave


async def no_usage_whole(ex: Exchange) -> None:
    body = ex.whole()
    del body["usage"]
    await _json(ex, body)


def with_choices(value: list[Json] | None) -> Behavior:
    """Return a stream with two odd chunks, whose `choices` is `value`: one first, one mid-text."""

    async def behave(ex: Exchange) -> None:
        ex.settle()
        odd = Event(ex.chunks.event({"choices": value}))
        script = script_of(ex)
        first, *rest = script.content
        ends = [script.finish, script.usage, script.done]
        await ex.play([*script.opening, odd, first, odd, *rest, *ends])

    return behave


def with_choices_whole(value: list[Json] | None) -> Behavior:
    async def behave(ex: Exchange) -> None:
        await _json(ex, {**ex.whole(), "choices": value}, tokens=0)

    return behave


# Pieces


def _start(ex: Exchange) -> list[Event]:
    script = script_of(ex)
    return [*script.opening, *script.content[:SHORT_TOKENS]]


def error_of(code: int | str) -> Json:
    metadata = {"error_type": "provider_unavailable", "provider_code": "upstream_disconnect"}
    return {"code": code, "message": "Provider disconnected unexpectedly", "metadata": metadata}


def _error_event(ex: Exchange, error: Json, usage: Json | None = None) -> Event:
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "finish_reason": "error",
        "native_finish_reason": None,
        "logprobs": None,
    }
    rest: Json = {"error": error, "choices": [choice]}
    return Event(ex.chunks.event(rest if usage is None else {**rest, "usage": usage}))


def _dumped(body: Json) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _json(ex: Exchange, body: Json, tokens: int | None = None) -> None:
    if ex.generation.finish_reason is None:
        ex.settle()
    spent = ex.answer.spent if tokens is None else tokens
    await ex.wire.whole(_dumped(body), headers=ex.id_header, tokens=spent)


async def _half(ex: Exchange) -> None:
    """Announce the whole body and send half of it."""
    body = _dumped(ex.whole())
    await ex.wire.open(content_type="application/json", headers=ex.id_header, length=len(body))
    await ex.wire.send(body[: len(body) // 2])
