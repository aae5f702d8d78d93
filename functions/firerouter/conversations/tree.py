"""A conversation's tree: positions in it, and its messages as documents. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from .. import limits as wire
from ..contract import Json, Message
from ..files import AnnotationPieces, HistoryMessage, image_documents
from ..firestore import cut

EXTRA_FIELDS: Final = ("toolCalls", "toolResults", "reasoningDetails", "askedModel", "reading")
"""The fields of a message, besides its text and files, that a model is sent."""

_SPLIT_FIELDS: Final = ("text", "reasoning")
_RESULT_FIELDS: Final = (
    *("model", "provider", "reasoning", "finishReason", "usage", "revision", "timing"),
    *("toolCalls", "citations"),
)


@dataclass(frozen=True, slots=True)
class TreePosition:
    """A message and its page of the transcript. Above the first message, `message` is None."""

    message: str | None = None
    page: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of a path's messages, down to and including `up_to`."""

    text: str
    up_to: str

    def to_document(self) -> Json:
        return {"text": self.text, "upTo": self.up_to}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a path. size_bytes: the room that it takes, with its calls and files."""

    message_id: str
    entry: HistoryMessage
    size_bytes: int

    @property
    def role(self) -> str:
        return self.entry.message.role

    @property
    def text(self) -> str:
        return self.entry.message.text

    def truncated(self, max_chars: int) -> Turn:
        message = replace(self.entry.message, text=self.text[:max_chars])
        return replace(self, entry=replace(self.entry, message=message))


@dataclass(frozen=True, slots=True)
class ThreadPlace:
    """Where one generation joins a conversation.

    Attributes:
        parent: What the question follows. For a regeneration, the question itself, which exists.
        persisted: Whether question and answer are stored; those of a temporary request are not.
        page: The page that new messages go to, as far as is known.
        page_bytes: How many bytes are on that page already.
    """

    uid: str
    conversation_id: str
    generation: str
    feature: str
    parent: TreePosition = TreePosition()
    is_new: bool = False
    is_regeneration: bool = False
    persisted: bool = True
    page: int = 0
    page_bytes: int = 0

    @property
    def question_id(self) -> str:
        return f"q{self.generation}"

    @property
    def answer_id(self) -> str:
        return f"a{self.generation}"

    def ids(self) -> dict[str, str]:
        """Return where a client finds the answer: `{conversationId, messageId?}`."""
        ids = {"conversationId": self.conversation_id}
        return {**ids, "messageId": self.answer_id} if self.persisted else ids


@dataclass(frozen=True, slots=True)
class Question:
    """What a generation adds above its answer: a user's prompt, or the results of tools.

    attachments: The files that go with it, as documents store them.
    """

    role: Literal["user", "tool"]
    text: str = ""
    context: str | None = None
    tool_results: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()

    def to_document(self) -> Json:
        document: Json = {"role": self.role, "text": self.text}
        if self.context:
            document["context"] = self.context
        if self.tool_results:
            document["toolResults"] = list(self.tool_results)
        if self.attachments:
            document["attachments"] = list(self.attachments)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Question:
        context = document.get("context")
        return cls(
            role="tool" if document.get("role") == "tool" else "user",
            text=str(document.get("text", "")),
            context=context if isinstance(context, str) else None,
            tool_results=_objects(document.get("toolResults")),
            attachments=_objects(document.get("attachments")),
        )


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation as one generation sees it.

    Attributes:
        question: The question that is added; None for a regeneration.
        history: The stored messages above the answer, the oldest first.
        summary: The summary of the messages above those.
        to_summarize: What goes into the next summary: empty if none is due.
    """

    place: ThreadPlace
    question: Question | None = None
    history: tuple[HistoryMessage, ...] = ()
    summary: Summary | None = None
    to_summarize: tuple[Turn, ...] = ()

    @property
    def newest(self) -> Message | None:
        """The newest message of the history."""
        return self.history[-1].message if self.history else None

    @property
    def answered(self) -> TreePosition:
        """What the answer follows, as far as is known before the question is written."""
        if self.question is None:
            return self.place.parent
        return TreePosition(self.place.question_id, self.place.page)

    def with_attachments(self, documents: list[Json]) -> Thread:
        """Return the thread with files that go with its question."""
        if self.question is None or not documents:
            return self
        return replace(self, question=replace(self.question, attachments=tuple(documents)))

    def entry_place(self) -> Json:
        """Return the place as the ledger stores it, so that the reconciler can store the answer."""
        return {
            **self.place.ids(),
            "parent": self.answered.message,
            "parentPage": self.answered.page,
            "regenerates": self.place.is_regeneration,
        }

    def entry_question(self) -> Json | None:
        """Return the question as the ledger stores it, so that the reconciler can store it; None if
        there is none to store."""
        if self.question is None or not self.place.persisted:
            return None
        parent = {"parent": self.place.parent.message, "parentPage": self.place.parent.page}
        feature = {"feature": self.place.feature, "begins": self.place.is_new}
        return {**self.question.to_document(), **parent, **feature}


