"""Features: what an admin may set of each, the built-in defaults, and the store that serves them.

    features/{id}               {enabled, revision, settings}   what serves now
    features/{id}/revisions/{n} {settings}                      every revision, the newest valid one
                                                                serves when the first is broken

A document typed by hand can not take a feature down: what can not be read falls back to the last
settings this instance saw work, then to the newest valid revision, then to the built-in default,
and the problem is logged. A feature of an admin's own that has none of these is SettingsInvalid.
`enabled` is read on its own and fails closed: anything but `true` is off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from google.cloud.firestore import AsyncClient, Query
from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from . import limits, log
from .cached import Cached
from .commits import AWAY
from .contract import ModelId, Number, Record, problems
from .errors import FeatureDisabled, FeatureUnknown, SettingsInvalid, SettingsUnavailable

FREE_MODEL: Final = "z-ai/glm-4.5-air:free"
FREE_FALLBACK: Final = "openrouter/free"  # a router: picks a free model that fits the request

# What Firerouter itself puts into a request: custom parameters may not.
OWNED_PARAMETERS: Final = frozenset(
    {
        *("model", "models", "messages", "stream", "stream_options", "user", "route", "preset"),
        *("metadata", "trace", "session_id", "max_tokens", "temperature", "top_p"),
        *("presence_penalty", "frequency_penalty"),
    }
)


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    if owned := sorted(OWNED_PARAMETERS & value.keys()):
        raise PydanticCustomError("owned", "may not set {name}", {"name": owned[0]})
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        raise PydanticCustomError("json", "must be JSON") from None
    if size > limits.PARAMETERS_MAX_BYTES:
        raise PydanticCustomError(
            "size", "may be at most {limit} bytes of JSON", {"limit": limits.PARAMETERS_MAX_BYTES}
        )
    return value


class FeatureSettings(Record):
    """What an admin may change of a feature. Not given (None) means: not sent upstream.

    system_prompt: `{{name}}` places are replaced by the caller's variables, literally.
    fallback_models: tried in order when the model fails before its first token.
    allowed_models: what callers may choose besides `model`; empty means no choice.
    parameters: sent upstream as they are, for whatever has no field of its own.
    first_token_s, idle_s: how long OpenRouter may be silent before and between tokens.
    total_s: how long the whole call may take, tries and fallbacks included.
    """

    kind: Literal["chat", "code", "summarize", "image", "embedding"] = "chat"
    model: ModelId = FREE_MODEL
    fallback_models: Annotated[list[ModelId], Field(max_length=limits.FALLBACK_MODELS_MAX)] = []
    allowed_models: Annotated[list[ModelId], Field(max_length=limits.ALLOWED_MODELS_MAX)] = []
    allow_temperature: bool = False
    system_prompt: Annotated[str, Field(max_length=limits.SYSTEM_PROMPT_MAX_CHARS)] = ""
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=limits.ANSWER_MAX_TOKENS)] | None = None
    parameters: Annotated[dict[str, Any], AfterValidator(_parameters)] = {}
    first_token_s: Annotated[Number, Field(ge=1, le=limits.FIRST_TOKEN_MAX_S)] = (
        limits.FIRST_TOKEN_DEFAULT_S
    )
    idle_s: Annotated[Number, Field(ge=1, le=limits.IDLE_MAX_S)] = limits.IDLE_DEFAULT_S
    total_s: Annotated[Number, Field(ge=1, le=limits.TOTAL_S)] = limits.TOTAL_S


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as it serves now. Revision 0 is the built-in default."""

    id: str
    enabled: bool
    revision: int
    settings: FeatureSettings


def _default(id_: str, system_prompt: str, *, enabled: bool = True, **settings: Any) -> Feature:
    values = FeatureSettings(
        fallback_models=[FREE_FALLBACK] if enabled else [], system_prompt=system_prompt, **settings
    )
    return Feature(id_, enabled, 0, values)


