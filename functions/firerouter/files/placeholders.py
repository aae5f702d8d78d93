"""Earlier messages and their files: which go along, and a placeholder for each of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..contract import FilePlaceholder, Json, Message, Part, StoredAnnotations
from .file import File

if TYPE_CHECKING:
    from ..contract import Notice

IMAGE_ALONE: Final = "[image]"  # the text of an answer that was an image and no word


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """An earlier message of a conversation, with its files.

    Attributes:
        attachments: Of a user's question.
        images: Of an answer: those that the model made.
    """

    message: Message
    attachments: tuple[File, ...] = ()
    images: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchedFiles:
    """What the files of a request came to.

    Attributes:
        parts: What is sent of them, by key. A file that is gone has none.
        annotations: What OpenRouter read of files before, by where that is stored.
        question_annotations: Of them, those of the question that is answered again.
        notices: What the user reads about files that are gone.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    annotations: Mapping[StoredAnnotations, tuple[Json, ...]] = field(default_factory=dict)
    question_annotations: tuple[Json, ...] = ()
    notices: list[Notice] = field(default_factory=list)

    @property
    def annotated_hashes(self) -> frozenset[str]:
        """The hashes of the files whose annotations go back to OpenRouter with its own answers."""
        files = (a.get("file") for each in self.annotations.values() for a in each)
        return frozenset(str(file.get("hash")) for file in files if isinstance(file, dict))

    def fill(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with parts for placeholders, and with their annotations."""
        return [self._filled(message) for message in messages]

    def _filled(self, message: Message) -> Message:
        parts = (
            self.parts.get(part.key) if isinstance(part, FilePlaceholder) else part
            for part in message.parts
        )
        stored = message.stored_annotations
        annotations = self.annotations.get(stored, ()) if stored else message.annotations
        return replace(
            message,
            parts=tuple(part for part in parts if part is not None),
            stored_annotations=None,
            annotations=annotations,
        )


def move_images(history: Sequence[HistoryMessage]) -> tuple[list[HistoryMessage], list[File]]:
    """Move images that a model made to the question after them: any model takes them there.

    Returns:
        The messages, and the images that no question follows.
    """
    moved: list[HistoryMessage] = []
    images: tuple[File, ...] = ()
    for entry in history:
        message = entry.message
        if message.role == "user":
            moved.append(replace(entry, images=images))
            images = ()
            continue
        if entry.images and not message.text:  # not all providers take an empty answer
            message = replace(message, text=IMAGE_ALONE)
        moved.append(replace(entry, message=message, images=()))
        images += entry.images
    return moved, [*images]


def with_placeholders(entry: HistoryMessage, keys: Collection[str]) -> Message:
    """Return the message with a placeholder for each of its files that is among `keys`."""
    files = (*entry.images, *entry.attachments)
    return add_placeholders(entry.message, [file.path for file in files if file.path in keys])


def add_placeholders(message: Message, keys: Sequence[str]) -> Message:
    parts = (*message.parts, *map(FilePlaceholder, keys))
    return replace(message, parts=parts) if keys else message


def keep_annotations(history: Sequence[HistoryMessage], max_bytes: int) -> list[HistoryMessage]:
    """Return the messages, only the newest with their annotations: those that fit.

    Args:
        history: The earlier messages.
        max_bytes: What all annotations may take; 0 drops them all.
    """
    left, kept = max_bytes, list[HistoryMessage]()
    for entry in reversed(history):
        stored = entry.message.stored_annotations
        if stored is not None and stored.size_bytes <= left:
            left -= stored.size_bytes
            kept.append(entry)
        else:
            bare = replace(entry.message, stored_annotations=None)
            kept.append(replace(entry, message=bare))
    return kept[::-1]
