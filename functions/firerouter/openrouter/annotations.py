"""What OpenRouter read of files, put back into the messages of a later request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..contract import Part, Turns

READING: Final = "reading"  # in an answer's, where what was read of a file is going to be


SEEN: Final = "I have read it."  # what an answer would have said of a file before its question


def without_reading(turn: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in turn.items() if name != READING}


def with_read(messages: Turns, read: list[dict[str, Any]]) -> Turns:
    """The messages, and what OpenRouter read of their files: with the answer after the last of
    them, where OpenRouter looks for it. Where there is none by now, the files go before their
    question, and an answer between them."""
    at = max((n for n, message in enumerate(messages) if _files(message)), default=None)
    if at is None:
        return messages
    before, message, after = messages[:at], messages[at], messages[at + 1 :]
    if after and after[0]["role"] == "assistant":
        answer = after[0]
        annotations = [*answer.get("annotations", ()), *read]
        return [*before, message, {**answer, "annotations": annotations}, *after[1:]]
    files = _files(message)
    rest = [part for part in message["content"] if part.get("type") != "file"]
    seen = {"role": "assistant", "content": SEEN, "annotations": read}
    asked = [{**message, "content": rest}] if rest else []
    return [*before, {**message, "content": files}, seen, *asked, *after]


def _files(message: Mapping[str, Any]) -> list[Part]:
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return [part for part in parts if part.get("type") == "file"]
