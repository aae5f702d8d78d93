"""What a model is sent of a conversation: the newest messages that fit, perhaps after a summary.

The path is walked from where the question joins it up to the beginning, over pages of many messages
each. Room is counted in bytes of UTF-8, which stand for tokens in any script. A turn (the question,
the tool calls and their results, the answer) is sent whole or not at all. A turn in progress, whose
question is answered again or whose tools have just returned results, is always sent, however long
it is.

A summary covers the message that it names and all those above, so the walk ends there. If the
feature wants summaries and a history fills three quarters of its room, the older half of its turns
is summarized next, so that nothing has to be left out until then. Pure: pages come from an
implementation of `Transcript`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ..callable import encode
from ..contract import Json, Message, StoredAnnotations, StoredReasoning, ToolReply, ToolRequest
from ..errors import MessageUnknown
from ..files import HistoryMessage, files_of, stored_annotations_of
from .limits import ConversationLimits
from .tree import Summary, TreePosition, Turn, extras_of, parent_of

SUMMARY_PREFIX: Final = "This is what was said before, in short:\n\n"


class Transcript(Protocol):
    """The source of a conversation's messages."""

    async def page(self, number: int) -> Mapping[str, object]:
        """Return what a page has of each message, by ID."""

    async def whole(self, message_id: str, item: Json) -> Json:
        """Return what a page would have of a message that is too long for one."""


