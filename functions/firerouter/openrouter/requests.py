"""Requests to OpenRouter: chats, images and embeddings, each with the body that it sends. Pure.

No other module knows the names of OpenRouter's message fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from .. import limits
from ..contract import (
    AudioPart,
    DocumentPart,
    FilePlaceholder,
    ImagePart,
    Json,
    Message,
    Part,
    TextPart,
    ToolRequest,
)
from ..keys import KeySource
from ..models import takes_cache_control
from .annotations import add_annotations
from .reasoning import reasoning_fields
from .turns import in_turns

if TYPE_CHECKING:
    from .embeddings import Form
    from .file_annotations import FileAnnotations


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for an answer.

    Attributes:
        models: The chosen model, then its fallbacks.
        parameters: Sent as they are.
        user: The user's pseudonym. It is not among the parameters, because the answer does not
            depend on it.
        session: The conversation's pseudonym, likewise.
        cache_ttl: How long Anthropic's models cache the prompt, such as `5m`.
    """

    path: ClassVar[str] = "/chat/completions"

    keys: KeySource
    models: list[str]
    messages: Sequence[Message]
    parameters: Mapping[str, object]
    app_name: str
    referer: str
    first_token_s: float = limits.FIRST_TOKEN_DEFAULT_S
    user: str | None = None
    session: str | None = None
    cache_ttl: str | None = None

    @property
    def response_format(self) -> Mapping[str, object] | None:
        """The requested format, as OpenRouter gets it."""
        wanted = self.parameters.get("response_format")
        return wanted if isinstance(wanted, Mapping) else None

    @property
    def wants_json(self) -> bool:
        return (self.response_format or {}).get("type") in ("json_object", "json_schema")

    @property
    def tool_names(self) -> frozenset[str]:
        """The names of the app's own tools, which an answer may call."""
        tools = self.parameters.get("tools")
        return frozenset(
            tool["function"]["name"]
            for tool in (tools if isinstance(tools, list) else ())
            if tool.get("function")
        )

    @property
    def image_count(self) -> int:
        """The most images that may be billed."""
        return 1

    @property
    def wants_images(self) -> bool:
        modalities = self.parameters.get("modalities")
        return isinstance(modalities, Sequence) and "image" in modalities

    def with_annotations(self, files: FileAnnotations) -> ChatRequest:
        """Return this request with OpenRouter's annotations of its files from earlier attempts."""
        if not files.all:
            return self
        annotations = [json.loads(text) for text in files.all.values()]
        return replace(self, messages=add_annotations(self.messages, annotations))

    def without_system_role(self) -> ChatRequest:
        """Return this request with its system prompt in the first question instead."""
        system = [message for message in self.messages if message.role == "system"]
        said = [message for message in self.messages if message.role != "system"]
        prompt = "\n\n".join(text for message in system for text in _texts(message))
        first = next((at for at, message in enumerate(said) if message.role == "user"), None)
        if first is None:
            said = [Message("user", prompt), *said]
        else:
            asked = said[first]
            text = f"{prompt}\n\n{asked.text}" if asked.text else prompt
            said[first] = replace(asked, text=text)
        return replace(self, messages=said)

    @property
    def has_system_role(self) -> bool:
        return any(message.role == "system" for message in self.messages)

    def shortened(self, max_tokens: int) -> ChatRequest | None:
        """Return this request for a shorter answer; None if that is no shorter."""
        wanted = self.parameters.get("max_tokens")
        if isinstance(wanted, int) and wanted <= max_tokens:
            return None
        return replace(self, parameters={**self.parameters, "max_tokens": max_tokens})

    def texts(self) -> Iterator[str]:
        """Yield all that was written by people or models: what no admin and no log may read."""
        for message in self.messages:
            yield from _texts(message)
            for request in message.tool_requests:
                yield request.arguments

    def fingerprint(self) -> list[object]:
        """Return all that the answer depends on, as JSON; files are represented by their keys."""
        return [self.models, list(_upstream(self.messages, keyed=True)), dict(self.parameters)]

    def body(self, model: str) -> Json:
        body = {**self.parameters, **_identity(self.user, self.session)}
        if self.cache_ttl is not None and takes_cache_control(model):
            body["cache_control"] = {"type": "ephemeral", "ttl": self.cache_ttl}
        return {
            **body,
            "model": model,
            "messages": upstream_messages(self.messages),
            "stream": True,
        }


