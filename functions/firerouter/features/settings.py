"""The settings of a feature: its fields and their bounds. Pure.

Bounds and meanings of what is sent upstream: OpenRouter's pages "parameters", "provider-selection",
"reasoning-tokens", "plugins" and "structured-outputs". `review` compares settings with what the
chosen models can do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from ..contract import (
    ImageOptions,
    JsonObject,
    Matches,
    ModelId,
    Name,
    Number,
    Record,
    StoredFormat,
    images,
    one_line,
)
from ..ledger import FeatureLimits
from .routing import PromptCaching, ProviderRouting, ServiceTier

FREE_MODEL: Final = "z-ai/glm-4.5-air:free"


FREE_FALLBACK: Final = "openrouter/free"  # a router: picks a free model that fits the request


# used in this order; one that OpenRouter no longer lists is skipped
FREE_MODELS: Final = (FREE_MODEL, "x-ai/grok-4-fast:free", FREE_FALLBACK)


# what the built-in chat offers besides, so that a new app can compare answers
FREE_CHOICES: Final = (
    "z-ai/glm-5.2:free",
    "google/gemma-4-31b-it:free",
    "openai/gpt-oss-20b:free",
    "meta-llama/llama-3.3-70b-instruct:free",
)


IMAGE: Final = "image"  # the kind of feature that makes images


IMAGE_MODEL: Final = "google/gemini-2.5-flash-image"


EMBEDDING: Final = "embedding"  # the kind of feature that only `create_embeddings` accepts


EMBEDDING_MODEL: Final = "openai/text-embedding-3-small"


# What Firerouter itself puts into a request, so custom parameters may not set it.
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


def _check_parameters(value: dict[str, object]) -> dict[str, object]:
    if owned := sorted(OWNED_PARAMETERS & value.keys()):
        setting = FeatureSettings.model_fields.get(owned[0])
        what = "may not be set: Firerouter sets it itself"
        if setting is not None:
            what = f"may not be set here: use the setting {setting.alias}"
        raise _part_error(owned[0], what)
    return value


def _part_error(field: str, what: str) -> PydanticCustomError:
    return PydanticCustomError("part", "{what}", {"field": field, "what": what})


def _check_plugin(value: dict[str, object]) -> dict[str, object]:
    id_ = value.get("id")
    if not isinstance(id_, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,63}", id_):
        raise PydanticCustomError("plugin", "must have an id such as web")
    return value


def _check_one_line(value: str) -> str:
    if value != value.strip() or one_line(value) != value:
        raise PydanticCustomError(
            "one_line", "must be one line, without spaces at its beginning or end"
        )
    return value


class Reasoning(Record):
    """How much a model reasons before it answers. Set either `effort` or `maxTokens`."""

    effort: Literal["max", "xhigh", "high", "medium", "low", "minimal", "none"] | None = None
    """How hard the model thinks; `none` turns reasoning off."""
    max_tokens: Annotated[int, Field(ge=1, le=limits.ANSWER_MAX_TOKENS)] | None = None
    """The most reasoning tokens."""
    exclude: bool | None = None
    """Reason, but keep the reasoning out of the answer."""
    enabled: bool | None = None
    """Turn reasoning on with the model's own effort, or off."""

    @property
    def off(self) -> bool:
        return self.enabled is False or self.effort == "none"

    @model_validator(mode="after")
    def _one_of_two(self) -> Reasoning:
        if self.effort is not None and self.max_tokens is not None:
            raise PydanticCustomError("reasoning", "takes effort or maxTokens, not both")
        return self


class ServerTool(Record):
    """A tool that OpenRouter runs itself."""

    type: Annotated[
        str,
        Matches(
            r"openrouter:[a-z][a-z_]{0,47}",
            "must be the name of a server tool, such as openrouter:web_search",
        ),
    ]
    """Its name, such as `openrouter:web_search`."""
    parameters: JsonObject = {}
    """Its own parameters, sent as they are."""


