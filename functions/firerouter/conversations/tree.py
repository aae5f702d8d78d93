"""A place in a conversation's tree, and a message as documents of it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from .. import limits
from ..files import Reading, documents_of

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TreePosition:
    """A place in the tree: a message and the page it is on; no message is above the first one."""

    message: str | None = None
    page: int = 0


class Turn(NamedTuple):
    """One message of the path, as a model is sent it. more: what it has beside its text, tools'
    calls and files. size: characters, of all that."""

    message: str
    role: str
    text: str
    more: Document
    size: int

    def told(self) -> Document:
        return {"role": self.role, "content": self.text, **self.more}


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said down to the message `up_to`, in short."""

    text: str
    up_to: str

    def to_document(self) -> Document:
        return {"text": self.text, "upTo": self.up_to}


@dataclass(slots=True)
class Thread:
    """The place where one generation joins a conversation.

    parent: what the question follows; with a regenerate, the question itself, which was asked
    before. history: the turns down to there, oldest first, {role, content, attachments?}. page,
    page_bytes: where new messages go, and what is there already. kept: whether they are written
    down at all. written: the question was, on the page asked_on. begun_at: when the conversation
    was, by this question.
    summary: what stands for the turns above `history`. summarises: whether what does not fit is
    to be summarised; folds: what is to go into the next summary; shortened: that one.
    reading: what OpenRouter read of files for its answer; known: where that is kept of the answer
    that is regenerated.
    """

    uid: str
    id: str
    generation: str
    feature: str
    new: bool
    regenerates: bool
    parent: TreePosition
    page: int = 0
    page_bytes: int = 0
    history: list[Document] = field(default_factory=list)
    question: Document | None = None
    kept: bool = True
    written: bool = False
    asked_on: int | None = None
    begun_at: Any = None
    deleted: bool = False
    summary: Summary | None = None
    summarises: bool = False
    folds: list[Turn] = field(default_factory=list)
    shortened: Summary | None = None
    reading: Reading | None = None
    known: Document | None = None

    @property
    def question_id(self) -> str:
        return f"q{self.generation}"

    @property
    def answer_id(self) -> str:
        return f"a{self.generation}"

    def place(self) -> dict[str, str]:
        """Where a client finds the answer."""
        return {"conversationId": self.id, **({"messageId": self.answer_id} if self.kept else {})}

    def to_entry(self) -> Document:
        """As the ledger keeps it, for whoever has to write the answer down in our place."""
        return {
            **self.place(),
            "parent": self.asked.message,
            "parentPage": self.asked.page,
            "regenerates": self.regenerates,
        }

    def to_write(self) -> Document | None:
        """The question, for whoever has to write it down in our place; None where nobody has to."""
        if self.question is None or not self.kept:
            return None
        tied = {"parent": self.parent.message, "parentPage": self.parent.page}
        return {**self.question, **tied, "feature": self.feature, "begins": self.new}

    def written_down(self) -> Document | None:
        """How the question was, for another instance that goes on from there; None: not yet."""
        if not self.written:
            return None
        begun = None if self.begun_at is None else self.begun_at.isoformat()
        return {"on": self.asked_on, "bytes": self.page_bytes, "begunAt": begun}

    def go_on_from(self, written: Document) -> None:
        self.written, self.asked_on = True, written["on"]
        if self.new:
            self.page, self.page_bytes = written["on"], written["bytes"]
            self.begun_at = datetime.fromisoformat(written["begunAt"])

    @property
    def asked(self) -> TreePosition:
        """What the answer follows."""
        if self.question is None:
            return self.parent
        return TreePosition(self.question_id, self.page if self.asked_on is None else self.asked_on)


def parent_of(message: Document) -> TreePosition:
    parent, page = message.get("parent"), message.get("parentPage")
    return (
        TreePosition(parent, page)
        if isinstance(parent, str) and type(page) is int
        else TreePosition()
    )


def question_of(lost: Document) -> Document:
    """Of what `Thread.to_write` gave."""
    tied = {"parent", "parentPage", "feature", "begins"}
    return {name: value for name, value in lost.items() if name not in tied}


def summary_of(conversation: Document) -> Summary | None:
    match conversation.get("summary"):
        case {"text": str(text), "upTo": str(up_to)} if text:
            return Summary(text[: limits.SUMMARY_MAX_CHARS], up_to)
    return None


def answer_of(thread: Thread, result: Document, status: str, error: str | None) -> Document:
    told = (
        *("model", "provider", "reasoning", "finishReason", "usage", "revision", "timing"),
        *("toolCalls", "citations"),
    )
    thoughts, attempts = result.get("reasoningDetails"), result.get("attempts")
    return {
        "role": "assistant",
        "text": result["text"],
        # as text: any JSON may be in them, in an order that has to stay
        **({"reasoningDetails": json.dumps(thoughts)} if thoughts else {}),
        **({"askedModel": attempts[-1]["model"]} if thoughts and attempts else {}),
        **({"reading": thread.reading.to_document()} if thread.reading else {}),
        "status": status,
        "feature": thread.feature,
        **{name: result[name] for name in told if name in result},
        **({"images": drawn} if (drawn := documents_of(result)) else {}),
        **({"error": error} if error else {}),
    }


# what a turn has beside its text, and a model is sent
_BESIDE: Final = ("toolCalls", "toolResults", "reasoningDetails", "askedModel", "reading")


def beside(message: Document) -> Document:
    """Of a message, or of what a page has of it."""
    return {name: message[name] for name in _BESIDE if message.get(name)}


def split_message(id_: str, message: Document) -> Iterator[tuple[str, Document]]:
    """(id, document) of a message: one, or several where a document would be too small for it."""
    most = limits.MESSAGE_PART_CHARS
    cut = {
        name: message[name] for name in ("text", "reasoning") if len(message.get(name, "")) > most
    }
    rest = [
        (name, text[begin : begin + most])
        for name, text in cut.items()
        for begin in range(most, len(text), most)
    ]
    yield id_, {**message, **{n: t[:most] for n, t in cut.items()}, "parts": len(rest)}
    for number, (name, text) in enumerate(rest, 1):
        yield f"{id_}.{number}", {"role": "part", "of": id_, "number": number, name: text}


def title_of(text: str) -> str:
    line = " ".join(text[: 4 * limits.TITLE_MAX_CHARS].split())
    if len(line) <= limits.TITLE_MAX_CHARS:
        return line
    return line[: limits.TITLE_MAX_CHARS - 1].rstrip() + "…"