DEFAULTS: Final[Mapping[str, Feature]] = {
    feature.id: feature
    for feature in (
        _default(
            "chat",
            "You are a friendly assistant inside an app. Answer plainly and briefly; "
            "say so when you do not know.",
            temperature=0.7,
            max_tokens=1024,
        ),
        _default(
            "code",
            "You are a careful programming assistant. Prefer working code with a short "
            "explanation, in fenced blocks that name their language.",
            kind="code",
            temperature=0.2,
            max_tokens=2048,
        ),
        _default(
            "summarize",
            "Summarize the text that you are given. Keep names, numbers and dates; "
            "add nothing that is not in it.",
            kind="summarize",
            temperature=0.3,
            max_tokens=1024,
        ),
        # not built yet, hence off
        _default("image", "", enabled=False, kind="image"),
        _default("embedding", "", enabled=False, kind="embedding"),
    )
}


def to_document(feature: Feature) -> dict[str, Any]:
    """`features/{id}` as Firestore keeps it."""
    settings = feature.settings.model_dump(by_alias=True)
    return {"enabled": feature.enabled, "revision": feature.revision, "settings": settings}


class Features:
    """Reads features, each cached for a few seconds and fetched once at a time."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._firestore = firestore
        self._caches: dict[str, Cached[Feature | None]] = {}
        self._last_good: dict[str, tuple[int, FeatureSettings]] = {}

    async def get(self, id_: str) -> Feature:
        """The feature, if it is enabled.

        Raises FeatureUnknown, FeatureDisabled, SettingsInvalid, SettingsUnavailable.
        """
        cache = self._caches.get(id_)
        if cache is None:
            cache = self._caches[id_] = Cached(
                lambda: self._load(id_),
                fresh_s=limits.SETTINGS_FRESH_S,
                stale_s=limits.SETTINGS_STALE_S,
            )
        feature = None
        try:
            feature = await cache.get()
        except AWAY:
            raise SettingsUnavailable from None
        finally:
            if feature is None:  # names that callers invent must not pile up
                self._caches.pop(id_, None)
        if feature is None:
            raise FeatureUnknown
        if not feature.enabled:
            raise FeatureDisabled
        return feature

    async def _load(self, id_: str) -> Feature | None:
        reference = self._firestore.collection("features").document(id_)
        snapshot = await reference.get(retry=None, timeout=limits.READ_S)
        if not snapshot.exists:
            return DEFAULTS.get(id_)
        document = snapshot.to_dict() or {}
        enabled = document.get("enabled") is True
        revision = document.get("revision")
        number = revision if type(revision) is int else 0  # to Python, True is an int too
        settings = _read(document.get("settings"), id_, number)
        if settings is None:
            number, settings = self._last_good.get(id_) or await self._newest_valid(id_)
        self._last_good[id_] = (number, settings)
        return Feature(id_, enabled, number, settings)

    async def _newest_valid(self, id_: str) -> tuple[int, FeatureSettings]:
        revisions = self._firestore.collection("features").document(id_).collection("revisions")
        query = revisions.order_by("revision", direction=Query.DESCENDING).limit(10)
        for snapshot in await query.get(retry=None, timeout=limits.READ_S):
            document = snapshot.to_dict() or {}
            number = document.get("revision")
            settings = _read(document.get("settings"), id_, number)
            if settings is not None and type(number) is int:
                return number, settings
        if id_ not in DEFAULTS:
            raise SettingsInvalid  # without its system prompt it would be another feature
        return 0, DEFAULTS[id_].settings


def _read(settings: Any, id_: str, revision: Any) -> FeatureSettings | None:
    try:
        return FeatureSettings.model_validate(settings, by_alias=True, by_name=False)
    except ValidationError as error:
        log.error("settings_invalid", feature=id_, revision=revision, problems=problems(error)[:5])
    except RecursionError:
        log.error(
            "settings_invalid", feature=id_, revision=revision, problems=["nested too deeply"]
        )
    return None
