"""What a model is told of a conversation: the newest turns that fit, and the older ones in short.

Walked from where the question joins it up to the beginning, over pages of many messages each. The
room is counted in bytes of UTF-8, which stand for tokens in any script. A turn goes whole or not at
all: its question, the calls of tools and their results, the answer. The one that is under way, what
a regenerate answers again or tools have results for, goes whatever its length.

A summary stands for all that is above and at one message of the path: the walk ends there. Where
a feature wants summaries, a history that has outgrown three quarters of its room has the older
half of its turns folded into the next one, so that nothing has to be left out meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from .. import limits
from ..callable import encode
from ..errors import MessageUnknown
from ..files import files_of
from .tree import Document, Thread, Turn, beside, parent_of

TOLD_BEFORE: Final = "This is what was said before, in short:\n\n"


async def walk(conversation: Any, thread: Thread, max_bytes: int, *, under_way: bool) -> None:
    """Sets `thread.history`, at most `max_bytes` of it, and `thread.folds`. Raises MessageUnknown,
    and what Firestore raises.

    under_way: the newest turn goes on, and is told whole.
    """
    fitting, older = await _turns(conversation, thread, max_bytes, under_way=under_way)
    summary = thread.summary
    while fitting and fitting[-1].role != "user":
        older.insert(0, fitting.pop())  # an answer whose question did not fit
    if thread.regenerates and not fitting:
        raise MessageUnknown(field="regenerate")  # what it answers was lost by hand
    thread.history = [turn.told() for turn in reversed(fitting)]
    if thread.known is not None:
        thread.history[-1]["reading"] = thread.known
    if summary is not None:
        thread.history.insert(0, {"role": "user", "content": TOLD_BEFORE + summary.text})
    used = sum(turn.size for turn in fitting)
    if thread.summarises and (older or used > limits.SUMMARISE_FROM * max_bytes):
        thread.folds = _folded(fitting, older)


async def _turns(
    conversation: Any, thread: Thread, max_bytes: int, *, under_way: bool
) -> tuple[list[Turn], list[Turn]]:
    """(the newest turns, while they fit; those above, which do not and are to be summarised), the
    newest first. Clears `thread.summary` where that is of another path."""
    fitting: list[Turn] = []
    older: list[Turn] = []
    summary = thread.summary
    left = max_bytes - (_bytes(summary.text) if summary else 0)
    room = limits.SUMMARY_READS_MAX_BYTES if thread.summarises else 0
    full = False
    async for message, item in _path(conversation, thread):
        if summary is not None and message == summary.up_to:
            return fitting, older
        if full:
            continue  # only to see whether the summary is of this path
        if _says_nothing(item):
            continue
        long = not isinstance(item.get("text"), str)  # too long for a page
        if long and (under_way or room > 0):
            turn = _turn(thread, message, await _whole(conversation, message, item))
        else:
            turn = _turn(thread, message, item)
        left -= max(turn.size, limits.PAGE_MAX_BYTES if long else 0)
        if under_way or left >= 0:
            fitting.append(turn)
            under_way = under_way and turn.role != "user"
        elif room > 0:
            older.append(turn._replace(text=turn.text[:room]))  # of a long one, its beginning
            room -= turn.size
        else:
            full = True
            if summary is None:
                break
    thread.summary = None
    return fitting, older


async def _path(conversation: Any, thread: Thread) -> AsyncIterator[tuple[str, Document]]:
    """(id, what its page has of it) of each message from `thread.parent` up to the beginning, or
    to where what is above makes no sense alone: more pages than may be read, or one lost by hand.
    """
    pages: dict[int, Document] = {}
    spot = thread.parent
    while spot.message is not None:
        if spot.page not in pages:
            if len(pages) >= limits.HISTORY_PAGES_MAX:
                return
            pages[spot.page] = await _page(conversation, spot.page)
        item = pages[spot.page].get(spot.message)
        if not isinstance(item, dict):
            return
        yield spot.message, item
        spot = parent_of(item)


def _says_nothing(item: Document) -> bool:
    """An answer that was stopped before a word: some models refuse to be told of one."""
    said = item.get("text") != "" or beside(item) or item.get("images")
    return item["role"] == "assistant" and not said


def _turn(thread: Thread, message: str, item: Document) -> Turn:
    text, more = item.get("text") or "", beside(item)
    size = _bytes(text) + (len(encode(more)) if more else 0)
    if files := files_of(thread.uid, item.get("attachments")):
        more["attachments"] = item["attachments"]
        size += sum(file.prompt_bytes for file in files)
    if drawn := files_of(thread.uid, item.get("images")):
        more["images"] = item["images"]
        size += sum(file.prompt_bytes for file in drawn)
    return Turn(message, item["role"], text, more, size)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _folded(fitting: list[Turn], older: list[Turn]) -> list[Turn]:
    """What the next summary takes in: all that did not fit, and the older half of what did."""
    cut = -(-len(fitting) // 2)
    while 0 < cut < len(fitting) and fitting[cut - 1].role != "user":
        cut += 1  # what stays begins with a question
    return [*reversed(fitting[cut:] + older)]


async def _page(conversation: Any, page: int) -> Document:
    reference = conversation.collection("transcript").document(str(page))
    snapshot = await reference.get(retry=None, timeout=limits.READ_S)
    messages = (snapshot.to_dict() or {}).get("messages")
    return messages if isinstance(messages, dict) else {}


async def _whole(conversation: Any, message: str, item: Document) -> Document:
    """A message that is too long for a page: all its parts, as it was sent."""
    messages = conversation.collection("messages")
    first = (await messages.document(message).get(retry=None, timeout=limits.READ_S)).to_dict()
    document = first or {}
    texts = [document.get("text", "")]
    for number in range(1, document.get("parts", 0) + 1):
        reference = messages.document(f"{message}.{number}")
        part = (await reference.get(retry=None, timeout=limits.READ_S)).to_dict() or {}
        texts.append(part.get("text", ""))
    text = "\n\n".join(text for text in (document.get("context"), "".join(texts)) if text)
    return {**item, **beside(document), "text": text}
