"""Messages as values, on their way from a conversation or a caller to a model. Pure.

A message is built in steps, each of which returns new values:

    conversations           the earlier messages, as Firestore stores them
    files                   + placeholders for their files
    generation.prompts      + the system prompt and the question
    generation.tool_turns   tool calls paired with their results, other models' reasoning removed
    files                   placeholders replaced by bytes, stored annotations by their content
    openrouter.requests     -> the JSON that OpenRouter takes: no other module knows its field names

The two `stored_*` fields and `FilePlaceholder` refer to data that is fetched later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .result import Json

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text in addition to the message's own, such as the content of a text file."""

    text: str


@dataclass(frozen=True, slots=True)
class FilePlaceholder:
    """Stands in for a file whose bytes have not been fetched yet.

    key: Identifies the bytes; the `FileRef` has the same key.
    """

    key: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image, as a data URL."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A recording: base64, and its format as OpenRouter names it, such as `mp3`."""

    data: str = field(repr=False)
    format: str


@dataclass(frozen=True, slots=True)
class VideoPart:
    """A video, as a data URL."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A PDF, as a data URL. OpenRouter parses it for models that cannot read PDFs."""

    filename: str
    url: str = field(repr=False)


Part = TextPart | FilePlaceholder | ImagePart | AudioPart | VideoPart | DocumentPart


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that a model requested. arguments: JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The app's result of a tool call."""

    call_id: str
    content: str


@dataclass(frozen=True, slots=True)
class StoredReasoning:
    """A model's reasoning details as JSON text. No other model understands them."""

    details: str
    model: str


@dataclass(frozen=True, slots=True)
class StoredAnnotations:
    """Where OpenRouter's annotations of files are stored. documents: the ids of their pieces."""

    documents: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as a model will get it.

    Attributes:
        text: The text. `parts` follow it.
        tool_requests: The tool calls of an assistant.
        tool_replies: The results of a tool. OpenRouter gets a message for each.
        reasoning_details: An assistant's reasoning, unchanged, as its provider wants it back.
        annotations: OpenRouter's annotations of files, so that it does not parse them again.
    """

    role: Role
    text: str = ""
    parts: tuple[Part, ...] = ()
    tool_requests: tuple[ToolRequest, ...] = ()
    tool_replies: tuple[ToolReply, ...] = ()
    reasoning_details: tuple[Json, ...] = ()
    stored_reasoning: StoredReasoning | None = None
    annotations: tuple[Json, ...] = ()
    stored_annotations: StoredAnnotations | None = None
