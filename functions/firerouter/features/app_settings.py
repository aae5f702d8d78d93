"""The settings of the app as a whole: its name, what a user may do, what may be billed. Pure.

    config/app   {appName, referer, limits, anonymousLimits, tiers, ceiling, retention,
                  freeModelsOnly, replaceGoneModels, singleUseAppCheck, revision, ...}

A malformed field falls back to its default: no call fails because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from ..contract import Matches, Name, Record, is_name
from ..ledger import (
    ANONYMOUS,
    CapPolicy,
    Ceiling,
    LimitsOverride,
    Retention,
    UserLimits,
    read_override,
)
from ..limits import NAME_MAX_CHARS, TIERS_MAX

ModelT = TypeVar("ModelT", bound=BaseModel)


class AppSettings(Record):
    """What an admin can set for the app as a whole."""

    app_name: Annotated[
        str, Field(min_length=1, max_length=100), Matches(r"[ -~]*", "must be plain ASCII text")
    ] = "Firerouter"
    """The app's name in OpenRouter's statistics."""
    referer: Annotated[
        str,
        Field(max_length=300),
        Matches(r"(https?://[!-~]+)?", "must be empty or a web address with http:// or https://"),
    ] = ""
    """The app's address in OpenRouter's statistics; empty for its Firebase Hosting address."""
    limits: UserLimits = UserLimits()
    """What one user may do."""
    anonymous_limits: LimitsOverride = ANONYMOUS
    """What is different for users who are signed in anonymously."""
    tiers: Annotated[dict[Name, LimitsOverride], Field(max_length=TIERS_MAX)] = {}
    """What is different for the users of a tier, by its name: the custom claim `tier`."""
    ceiling: Ceiling = Ceiling()
    """What all users together may spend."""
    retention: Retention = Retention()
    """How long entries, results and cached answers are kept, and whether texts are."""
    free_models_only: bool = True
    """Whether everything that would be billed is refused, in settings and in calls."""
    single_use_app_check: Literal["off", "anonymous", "all"] = "off"
    """Whose App Check tokens are valid for one call only: their clients have to ask for limited-use
    tokens. A copied token is refused then, and each call takes some milliseconds longer."""
    replace_gone_models: bool = False
    """Whether the daily check may replace a feature's model once OpenRouter has withdrawn it."""

    def policy(self) -> CapPolicy:
        """Return what the settings say about limits."""
        return CapPolicy(
            everybody=self.limits,
            anonymous=self.anonymous_limits,
            tiers=self.tiers,
            ceiling=self.ceiling,
        )

    def to_json(self) -> dict[str, object]:
        """Return the settings as documents and the wire hold them."""
        return self.model_dump(by_alias=True)


@dataclass(frozen=True, slots=True)
class ReadAppSettings:
    """The settings as read from a document.

    Attributes:
        revision: How often they were saved.
        malformed: The fields that fell back to their defaults, by name.
    """

    settings: AppSettings
    revision: int
    malformed: tuple[str, ...] = ()


def read_app_settings(document: Mapping[str, object]) -> ReadAppSettings:
    """Read the settings in `config/app`, whatever it holds."""
    user_limits, bad_limits = _read(UserLimits, _map(document, "limits"))
    malformed = [f"limits.{name}" for name in bad_limits]
    ceiling, bad_ceiling = _read(Ceiling, _map(document, "ceiling"))
    anonymous, bad_anonymous = _read_override(document, "anonymousLimits")
    tiers, bad_tiers = _read_tiers(document)
    retention, bad_retention = _read_retention(document.get("retention", {}))
    names = ("appName", "referer", "freeModelsOnly", "replaceGoneModels", "singleUseAppCheck")
    settings, also_malformed = _read(
        AppSettings,
        {
            **{name: document[name] for name in names if name in document},
            "limits": user_limits,
            "anonymousLimits": anonymous or ANONYMOUS,
            "tiers": tiers,
            "ceiling": ceiling,
            "retention": retention,
        },
    )
    revision = document.get("revision")
    if type(revision) is not int or not 0 <= revision < 2**53:
        revision = 0
    maps = ("limits", "ceiling", "tiers")
    no_maps = [name for name in maps if not isinstance(document.get(name, {}), dict)]
    bad_ceiling = [f"ceiling.{name}" for name in bad_ceiling]
    all_malformed = (
        *(*malformed, *bad_ceiling, *bad_anonymous, *bad_tiers, *bad_retention),
        *(*no_maps, *also_malformed),
    )
    return ReadAppSettings(settings, revision, all_malformed)


def _map(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _read_override(
    document: Mapping[str, object], name: str, place: str = ""
) -> tuple[LimitsOverride | None, list[str]]:
    """Return the limits in a field, None if there are none, and what of it is malformed."""
    if name not in document:
        return None, []
    value = document[name]
    if not isinstance(value, dict):
        return None, [f"{place}{name}"]
    override, malformed = read_override(value)
    return override, [f"{place}{name}.{field}" for field in malformed]


def _read_tiers(document: Mapping[str, object]) -> tuple[dict[str, LimitsOverride], list[str]]:
    """Return the tiers: one that was typed wrong takes none of the others along.

    Nor does one too many: those that come first by their names are read.
    """
    tiers: dict[str, LimitsOverride] = {}
    malformed: list[str] = []
    given = _map(document, "tiers")
    for name in sorted(given):
        override, odd = _read_override(given, name, "tiers.")
        if not _is_tier(name) or len(tiers) == TIERS_MAX:
            override, odd = None, [f"tiers.{name[:NAME_MAX_CHARS]}"]
        malformed += odd
        if override is not None:
            tiers[name] = override
    return tiers, malformed


def _is_tier(name: str) -> bool:
    return is_name(name) and len(name) <= NAME_MAX_CHARS


def _read_retention(value: object) -> tuple[Retention, list[str]]:
    """Return how long what is kept. A malformed `storeTexts` stores none: it fails closed."""
    if not isinstance(value, dict):
        return Retention(store_texts=False), ["retention"]
    retention, malformed = _read(Retention, value)
    if "storeTexts" in malformed or value.get("storeTexts", True) is None:
        retention = retention.model_copy(update={"store_texts": False})
    return retention, [f"retention.{name}" for name in malformed]


def _read(shape: type[ModelT], values: Mapping[str, object]) -> tuple[ModelT, list[str]]:
    """Return `values` as `shape`, with defaults for malformed fields, and those fields' names."""
    try:
        return shape.model_validate(values), []
    except ValidationError as error:
        places = [item["loc"] for item in error.errors(include_url=False)]
    # what is wrong with no field alone is wrong with all of them
    malformed = {str(place[0]) for place in places if place} or {*values}
    kept = {name: value for name, value in values.items() if name not in malformed}
    try:
        return shape.model_validate(kept), sorted(malformed)
    except ValidationError:  # the rest is at odds with a default
        return shape(), sorted({*values})
