"""What an admin may set of a feature: the fields, their bounds, the built-in defaults. Pure.

Bounds and meanings of what is sent upstream: OpenRouter's pages "parameters", "provider-selection",
"reasoning-tokens", "plugins" and "structured-outputs". `capabilities` checks what is set against
what the chosen model can do.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from ..contract import ImageOptions, JsonObject, ModelId, Name, Number, Record, StoredFormat, images
from ..ledger import FeatureLimits
from .routing import PromptCaching, ProviderRouting, ServiceTier

FREE_MODEL: Final = "z-ai/glm-4.5-air:free"


FREE_FALLBACK: Final = "openrouter/free"  # a router: picks a free model that fits the request


IMAGE: Final = "image"  # the kind of feature that draws


IMAGE_MODEL: Final = "google/gemini-2.5-flash-image"


EMBEDDING: Final = "embedding"  # the kind of feature that `create_embeddings` alone asks


EMBEDDING_MODEL: Final = "openai/text-embedding-3-small"


# What Firerouter itself puts into a request: custom parameters may not.
OWNED_PARAMETERS: Final = frozenset(
    {
        *("model", "models", "messages", "stream", "stream_options", "user", "route", "preset"),
        *("metadata", "trace", "session_id", "max_tokens", "max_completion_tokens", "temperature"),
        *("top_p", "top_k", "min_p", "top_a", "seed", "stop", "presence_penalty"),
        *("frequency_penalty", "repetition_penalty", "response_format", "reasoning"),
        *("reasoning_effort", "include_reasoning", "tools", "tool_choice", "plugins", "provider"),
        *("modalities", "debug", "usage", "service_tier", "cache_control"),
    }
)


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    if owned := sorted(OWNED_PARAMETERS & value.keys()):
        raise PydanticCustomError("owned", "may not set {name}", {"name": owned[0]})
    return value


def _part(field: str, what: str) -> PydanticCustomError:
    return PydanticCustomError("part", "{what}", {"field": field, "what": what})


def _plugin(value: dict[str, Any]) -> dict[str, Any]:
    id_ = value.get("id")
    if not isinstance(id_, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,63}", id_):
        raise PydanticCustomError("plugin", "must have an id such as web")
    return value


def _one_line(value: str) -> str:
    if value != value.strip() or not value.isprintable():
        raise PydanticCustomError("one_line", "must be one line, with no space at its ends")
    return value


class Reasoning(Record):
    """How much a model thinks first. max_tokens: of thought; either this or effort."""

    effort: Literal["max", "xhigh", "high", "medium", "low", "minimal", "none"] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=limits.ANSWER_MAX_TOKENS)] | None = None
    exclude: bool | None = None
    enabled: bool | None = None

    @property
    def off(self) -> bool:
        return self.enabled is False or self.effort == "none"

    @model_validator(mode="after")
    def _one_of_two(self) -> Reasoning:
        if self.effort is not None and self.max_tokens is not None:
            raise PydanticCustomError("reasoning", "takes effort or maxTokens, not both")
        return self


class ServerTool(Record):
    """A tool that OpenRouter runs itself, such as openrouter:web_search."""

    type: Annotated[str, Field(pattern=r"^openrouter:[a-z][a-z_]{0,47}$")]
    parameters: JsonObject = {}


class FeatureSettings(Record):
    """What an admin may change of a feature. Not given (None) means: not sent upstream.

    kind: chat, code, summarize, image, embedding, or a name of the admin's own.
    fallback_models: tried in order when the model fails before its first token.
    allowed_models: what callers may choose besides `model`; empty means no choice.
    allow_tools: callers may send functions of their own, which the app runs.
    allow_response_format: callers may say which JSON they want, where this says nothing of it.
    repair_json: an answer that is not the JSON it should be is asked for once more.
    unsupported: what becomes of a call that sends what the model can not do: it is refused, or
    that part is left out, and the caller told.
    system_prompt: `{{name}}` places are replaced by the caller's variables, literally.
    caps: what one user may do; `limits` on the wire.
    stream: off, and a streaming caller gets the whole answer at its end.
    service_tier: how fast, and for which price, where the provider has a choice.
    prompt_caching: how long a provider that has to be asked for it keeps what was sent, so that
    the same beginning is cheaper the next time.
    send_user, send_session: OpenRouter is told users, and conversations, apart, by hashes.
    parameters: sent upstream as they are, for whatever has no field of its own.
    titles: who names a conversation, the helper model or its first question's beginning.
    history: whether earlier turns that do not fit are left out or summarised by the helper model.
    helper_model: writes both; a free one where none is named.
    on_disconnect: whether an answer that nobody listens to any more is ended, or finished.
    resume: what is written of a long answer is kept while it grows, for whoever lost it.
    image_api: how a feature of kind image asks: in a chat, or of OpenRouter's image API.
    image_options: what images are like, unless a caller says so, who may with allow_image_options.
    cache_seconds: how long the same question gets the same answer, 0 for never. cache_shared: from
    any user, which is only for features that answer everybody alike.
    first_token_s, idle_s: how long OpenRouter may be silent before and between tokens.
    total_s: how long the whole call may take, tries and fallbacks included.
    """

    display_name: Annotated[
        str, Field(max_length=limits.DISPLAY_NAME_MAX_CHARS), AfterValidator(_one_line)
    ] = ""
    kind: Name = "chat"
    model: ModelId = FREE_MODEL
    fallback_models: Annotated[list[ModelId], Field(max_length=limits.FALLBACK_MODELS_MAX)] = []
    allowed_models: Annotated[list[ModelId], Field(max_length=limits.ALLOWED_MODELS_MAX)] = []
    allow_temperature: bool = False
    allow_tools: bool = True
    allow_response_format: bool = True
    repair_json: bool = False
    unsupported: Literal["refuse", "drop"] = "refuse"
    system_prompt: Annotated[str, Field(max_length=limits.SYSTEM_PROMPT_MAX_CHARS)] = ""
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000)] | None = None
    min_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    top_a: Annotated[Number, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[Number, Field(ge=0, le=2)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=limits.STOP_MAX_CHARS)]],
        Field(max_length=limits.STOPS_MAX),
    ] = []
    max_tokens: Annotated[int, Field(ge=1, le=limits.ANSWER_MAX_TOKENS)] | None = None
    stream: bool = True
    response_format: StoredFormat | None = None
    reasoning: Reasoning | None = None
    tools: Annotated[list[ServerTool], Field(max_length=limits.TOOLS_MAX)] = []
    plugins: Annotated[
        list[Annotated[JsonObject, AfterValidator(_plugin)]], Field(max_length=limits.PLUGINS_MAX)
    ] = []
    provider: ProviderRouting | None = None
    service_tier: ServiceTier | None = None
    prompt_caching: PromptCaching = "off"
    send_user: bool = True
    send_session: bool = True
    parameters: Annotated[JsonObject, AfterValidator(_parameters)] = {}
    caps: Annotated[FeatureLimits, Field(alias="limits")] = FeatureLimits()
    titles: Literal["model", "beginning"] = "model"
    history: Literal["newest", "summarised"] = "newest"
    helper_model: ModelId | None = None
    on_disconnect: Literal["stop", "continue"] = "stop"
    resume: bool = True
    image_api: Literal["chat", "images"] = "chat"
    image_options: ImageOptions | None = None
    allow_image_options: bool = True
    cache_seconds: Annotated[int, Field(ge=0, le=limits.CACHE_MAX_S)] = 0
    cache_shared: bool = False
    first_token_s: Annotated[Number, Field(ge=1, le=limits.FIRST_TOKEN_MAX_S)] = (
        limits.FIRST_TOKEN_DEFAULT_S
    )
    idle_s: Annotated[Number, Field(ge=1, le=limits.IDLE_MAX_S)] = limits.IDLE_DEFAULT_S
    total_s: Annotated[Number, Field(ge=1, le=limits.TOTAL_S)] = limits.TOTAL_S

    def named(self) -> Iterator[tuple[str, str]]:
        """(field, model id) of every place that names one."""
        yield "model", self.model
        for name, ids in (
            ("fallbackModels", self.fallback_models),
            ("allowedModels", self.allowed_models),
        ):
            for at, id_ in enumerate(ids):
                yield f"{name}[{at}]", id_
        if self.helper_model is not None:
            yield "helperModel", self.helper_model

    @property
    def through_image_api(self) -> bool:
        return self.kind == IMAGE and self.image_api == "images"

    @model_validator(mode="after")
    def _fits_the_image_api(self) -> FeatureSettings:
        """Privacy that it would not keep to is not promised."""
        if not self.through_image_api:
            return self
        for name in self.provider.beyond_images() if self.provider else ():
            raise _part(f"provider.{name}", "is nothing that OpenRouter's image API keeps to")
        for name in sorted(images.OWNED_PARAMETERS & self.parameters.keys()):
            raise _part(f"parameters.{name}", "may not be set: imageOptions are for that")
        return self

    @model_validator(mode="after")
    def _fits_in_documents(self) -> FeatureSettings:
        limit = limits.SETTINGS_MAX_BYTES
        if len(json.dumps(self.to_json(), ensure_ascii=False).encode()) > limit:
            raise PydanticCustomError(
                "size", "all settings together may be {limit} bytes of JSON", {"limit": limit}
            )
        return self

    def models(self) -> list[str]:
        """Every model that it names, once each."""
        return list(dict.fromkeys(id_ for _, id_ in self.named()))

    def to_json(self) -> dict[str, Any]:
        """As documents and the wire have it; what is not set is left out."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def is_as(self, other: FeatureSettings) -> bool:
        """Whether both are the same JSON, where 1 is not true as it is to `==`."""
        return not differences(self.to_json(), other.to_json())