@dataclass(frozen=True, slots=True)
class ImagesRequest(ChatRequest):
    """A request to the image API: one prompt, and the images that go with the question."""

    path: ClassVar[str] = "/images"

    @property
    def image_count(self) -> int:
        count = self.parameters.get("n", 1)
        return count if isinstance(count, int) else 1

    @property
    def wants_images(self) -> bool:
        return True

    def shortened(self, max_tokens: int) -> ChatRequest | None:
        return None  # an image has no length

    def body(self, model: str) -> Json:
        sent = [m for m in self.messages if m is self.messages[-1] or m.role == "system"]
        texts = [text for message in sent for text in _texts(message)]
        images = [
            _part(part) for message in sent for part in message.parts if isinstance(part, ImagePart)
        ]
        body = {**self.parameters, "model": model, "prompt": "\n\n".join(texts), "stream": True}
        if images:
            body["input_references"] = images
        return {**body, **_identity(self.user, self.session)}


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """A request for vectors, of one model only: vectors of two models are not comparable.

    Attributes:
        form: The form in which the caller gets the vectors.
        encoding: The form in which OpenRouter is asked for them: base64 has a quarter of the size.
        silence_s: How long OpenRouter may take to respond, because it does not stream vectors.
    """

    path: ClassVar[str] = "/embeddings"

    keys: KeySource
    model: str
    inputs: list[str]
    form: Form
    parameters: Mapping[str, object]
    app_name: str
    referer: str
    silence_s: float = limits.FIRST_TOKEN_DEFAULT_S
    user: str | None = None
    encoding: Form = "base64"

    def texts(self) -> Iterator[str]:
        yield from self.inputs

    def body(self, model: str) -> Json:
        body: Json = {"model": model, "input": self.inputs, "encoding_format": self.encoding}
        return {**self.parameters, **({"user": self.user} if self.user else {}), **body}


Request = ChatRequest | EmbeddingsRequest


def upstream_messages(messages: Sequence[Message]) -> list[Json]:
    """Return messages in OpenRouter's format."""
    return list(_upstream(messages))


def _identity(user: str | None, session: str | None) -> dict[str, object]:
    named = {"user": user, "session_id": session}
    return {name: value for name, value in named.items() if value is not None}


def _upstream(messages: Sequence[Message], *, keyed: bool = False) -> Iterator[Json]:
    """Yield the JSON of each message that is sent.

    keyed: Represent a placeholder by its key. Otherwise, a placeholder is a bug.
    """
    for message in in_turns(messages):
        if message.role == "tool":
            for reply in message.tool_replies:
                yield {"role": "tool", "tool_call_id": reply.call_id, "content": reply.content}
            continue
        sent: Json = {"role": message.role, "content": _content(message, keyed=keyed)}
        sent |= reasoning_fields(message.reasoning_details)
        if message.tool_requests:
            sent["tool_calls"] = [_call(request) for request in message.tool_requests]
        if message.annotations:
            sent["annotations"] = list(message.annotations)
        yield sent


def _content(message: Message, *, keyed: bool) -> str | list[Json] | None:
    if not message.parts:
        return message.text or None  # as it is beside tool calls
    # providers refuse a text of spaces beside files
    text: list[Json] = [{"type": "text", "text": message.text}] if message.text.strip() else []
    return [*text, *(_part(part, keyed=keyed) for part in message.parts)]


def _texts(message: Message) -> list[str]:
    if message.role == "tool":
        return [reply.content for reply in message.tool_replies]
    parts = [part.text for part in message.parts if isinstance(part, TextPart)]
    return [message.text, *parts] if message.text or not message.parts else parts


def _part(part: Part, *, keyed: bool = False) -> Json:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(url):
            return {"type": "image_url", "image_url": {"url": url}}
        case AudioPart(data, format_):
            return {"type": "input_audio", "input_audio": {"data": data, "format": format_}}
        case DocumentPart(filename, url):
            return {"type": "file", "file": {"filename": filename, "file_data": url}}
        case FilePlaceholder(key):
            if not keyed:
                raise ValueError("a file was never fetched")
            return {"attachment": key}
    return {"type": "video_url", "video_url": {"url": part.url}}


def _call(request: ToolRequest) -> Json:
    function = {"name": request.name, "arguments": request.arguments}
    return {"id": request.id, "type": "function", "function": function}