class FeatureSettings(Record):
    """What an admin can set for a feature. A field that is not set is not sent to OpenRouter."""

    display_name: Annotated[
        str, Field(max_length=limits.DISPLAY_NAME_MAX_CHARS), AfterValidator(_check_one_line)
    ] = ""
    """The name that `list_features` shows to users; empty for the feature's ID."""
    kind: Name = "chat"
    """What the feature is for: `chat`, `code`, `summarize`, `image`, `embedding`, or a name of your
    own. `image` makes images, `embedding` is for `create_embeddings` alone; the others are hints to
    the app."""
    model: ModelId = FREE_MODEL
    """The model that answers, by its OpenRouter ID."""
    fallback_models: Annotated[list[ModelId], Field(max_length=limits.FALLBACK_MODELS_MAX)] = []
    """Models to try, in order, if the model fails before its first token."""
    allowed_models: Annotated[list[ModelId], Field(max_length=limits.ALLOWED_MODELS_MAX)] = []
    """Models that users may choose besides `model`; empty means that they have no choice."""
    allow_temperature: bool = False
    """Whether callers may send a `temperature` of their own."""
    allow_tools: bool = True
    """Whether callers may send `tools`: functions that the app runs."""
    allow_response_format: bool = True
    """Whether callers may send a `responseFormat`, if the settings have none."""
    repair_json: bool = False
    """Whether an answer that is not the required JSON is requested once more, at extra cost."""
    unsupported: Literal["refuse", "drop"] = "refuse"
    """What happens to a call that sends something the model does not support: it is refused, or
    that part is left out and the answer has a notice."""
    system_prompt: Annotated[str, Field(max_length=limits.SYSTEM_PROMPT_MAX_CHARS)] = ""
    """The system prompt. Each `{{name}}` is replaced, literally, by the caller's variable."""
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    """How varied the answers are."""
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Sample only from the most likely tokens that together have this probability."""
    top_k: Annotated[int, Field(ge=0, le=1_000)] | None = None
    """Sample only from this many of the most likely tokens; 0 for all."""
    min_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    """Sample only from tokens at least this probable, relative to the most likely one."""
    top_a: Annotated[Number, Field(ge=0, le=1)] | None = None
    """Sample only from sufficiently likely tokens; the threshold grows with the top probability."""
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    """Discourage, or if negative encourage, tokens that have already appeared."""
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    """Discourage, or if negative encourage, tokens by how often they have appeared."""
    repetition_penalty: Annotated[Number, Field(ge=0, le=2)] | None = None
    """Discourage, above 1, or encourage, below 1, tokens of the prompt and the answer so far."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Makes answers repeatable, if the model supports it."""
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=limits.STOP_MAX_CHARS)]],
        Field(max_length=limits.STOPS_MAX),
    ] = []
    """Texts that end the answer."""
    max_tokens: Annotated[int, Field(ge=1, le=limits.ANSWER_MAX_TOKENS)] | None = None
    """The most completion tokens of an answer, reasoning included."""
    stream: bool = True
    """Whether answers are streamed; if not, streaming callers get the whole answer at its end."""
    response_format: StoredFormat | None = None
    """The JSON that answers must be."""
    reasoning: Reasoning | None = None
    """How much the model reasons before it answers."""
    tools: Annotated[list[ServerTool], Field(max_length=limits.TOOLS_MAX)] = []
    """Tools that OpenRouter runs itself; most are billed by use."""
    plugins: Annotated[
        list[Annotated[JsonObject, AfterValidator(_check_plugin)]],
        Field(max_length=limits.PLUGINS_MAX),
    ] = []
    """OpenRouter's plugins, each with its `id` and its own options."""
    provider: ProviderRouting | None = None
    """Which providers OpenRouter may use for the model."""
    service_tier: ServiceTier | None = None
    """The speed and price class, if the provider offers several."""
    prompt_caching: PromptCaching = "off"
    """How long a provider that caches prompts on request keeps one, so that the next prompt with
    the same beginning is cheaper: `off`, `5m` or `1h`."""
    send_user: bool = True
    """Whether OpenRouter gets a hash that tells users apart."""
    send_session: bool = True
    """Whether OpenRouter gets a hash that tells conversations apart."""
    parameters: Annotated[JsonObject, AfterValidator(_check_parameters)] = {}
    """Parameters without a field of their own, sent to OpenRouter as they are."""
    caps: Annotated[FeatureLimits, Field(alias="limits")] = FeatureLimits()
    """What one user may do with this feature, within the app's own limits."""
    titles: Literal["model", "beginning"] = "model"
    """What a new conversation's title is: written by the helper model, or the beginning of the
    first question."""
    history: Literal["newest", "summarised"] = "newest"
    """What happens to earlier messages that do not fit into the model's context: they are left out,
    or summarized by the helper model."""
    helper_model: ModelId | None = None
    """The model that writes titles and summaries; a free one if it is not set."""
    on_disconnect: Literal["stop", "continue"] = "stop"
    """What happens to an answer once the function learns that nobody listens: it is stopped, or
    finished. Cloud Run does not report disconnects: with `stop`, call `stop_generation`."""
    resume: bool = True
    """Whether the text of a long answer is stored as it grows, so that clients can resume it."""
    image_api: Literal["chat", "images"] = "chat"
    """How a feature of kind `image` requests images: in a chat, or from OpenRouter's image API."""
    image_options: ImageOptions | None = None
    """What images look like, unless the caller says otherwise."""
    allow_image_options: bool = True
    """Whether callers may send `imageOptions` of their own."""
    cache_seconds: Annotated[int, Field(ge=0, le=limits.CACHE_MAX_S)] = 0
    """For how many seconds the same question gets the same answer; 0 turns caching off."""
    cache_shared: bool = False
    """Whether cached answers are shared between users: only for features whose answers do not
    depend on who asks."""
    first_token_s: Annotated[Number, Field(ge=1, le=limits.FIRST_TOKEN_MAX_S)] = (
        limits.FIRST_TOKEN_DEFAULT_S
    )
    """For how many seconds a model may be silent before its first token."""
    idle_s: Annotated[Number, Field(ge=1, le=limits.IDLE_MAX_S)] = limits.IDLE_DEFAULT_S
    """For how many seconds a model may be silent between tokens."""
    total_s: Annotated[Number, Field(ge=1, le=limits.TOTAL_S)] = limits.TOTAL_S
    """How many seconds a whole call may take, retries and fallbacks included."""

    @property
    def through_image_api(self) -> bool:
        """Whether images are requested from OpenRouter's image API."""
        return self.kind == IMAGE and self.image_api == "images"

    @model_validator(mode="after")
    def _asks_for_one_answer(self) -> FeatureSettings:
        """Refuse what would be paid for and not read."""
        if "n" in self.parameters and not self.through_image_api:
            raise _part_error("parameters.n", "may not be set: only one answer is read")
        return self

    @model_validator(mode="after")
    def _fits_the_image_api(self) -> FeatureSettings:
        """Refuse what the image API would ignore, above all settings that promise privacy."""
        if not self.through_image_api:
            return self
        for name in self.provider.not_in_image_api() if self.provider else ():
            raise _part_error(f"provider.{name}", "is not supported by OpenRouter's image API")
        for name in sorted(images.OWNED_PARAMETERS & self.parameters.keys()):
            raise _part_error(f"parameters.{name}", "may not be set: use imageOptions instead")
        return self

    @model_validator(mode="after")
    def _fits_in_documents(self) -> FeatureSettings:
        limit = limits.SETTINGS_MAX_BYTES
        if len(json.dumps(self.to_json(), ensure_ascii=False).encode()) > limit:
            raise PydanticCustomError(
                "size",
                "all settings together may be at most {limit} bytes of JSON",
                {"limit": limit},
            )
        return self

    def named_models(self) -> Iterator[tuple[str, str]]:
        """Yield (field, model ID) for every place that names a model."""
        yield "model", self.model
        for name, ids in (
            ("fallbackModels", self.fallback_models),
            ("allowedModels", self.allowed_models),
        ):
            for at, id_ in enumerate(ids):
                yield f"{name}[{at}]", id_
        if self.helper_model is not None:
            yield "helperModel", self.helper_model

    def model_ids(self) -> list[str]:
        """Return the ID of every model that is named, once each."""
        return list(dict.fromkeys(id_ for _, id_ in self.named_models()))

    def to_json(self) -> dict[str, object]:
        """Return the settings as documents and the wire hold them, without unset fields."""
        return self.model_dump(by_alias=True, exclude_none=True)