@dataclass(frozen=True, slots=True)
class Draft:
    """Settings on trial with some of the users. percent: of them, 0 to 100."""

    revision: int
    settings: FeatureSettings
    percent: float

    def takes(self, feature: str, uid: str) -> bool:
        """Whether it serves this user. The same users as long as the draft is the same one;
        a higher percentage adds others to them."""
        digest = hashlib.sha256(f"{feature}\0{self.revision}\0{uid}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64 * 100 < self.percent


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as it serves now. Revision 0 is the built-in default. test: nobody has saved it.
    had_choice: it was saved with a choice of models once, so that users may have chosen."""

    id: str
    enabled: bool
    revision: int
    settings: FeatureSettings
    draft: Draft | None = None
    test: bool = False
    had_choice: bool = False

    @property
    def has_choice(self) -> bool:
        return self.had_choice or bool(self.settings.allowed_models)

    def for_user(self, uid: str) -> Feature:
        """The feature as this user gets it: with the draft's settings, or without."""
        draft = self.draft
        if draft is None or not draft.takes(self.id, uid):
            return self
        return replace(self, revision=draft.revision, settings=draft.settings)

    def to_document(self) -> dict[str, Any]:
        """`features/{id}` as Firestore keeps it."""
        draft = self.draft
        kept = draft and {
            "revision": draft.revision,
            "percent": draft.percent,
            "settings": draft.settings.to_json(),
        }
        return {
            "enabled": self.enabled,
            "revision": self.revision,
            "settings": self.settings.to_json(),
            "draft": kept,
        }


def differences(before: Any, after: Any, field: str = "") -> list[dict[str, Any]]:
    """`[{field, before?, after?}]`: where two JSON values differ. A list is one value."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        prefix = f"{field}." if field else ""
        return [
            difference
            for name in names
            for difference in differences(
                before.get(name, _ABSENT), after.get(name, _ABSENT), f"{prefix}{name}"
            )
        ]
    if before is not _ABSENT and after is not _ABSENT and _canonical(before) == _canonical(after):
        return []
    sides = (("before", before), ("after", after))
    return [{"field": field, **{side: value for side, value in sides if value is not _ABSENT}}]


def _canonical(value: Any) -> str:
    """The same for the same JSON: Firestore orders names anew, and 1 is True to Python."""
    return json.dumps(value, sort_keys=True)


_ABSENT: Final = ...
