"""OpenRouter's streams in bytes: the pieces of one, and a body that yields them."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import httpx2

SSE: Final = {"content-type": "text/event-stream"}
DONE: Final = b"data: [DONE]\n\n"
USAGE: Final = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.001}


class Body(httpx2.AsyncByteStream):
    """A body that comes in pieces, and ends or breaks."""

    def __init__(self, pieces: Iterable[bytes], breaks: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._breaks = breaks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
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
