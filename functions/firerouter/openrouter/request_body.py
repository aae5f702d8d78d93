"""A request's JSON as it is sent. The files in it are sent a piece at a time, and never copied.

A file takes megabytes, and a comparison sends it to six models at once: each request that held a
copy of its own, and another one while the network is busy, would take up the instance's memory.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final

import orjson

from .json_fields import Json

FILE_MIN_CHARS: Final = 64_000  # a shorter text is copied
PIECE_CHARS: Final = 64_000

Lift = Callable[[object], object]


class RequestBody:
    """The bytes of a request with files, in pieces.

    Attributes:
        size_bytes: How many bytes they are together.
    """

    def __init__(self, parts: Iterable[bytes | str]) -> None:
        """`parts` are what was encoded, and in between the files as they are."""
        self._parts = tuple(parts)
        self.size_bytes = sum(map(len, self._pieces()))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces():
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            for at in range(0, len(part), PIECE_CHARS):
                yield orjson.dumps(part[at : at + PIECE_CHARS])[1:-1]  # without its quotes


def request_body(body: Json) -> bytes | RequestBody:
    """Return the JSON of a request: in pieces if its messages have files."""
    files: list[str] = []
    mark = secrets.token_hex(16)  # no text of a caller's has it

    def lift(value: object) -> object:
        if isinstance(value, str) and value.isascii() and len(value) >= FILE_MIN_CHARS:
            files.append(value)
            return mark
        return value

    lifted = _with_files_lifted(body, lift)
    if not files:
        return _encode(body)
    first, *others = _encode(lifted).split(mark.encode())
    pairs = zip(files, others, strict=True)
    return RequestBody([first, *(part for pair in pairs for part in pair)])


def _with_files_lifted(body: Json, lift: Lift) -> Json:
    """Return the request with what `lift` returns in place of each text of a file."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    return {**body, "messages": [_message(message, lift) for message in messages]}


def _message(message: Json, lift: Lift) -> Json:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_part(part, lift) for part in content]}


def _part(part: Json, lift: Lift) -> Json:
    """Return a part of a message: the text of a file is a field of a field."""
    return {
        name: {key: lift(inner) for key, inner in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in part.items()
    }


def _encode(body: Json) -> bytes:
    """Encode a request. The client's own encoder would block the event loop ten times as long."""
    try:
        return orjson.dumps(body)
    except TypeError:  # an admin's `parameters` may contain an integer of more than 64 bits
        return json.dumps(body, allow_nan=False).encode()
