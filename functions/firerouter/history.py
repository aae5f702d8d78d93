"""What a model is told of a conversation: the newest turns that fit, and the older ones in short.

Walked from where the question joins it up to the beginning, over pages of many messages each. A
summary stands for all that is above and at one message of the path: the walk ends there. Where
a feature wants summaries, a history that has outgrown three quarters of its room has the older
half of its turns folded into the next one, so that nothing has to be left out meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from . import limits
from .attachments import files_of
from .callable.envelope import encode
from .threads import Document, Thread, Turn, beside, parent_of

TOLD_BEFORE: Final = "This is what was said before, in short:\n\n"


async def walk(conversation: Any, thread: Thread, max_chars: int) -> None:
    """Sets `thread.history`, at most `max_chars` of it, and `thread.folds`. Raises what Firestore
    raises."""
    fitting, older = await _turns(conversation, thread, max_chars)
    summary = thread.summary
    while fitting and fitting[-1].role != "user":
        older.insert(0, fitting.pop())  # an answer whose question did not fit
    thread.history = [turn.told() for turn in reversed(fitting)]
    if summary is not None:
        thread.history.insert(0, {"role": "user", "content": TOLD_BEFORE + summary.text})
    used = sum(turn.size for turn in fitting)
    if thread.summarises and (older or used > limits.SUMMARISE_FROM * max_chars):
        thread.folds = _folded(fitting, older)


async def _turns(
    conversation: Any, thread: Thread, max_chars: int
) -> tuple[list[Turn], list[Turn]]:
    """(the newest turns, whole ones alone, while they fit; those above, which do not and are to be
    summarised), the newest first. Clears `thread.summary` where that is of another path."""
    pages: dict[int, Document] = {}
    fitting: list[Turn] = []
    older: list[Turn] = []
    summary = thread.summary
    spot, left = thread.parent, max_chars - (len(summary.text) if summary else 0)
    room = limits.SUMMARY_READS_MAX_CHARS
    while spot.message is not None:
        if summary is not None and spot.message == summary.up_to:
            return fitting, older
        if spot.page not in pages:
            if len(pages) >= limits.HISTORY_PAGES_MAX:
                break
            pages[spot.page] = await _page(conversation, spot.page)
        item = pages[spot.page].get(spot.message)
        if not isinstance(item, dict):
            break  # lost by hand: what is above it makes no sense alone
        asked = thread.regenerates and not fitting  # the question: sent whatever its length
        text = item.get("text")
        if asked and text is None:
            text = await _text(conversation, spot.message)
        if not isinstance(text, str):
            break
        turn = _turn(thread, spot.message, item, text)
        if turn.role == "assistant" and not (text or turn.more):
            spot = parent_of(item)  # stopped before it said anything: some models refuse such a one
            continue
        left -= turn.size
        if left >= 0 or asked:
            fitting.append(turn)
        elif thread.summarises and (room := room - turn.size) >= 0:
            older.append(turn)
        else:
            break
        spot = parent_of(item)
    thread.summary = None
    return fitting, older


def _turn(thread: Thread, message: str, item: Document, text: str) -> Turn:
    more = beside(item)
    size = len(text) + (len(encode(more)) if more else 0)
    if files := files_of(thread.uid, item.get("attachments")):
        more["attachments"] = item["attachments"]
        size += sum(file.size for file in files if file.is_text)  # sent like any other text
    if files_of(thread.uid, item.get("images")):
        more["images"] = item["images"]
    return Turn(message, item["role"], text, more, size)


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


async def _text(conversation: Any, message: str) -> str:
    """Of a message that is too long for a page: all its parts, as it was sent."""
    messages = conversation.collection("messages")
    first = (await messages.document(message).get(retry=None, timeout=limits.READ_S)).to_dict()
    document = first or {}
    texts = [document.get("text", "")]
    for number in range(1, document.get("parts", 0) + 1):
        reference = messages.document(f"{message}.{number}")
        part = (await reference.get(retry=None, timeout=limits.READ_S)).to_dict() or {}
        texts.append(part.get("text", ""))
    return "\n\n".join(text for text in (document.get("context"), "".join(texts)) if text)
