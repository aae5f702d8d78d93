"""OpenRouter's annotations of files, put back into the messages of a later request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..contract import DocumentPart, Json, Message, TextPart

HAS_READ: Final = "I have read it."  # stands in for the answer that annotations belong to


def add_annotations(messages: Sequence[Message], annotations: Sequence[Json]) -> list[Message]:
    """Return the messages with annotations on the assistant message after the last document.

    That is where OpenRouter expects them. If no assistant message follows, the documents are moved
    to a message of their own before the question, with a stand-in answer between the two.
    """
    at = max((n for n, message in enumerate(messages) if _documents(message)), default=None)
    if at is None:
        return [*messages]
    before, message, after = messages[:at], messages[at], messages[at + 1 :]
    if after and after[0].role == "assistant":
        answer = replace(after[0], annotations=(*after[0].annotations, *annotations))
        return [*before, message, answer, *after[1:]]
    documents = _documents(message)
    text = (TextPart(message.text),) if message.text else ()
    rest = (*text, *(part for part in message.parts if not isinstance(part, DocumentPart)))
    question = [replace(message, text="", parts=rest)] if rest else []
    return [
        *before,
        replace(message, text="", parts=documents),
        Message("assistant", HAS_READ, annotations=tuple(annotations)),
        *question,
        *after,
    ]


def _documents(message: Message) -> tuple[DocumentPart, ...]:
    return tuple(part for part in message.parts if isinstance(part, DocumentPart))