@dataclass(frozen=True, slots=True)
class Path:
    """The path to walk, and what to return of it.

    Attributes:
        uid: The user. Only their own files are sent.
        end: The message that the question follows.
        max_bytes: The room for messages.
        summary: The conversation's summary, which may belong to another path.
        in_progress: Whether the newest turn is in progress: it is returned whole.
        is_regeneration: Whether the path ends with the question, which is answered again.
        wants_summary: Whether what does not fit is summarized instead of left out.
        question_annotations: For a regeneration, what OpenRouter read of the question's files.
    """

    uid: str
    end: TreePosition
    max_bytes: int
    summary: Summary | None = None
    in_progress: bool = False
    is_regeneration: bool = False
    wants_summary: bool = False
    question_annotations: StoredAnnotations | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What `walk` found.

    Attributes:
        messages: The oldest first; the summary is the first of them, if there is one.
        summary: The summary of the messages above; None if this path has none.
        to_summarize: What goes into the next summary, the oldest first; empty if none is due.
    """

    messages: tuple[HistoryMessage, ...] = ()
    summary: Summary | None = None
    to_summarize: tuple[Turn, ...] = ()


async def walk(transcript: Transcript, path: Path, limits: ConversationLimits) -> History:
    """Return the newest messages of a path, up to `max_bytes`, and what to summarize.

    Raises:
        MessageUnknown: The question that should be answered again is gone.
    """
    newest, older, summary = await _turns(transcript, path, limits)
    while newest and newest[-1].role != "user":
        older.insert(0, newest.pop())  # an answer whose question did not fit
    if path.is_regeneration and not newest:
        raise MessageUnknown(field="regenerate")
    messages = [turn.entry for turn in reversed(newest)]
    if path.question_annotations is not None:
        question = replace(messages[-1].message, stored_annotations=path.question_annotations)
        messages[-1] = replace(messages[-1], message=question)
    if summary is not None:
        messages.insert(0, HistoryMessage(Message("user", SUMMARY_PREFIX + summary.text)))
    used = sum(turn.size_bytes for turn in newest)
    due = path.wants_summary and (older or used > limits.summarize_from * path.max_bytes)
    return History(tuple(messages), summary, _older_half(newest, older) if due else ())


async def _turns(
    transcript: Transcript, path: Path, limits: ConversationLimits
) -> tuple[list[Turn], list[Turn], Summary | None]:
    """Return the newest messages that fit; those above them that a summary should take in; and the
    summary, if it belongs to this path. The newest come first."""
    newest: list[Turn] = []
    older: list[Turn] = []
    in_progress, full = path.in_progress, False
    left = path.max_bytes - (_size(path.summary.text) if path.summary else 0)
    readable = limits.summary_reads_max_bytes if path.wants_summary else 0
    async for message_id, item in _items(transcript, path.end, limits.pages_read_max):
        if path.summary is not None and message_id == path.summary.up_to:
            return newest, older, path.summary
        if full:
            continue  # only to see whether the summary belongs to this path
        if _says_nothing(item):
            continue
        is_long = not isinstance(item.get("text"), str)  # too long for a page
        if is_long and (in_progress or readable > 0):
            item = await transcript.whole(message_id, item)  # noqa: PLW2901
        turn = _turn(path.uid, message_id, item)
        left -= max(turn.size_bytes, limits.page_max_bytes if is_long else 0)
        if in_progress or left >= 0:
            newest.append(turn)
            in_progress = in_progress and turn.role != "user"
        elif readable > 0:
            older.append(turn.truncated(readable))  # of a long one, its beginning
            readable -= turn.size_bytes
        else:
            full = True
            if path.summary is None:
                break
    return newest, older, None


async def _items(
    transcript: Transcript, end: TreePosition, pages_max: int
) -> AsyncIterator[tuple[str, Json]]:
    """Yield the ID of each message from `end` up to the beginning, and what its page has of it.

    Stops early at the page limit, and at a missing message.
    """
    pages: dict[int, Mapping[str, object]] = {}
    position = end
    while position.message is not None:
        if position.page not in pages:
            if len(pages) >= pages_max:
                return
            pages[position.page] = await transcript.page(position.page)
        item = pages[position.page].get(position.message)
        if not isinstance(item, dict) or item.get("role") not in ("user", "assistant", "tool"):
            return
        yield position.message, item
        position = parent_of(item)


def _says_nothing(item: Json) -> bool:
    """Return whether this is an answer without content, which no model is sent."""
    text = item.get("text")
    is_blank = isinstance(text, str) and not text.strip()  # one that is too long is not here
    said = not is_blank or extras_of(item) or item.get("images")
    return item["role"] == "assistant" and not said


def _turn(uid: str, message_id: str, item: Json) -> Turn:
    text, extras = item.get("text"), extras_of(item)
    message = message_of(item)
    attachments = tuple(files_of(uid, item.get("attachments")))
    images = tuple(files_of(uid, item.get("images")))
    size = _size(text) if isinstance(text, str) else 0
    size += len(encode(extras)) if extras else 0
    size += sum(file.prompt_bytes for file in (*attachments, *images))
    return Turn(message_id, HistoryMessage(message, attachments, images), size)


def message_of(item: Json) -> Message:
    """Return the message that an item of a page describes. Malformed extras are ignored."""
    text, role = item.get("text"), item["role"]
    return Message(
        "user" if role == "user" else "tool" if role == "tool" else "assistant",
        text if isinstance(text, str) else "",
        tool_requests=tuple(_tool_requests(item.get("toolCalls"))),
        tool_replies=tuple(_tool_replies(item.get("toolResults"))),
        stored_reasoning=_reasoning(item.get("reasoningDetails"), item.get("askedModel")),
        stored_annotations=stored_annotations_of(item.get("reading")),
    )


def _tool_requests(calls: object) -> list[ToolRequest]:
    found = []
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"id": str(id_), "name": str(name), "arguments": str(arguments)}:
                found.append(ToolRequest(id_, name, arguments))
    return found


def _tool_replies(results: object) -> list[ToolReply]:
    found = []
    for result in results if isinstance(results, list) else ():
        match result:
            case {"toolCallId": str(call), "content": str(content)}:
                found.append(ToolReply(call, content))
    return found


def _reasoning(details: object, model: object) -> StoredReasoning | None:
    if isinstance(details, str) and isinstance(model, str):
        return StoredReasoning(details, model)
    return None


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _older_half(newest: list[Turn], older: list[Turn]) -> tuple[Turn, ...]:
    """Return what the next summary takes in: all that did not fit, and half of what did."""
    cut = -(-len(newest) // 2)
    while 0 < cut < len(newest) and newest[cut - 1].role != "user":
        cut += 1  # what stays begins with a question
    return (*reversed(newest[cut:] + older),)
