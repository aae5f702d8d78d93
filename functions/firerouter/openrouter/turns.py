"""Messages in an order and a form that every provider accepts. Pure.

Many providers refuse a request, and with it a conversation for good, if two questions follow one
another, if an answer comes first or a question right after a tool's result, or if a message is
blank. A conversation gets there by itself: an answer fails, is empty, or calls tools whose results
never come. So blank messages are left out, neighbors of one role become one message, and a few
words stand in where a message has to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ..contract import Message, Part, TextPart
from .annotations import HAS_READ

BEGINNING: Final = "(The conversation begins.)"  # for the question before a first answer
HAS_RESULTS: Final = "I have the results."  # for the answer to results of tools
NO_RESULT: Final = "(no output)"  # for a blank result of a tool


def in_turns(messages: Iterable[Message]) -> list[Message]:
    """Return the messages as every provider accepts them. Each call of a tool has its result."""
    turns: list[Message] = []
    for message in filter(None, map(_without_blanks, messages)):
        last = turns[-1] if turns else None
        if last is not None and last.role == message.role and message.role in ("user", "assistant"):
            turns[-1] = _joined(last, message)
            continue
        if message.role == "assistant" and (last is None or last.role == "system"):
            turns.append(Message("user", BEGINNING))
        if message.role == "user" and last is not None and last.role == "tool":
            turns.append(Message("assistant", HAS_RESULTS))
        turns.append(message)
    return turns


def _without_blanks(message: Message) -> Message | None:
    """Return a message without blank text; None if nothing is left of it."""
    if message.role == "tool":
        replies = (
            reply if reply.content.strip() else replace(reply, content=NO_RESULT)
            for reply in message.tool_replies
        )
        return replace(message, tool_replies=tuple(replies))
    text = message.text if message.text.strip() else ""
    parts = tuple(part for part in message.parts if not _is_blank(part))
    if not (text or parts or message.tool_requests):
        return replace(message, text=HAS_READ) if message.annotations else None
    return replace(message, text=text, parts=parts)


def _is_blank(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.text.strip()


def _joined(first: Message, second: Message) -> Message:
    """Return two messages of one role as one, with the calls and the reasoning of the second."""
    texts, parts = [first.text, second.text], (*first.parts, *second.parts)
    if first.parts:  # a message's text comes before its parts
        between = [TextPart(second.text)] if second.text else []
        texts, parts = [first.text], (*first.parts, *between, *second.parts)
    return replace(
        second,
        text="\n\n".join(filter(None, texts)),
        parts=parts,
        annotations=(*first.annotations, *second.annotations),
    )