def position_of(message: object, page: object) -> TreePosition:
    """Return the position that a document names; the beginning if it is malformed."""
    if isinstance(message, str) and type(page) is int:
        return TreePosition(message, page)
    return TreePosition()


def parent_of(message: Mapping[str, object]) -> TreePosition:
    return position_of(message.get("parent"), message.get("parentPage"))


def summary_of(conversation: Mapping[str, object], max_chars: int) -> Summary | None:
    match conversation.get("summary"):
        case {"text": str(text), "upTo": str(up_to)} if text:
            return Summary(text[:max_chars], up_to)
    return None


def answer_document(
    feature: str,
    result: Mapping[str, object],
    status: str,
    error: str | None,
    annotations: AnnotationPieces | None,
) -> Json:
    """Return an answer as the document that clients read.

    Args:
        feature: Which feature answered.
        result: What the caller gets.
        status: How the answer ended.
        error: The reason for its failure, if it failed.
        annotations: What OpenRouter read of files, for later requests.
    """
    document: Json = {"role": "assistant", "text": result["text"]}
    attempts = result.get("attempts")
    if details := result.get("reasoningDetails"):
        # as text: they are any JSON, and the order of their fields must not change
        document["reasoningDetails"] = json.dumps(details)
        if isinstance(attempts, list) and attempts:
            document["askedModel"] = attempts[-1]["model"]
    if annotations:
        document["reading"] = annotations.to_document()
    document |= {"status": status, "feature": feature}
    document |= {name: result[name] for name in _RESULT_FIELDS if name in result}
    if images := image_documents(result):
        document["images"] = images
    return {**document, "error": error} if error else document


def extras_of(message: Mapping[str, object]) -> Json:
    """Return the `EXTRA_FIELDS` that a message, or its item on a page, has."""
    return {name: message[name] for name in EXTRA_FIELDS if message.get(name)}


def split_message(id_: str, message: Json, part_chars: int) -> Iterator[tuple[str, Json]]:
    """Yield the ID and content of each document of a message: several if it is too long for one."""
    pieces = {
        name: cut(text, part_chars)
        for name in _SPLIT_FIELDS
        if isinstance(text := message.get(name), str)
    }
    rest = [(name, piece) for name, cuts in pieces.items() for piece in cuts[1:]]
    first = {name: cuts[0] for name, cuts in pieces.items()}
    yield id_, {**message, **first, "parts": len(rest)}
    for number, (name, piece) in enumerate(rest, 1):
        yield f"{id_}.{number}", {"role": "part", "of": id_, "number": number, name: piece}


def title_of(text: str, max_chars: int = wire.TITLE_MAX_CHARS) -> str:
    """Return the beginning of a text as one line."""
    line = " ".join(text[: 4 * max_chars].split())
    return line if len(line) <= max_chars else line[: max_chars - 1].rstrip() + "…"


def _objects(value: object) -> tuple[Json, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, dict))
