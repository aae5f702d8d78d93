"""OpenRouter's streams in bytes: the pieces of one, and a body that yields them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, Final

import httpx2

from firerouter.openrouter import AnswerStream, Deadline, OpenRouterLimits, UpstreamResponse

SSE: Final = {"content-type": "text/event-stream"}
DONE: Final = b"data: [DONE]\n\n"
USAGE: Final = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.001}


class Body(httpx2.AsyncByteStream):
    """A body that comes in pieces, and ends, breaks or is held open."""

    def __init__(
        self, pieces: Iterable[bytes], breaks: Exception | None = None, *, held: bool = False
    ) -> None:
        self._pieces = list(pieces)
        self._breaks = breaks
        self._held = held
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._held:
            await asyncio.Event().wait()
        if self._breaks is not None:
            raise self._breaks

    async def aclose(self) -> None:
        self.closed = True


def sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return sse(
        {
            "id": "gen-1",
            "object": "chat.completion.chunk",
            "model": "answered/by",
            "provider": "Test",
            "choices": [choice],
            **fields,
        }
    )


def text(content: str) -> bytes:
    return chunk({"role": "assistant", "content": content})


STOP: Final = chunk({"content": ""}, "stop")


def open_stream(
    *pieces: bytes,
    headers: dict[str, str] | None = None,
    breaks: Exception | None = None,
    held: bool = False,
    wants_images: bool = False,
    **limits: Any,
) -> AnswerStream:
    """Return the stream of an answer whose body comes in these pieces.

    breaks: What breaks the connection at the end. held: Whether it stays open. limits: Of the
    answer, where they are not the usual ones.
    """
    body = Body(pieces, breaks, held=held)
    response = UpstreamResponse(httpx2.Response(200, headers=headers or SSE, stream=body))
    most = replace(OpenRouterLimits(), **limits)
    return AnswerStream(
        response, "asked/for", Deadline(30.0), limits=most, wants_images=wants_images
    )


async def read_text(stream: AnswerStream) -> str:
    """Read it to its end, as its user does."""
    await stream.prime()
    return "".join([delta.text async for deltas in stream for delta in deltas])
