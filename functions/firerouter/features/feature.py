"""A feature and its draft as values, and how they are read from documents. Pure.

features/{id}               {enabled, revision, settings, draft: {revision, percent, settings}?,
                             checksum, hadChoice?, savedAt, savedBy, prices: [{model, promptPrice,
                             completionPrice, canonicalSlug}]}
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from ..contract import faults
from .settings import FeatureSettings

Json = dict[str, object]
Problem = tuple[str, str]  # a field, and a sentence about it

CHECKSUM_CHARS: Final = 32
PROBLEMS_MAX: Final = 5  # of one part of a document


@dataclass(frozen=True, slots=True)
class Draft:
    """Settings that only some of the users get.

    Attributes:
        percent: How many of the users, 0 to 100.
    """

    revision: int
    settings: FeatureSettings
    percent: float

    def includes(self, feature_id: str, uid: str) -> bool:
        """Return whether this user gets the draft.

        The same users do as long as the draft's revision stays; a higher percentage adds others.
        """
        digest = hashlib.sha256(f"{feature_id}\0{self.revision}\0{uid}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64 * 100 < self.percent

    def to_document(self) -> Json:
        """Return the draft as Firestore stores it."""
        return {
            "revision": self.revision,
            "percent": self.percent,
            "settings": self.settings.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as it is active now.

    Attributes:
        revision: The number of its settings; 0 is the built-in default.
        test: Whether this is an admin's test of settings, which may never have been saved.
        unsaved: Whether its settings are in no revision.
        had_choice: Whether it ever offered a choice of models, so that users may have chosen one.
    """

    id: str
    enabled: bool
    revision: int
    settings: FeatureSettings
    draft: Draft | None = None
    test: bool = False
    had_choice: bool = False
    unsaved: bool = False

    @property
    def saved_revision(self) -> int | None:
        """The revision that has its settings; None if they were not saved."""
        return None if self.unsaved else self.revision

    @property
    def has_model_choice(self) -> bool:
        """Whether users may have chosen a model."""
        return self.had_choice or bool(self.settings.allowed_models)

    def for_user(self, uid: str) -> Feature:
        """Return the feature as this user gets it: with the draft's settings, or without."""
        draft = self.draft
        if draft is None or not draft.includes(self.id, uid):
            return self
        return replace(self, revision=draft.revision, settings=draft.settings)

    def to_document(self) -> Json:
        """Return the part of `features/{id}` that says what is active."""
        return {
            "enabled": self.enabled,
            "revision": self.revision,
            "settings": self.settings.to_json(),
            "draft": self.draft and self.draft.to_document(),
        }


@dataclass(frozen=True, slots=True)
class StoredFeature:
    """A feature as it was read, to make a change from.

    Attributes:
        feature: What is active; None if nothing is, not even a default.
        unreadable: What is wrong in each malformed part of the document: in `settings`, `enabled`
            or `draft`, or in its `id`.
        version: The document's update time, which guards a change; None if there is no document.
        document: What the document holds, readable or not.
        prices: Its models' prices when it was saved, by model ID.
    """

    feature: Feature | None
    unreadable: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    version: datetime | None = None
    saved_at: datetime | None = None
    saved_by: str | None = None
    prices: Mapping[str, Json] = field(default_factory=dict)
    document: Mapping[str, object] = field(default_factory=dict)

    @property
    def checksum(self) -> str | None:
        """The checksum in the document; None if it has none."""
        value = self.document.get("checksum")
        return value if isinstance(value, str) else None

    @property
    def may_be_edited(self) -> bool:
        """Whether the document is not as a function last saved it, as far as its checksum tells."""
        return self.version is not None and self.checksum != checksum_of(self.document)

    @property
    def is_absent(self) -> bool:
        """Whether there is no such feature: neither a document nor a default."""
        return self.feature is None and self.version is None

    @property
    def settings_unreadable(self) -> bool:
        """Whether the settings in the document are not the active ones."""
        return "settings" in self.unreadable


# -- reading documents -----------------------------------------------------------------------------


class Malformed(ValueError):
    """A part of a document cannot be read; `problems` says why, each a field and a sentence."""

    def __init__(self, problems: Sequence[Problem] = ()) -> None:
        super().__init__(*(sentence for _, sentence in problems))
        self.problems = tuple(problems)


def read_settings(value: object) -> FeatureSettings:
    """Return stored settings. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed([("settings", "The document has no settings.")])
    try:
        return FeatureSettings.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Malformed(faults(error)[:PROBLEMS_MAX]) from None
    except RecursionError:
        raise Malformed([("settings", "The settings are nested too deeply.")]) from None


def read_revision_number(value: object) -> int:
    """Return a revision's number; 0 if it is not one, or exceeds JavaScript's integers."""
    # isinstance would accept True
    return value if type(value) is int and 0 <= value < 2**53 else 0


def read_draft(value: object) -> Draft | None:
    """Return a stored draft, if there is one. Raises Malformed."""
    match value:
        case None:
            return None
        case {"revision": number, "percent": int() | float() as percent, "settings": settings} if (
            read_revision_number(number) and (isinstance(percent, int) or math.isfinite(percent))
        ):
            return Draft(number, read_settings(settings), percent)
        case _:
            raise Malformed([("draft", "A draft needs a revision, a percent and settings.")])


def read_prices(value: object) -> dict[str, Json]:
    """Return the well-formed entries of `prices`, by model ID."""
    entries = value if isinstance(value, list) else []
    return {
        entry["model"]: entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("model"), str)
    }


# -- the checksum, by which edits in the console are noticed ---------------------------------------


def checksum_of(document: Mapping[str, object]) -> str:
    """Return the checksum of the parts of a document that say what is active."""
    parts = {name: document.get(name) for name in ("enabled", "revision", "settings", "draft")}
    text = json.dumps(_plain(parts), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:CHECKSUM_CHARS]


def _plain(value: object) -> object:
    """Return a value in which 1.0 is 1: the console makes one of the other."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


# -- differences -----------------------------------------------------------------------------------


def differences(before: object, after: object, field: str = "") -> list[Json]:
    """Return `[{field, before?, after?}]`, where two JSON values differ. A list is one value."""
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


def same_settings(one: FeatureSettings, other: FeatureSettings) -> bool:
    """Return whether both are the same JSON, in which 1 and true differ, unlike for `==`."""
    return not differences(one.to_json(), other.to_json())


def _canonical(value: object) -> str:
    """Return the same text for the same JSON: Firestore reorders names, and 1 == True."""
    return json.dumps(value, sort_keys=True)


_ABSENT: Final = ...
