"""Earlier messages with their files, and the placeholders that stand in for the files. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..contract import FilePlaceholder, Json, Message, Part, StoredAnnotations
from .file import File

if TYPE_CHECKING:
    from ..contract import Notice

FILE_ALONE: Final = "[file]"  # the text of a question whose files are gone, if it has no text
IMAGE_ALONE: Final = "[image]"  # the text of an answer that has images but no text


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """An earlier message of a conversation, with its files.

    Attributes:
        attachments: The files of a user's question.
        images: The images that the model generated for an answer.
    """

    message: Message
    attachments: tuple[File, ...] = ()
    images: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchedFiles:
    """The fetched files of a request.

    Attributes:
        parts: The part that is sent for each file, by key. A file that is gone has none.
        annotations: OpenRouter's annotations, by where they are stored, except those below.
        question_annotations: The annotations of a question that is answered again.
        notices: What the user should know about files that are gone.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    annotations: Mapping[StoredAnnotations, tuple[Json, ...]] = field(default_factory=dict)
    question_annotations: tuple[Json, ...] = ()
    notices: list[Notice] = field(default_factory=list)

    @property
    def annotated_hashes(self) -> frozenset[str]:
        """The hashes of the files whose annotations are sent back with OpenRouter's answers."""
        files = (a.get("file") for each in self.annotations.values() for a in each)
        return frozenset(str(file.get("hash")) for file in files if isinstance(file, dict))

    def fill(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with parts in place of placeholders, and with annotations."""
        return [self._filled(message) for message in messages]

    def _filled(self, message: Message) -> Message:
        parts = (
            self.parts.get(part.key) if isinstance(part, FilePlaceholder) else part
            for part in message.parts
        )
        stored = message.stored_annotations
        annotations = self.annotations.get(stored, ()) if stored else message.annotations
        return _not_empty(
            replace(
                message,
                parts=tuple(part for part in parts if part is not None),
                stored_annotations=None,
                annotations=annotations,
            )
        )


def move_images(history: Sequence[HistoryMessage]) -> tuple[list[HistoryMessage], list[File]]:
    """Move generated images to the next question, where any model accepts them.

    Returns:
        The messages, and the images that are not followed by a question.
    """
    moved: list[HistoryMessage] = []
    images: tuple[File, ...] = ()
    for entry in history:
        message = entry.message
        if message.role == "user":
            moved.append(replace(entry, images=images))
            images = ()
            continue
        if entry.images and not message.text:  # not all providers accept an empty answer
            message = replace(message, text=IMAGE_ALONE)
        moved.append(replace(entry, message=message, images=()))
        images += entry.images
    return moved, [*images]


def with_placeholders(entry: HistoryMessage, keys: Collection[str]) -> Message:
    """Return the message with placeholders for those of its files that are among `keys`."""
    files = (*entry.images, *entry.attachments)
    keys = [file.path for file in files if file.path in keys]
    return _not_empty(add_placeholders(entry.message, keys))


def _not_empty(message: Message) -> Message:
    """Return the message with a text, if it is a question without any and its files are left out:
    not all providers accept an empty question."""
    if message.role != "user" or message.parts or message.text.strip():
        return message
    return replace(message, text=FILE_ALONE)


def add_placeholders(message: Message, keys: Sequence[str]) -> Message:
    parts = (*message.parts, *map(FilePlaceholder, keys))
    return replace(message, parts=parts) if keys else message


def keep_annotations(history: Sequence[HistoryMessage], max_bytes: int) -> list[HistoryMessage]:
    """Return the messages; only the newest annotations that fit stay on them.

    Args:
        history: The earlier messages.
        max_bytes: The bytes of all annotations together; 0 drops them all.
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
