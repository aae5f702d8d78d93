"""What OpenRouter is asked: chats, images, embeddings, each as the body that it sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from .. import limits
from ..keys import KeySource
from ..models import takes_cache_control
from .annotations import with_read
from .embeddings import Form
from .file_annotations import FileAnnotations


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked. models: the chosen one, then the fallbacks. parameters: sent as they are.

    user, session: who asks, and in which conversation; not among the parameters, for they change
    nothing of an answer. caching: how long Claude's providers keep the prompt.
    """

    path: ClassVar[str] = "/chat/completions"

    keys: KeySource
    models: list[str]
    messages: list[dict[str, Any]]
    parameters: Mapping[str, Any]
    app_name: str
    referer: str
    first_token_s: float = limits.FIRST_TOKEN_DEFAULT_S
    user: str | None = None
    session: str | None = None
    caching: str | None = None

    @property
    def format(self) -> Mapping[str, Any] | None:
        wanted: Mapping[str, Any] | None = self.parameters.get("response_format")
        return wanted

    @property
    def wants_json(self) -> bool:
        return (self.format or {}).get("type") in ("json_object", "json_schema")

    @property
    def tools(self) -> frozenset[str]:
        """The names of the app's own, which an answer may ask for."""
        declared = (tool.get("function", {}) for tool in self.parameters.get("tools") or ())
        return frozenset(function["name"] for function in declared if function)

    @property
    def makes(self) -> int:
        """How many answers are paid for."""
        return 1

    @property
    def draws(self) -> bool:
        return "image" in self.parameters.get("modalities", ())

    def knowing(self, files: FileAnnotations) -> ChatRequest:
        """The same, with what was read of its files before."""
        if not files.all:
            return self
        read = [json.loads(text) for text in files.all.values()]
        return replace(self, messages=with_read(self.messages, read))

    def body(self, model: str) -> dict[str, Any]:
        told: dict[str, Any] = {"user": self.user, "session_id": self.session}
        if self.caching is not None and takes_cache_control(model):
            told["cache_control"] = {"type": "ephemeral", "ttl": self.caching}
        told = {name: value for name, value in told.items() if value is not None}
        asked = {"model": model, "messages": self.messages, "stream": True}
        return {**self.parameters, **told, **asked}


@dataclass(frozen=True, slots=True)
class ImagesRequest(ChatRequest):
    """The same, asked of the image API: one prompt, and the images that go with the question."""

    path: ClassVar[str] = "/images"

    @property
    def makes(self) -> int:
        return int(self.parameters.get("n", 1))

    @property
    def draws(self) -> bool:
        return True

    def body(self, model: str) -> dict[str, Any]:
        told, references = list[str](), list[dict[str, Any]]()
        for message in (
            m for m in self.messages if m is self.messages[-1] or m["role"] == "system"
        ):
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            told += [part["text"] for part in parts if part["type"] == "text"]
            references += [part for part in parts if part["type"] == "image_url"]
        asked: dict[str, Any] = {"model": model, "prompt": "\n\n".join(told), "stream": True}
        more = {
            "input_references": references or None,
            "user": self.user,
            "session_id": self.session,
        }
        more = {name: value for name, value in more.items() if value is not None}
        return {**self.parameters, **asked, **more}


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """Vectors that are asked for. There is one model: others' vectors mean something else.

    form: what they are made into here. silence_s: how long OpenRouter may take, which sends such an
    answer whole.
    """

    path: ClassVar[str] = "/embeddings"

    keys: KeySource
    model: str
    inputs: list[str]
    form: Form
    parameters: Mapping[str, Any]
    app_name: str
    referer: str
    silence_s: float = limits.FIRST_TOKEN_DEFAULT_S
    user: str | None = None

    def body(self, model: str) -> dict[str, Any]:
        # numbers written out would be four times as large
        asked = {"model": model, "input": self.inputs, "encoding_format": "base64"}
        return {**self.parameters, **({"user": self.user} if self.user else {}), **asked}


Request = ChatRequest | EmbeddingsRequest
