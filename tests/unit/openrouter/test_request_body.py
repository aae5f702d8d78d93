"""What a request is sent as: the same bytes in pieces, of which no file has a copy."""

import json
from typing import Any

import pytest

from firerouter.openrouter.request_body import (
    FILE_MIN_CHARS,
    PIECE_CHARS,
    RequestBody,
    request_body,
)

FILE = "data:application/pdf;base64," + "QUJD/+" * 100_000


def asked(*parts: Any, **more: Any) -> dict[str, Any]:
    text = {"role": "system", "content": "Be brief."}
    return {"model": "m", "messages": [text, {"role": "user", "content": [*parts]}], **more}


def file_part(data: str) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}


async def sent(body: bytes | RequestBody) -> list[bytes]:
    return [body] if isinstance(body, bytes) else [piece async for piece in body]


@pytest.mark.parametrize(
    "body",
    [
        asked(file_part(FILE)),
        asked(file_part(FILE), {"type": "text", "text": "Hi"}, file_part(FILE[:-1])),
        asked({"type": "image_url", "image_url": {"url": FILE}}, tools=[{"a": 1}]),
        asked({"type": "input_audio", "input_audio": {"data": FILE, "format": "mp3"}}),
        asked(file_part(FILE), seed=2**70),
    ],
    ids=["a file", "two and a text", "an image", "audio", "a large number"],
)
async def test_files_are_sent_in_pieces_and_not_copied(body: dict[str, Any]) -> None:
    found = request_body(body)
    assert isinstance(found, RequestBody)
    pieces = await sent(found)
    assert json.loads(b"".join(pieces)) == body
    assert found.size_bytes == sum(map(len, pieces))
    assert max(map(len, pieces)) <= PIECE_CHARS
    kept = sum(len(part) for part in found._parts if isinstance(part, bytes))
    assert kept < 1_000  # bytes beside the files themselves
    whole = [part for part in found._parts if isinstance(part, str)]
    given = [*_texts(body)]
    assert all(any(part is text for text in given) for part in whole)


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize(
    "text",
    ["é" * FILE_MIN_CHARS, '"' * FILE_MIN_CHARS, "\\" * FILE_MIN_CHARS, "\n" * FILE_MIN_CHARS],
)
async def test_what_json_writes_otherwise_is_encoded(text: str) -> None:
    """No file has such text, but what is sent is JSON whatever it has."""
    for body in (asked(file_part(text)), asked(file_part(text), file_part(FILE))):
        assert json.loads(b"".join(await sent(request_body(body)))) == body


@pytest.mark.parametrize(
    "body",
    [asked({"type": "text", "text": "Hi"}), {"model": "m", "input": ["a"]}, {"messages": "odd"}],
)
def test_a_request_without_files_is_one_piece(body: dict[str, Any]) -> None:
    found = request_body(body)
    assert isinstance(found, bytes)
    assert json.loads(found) == body
