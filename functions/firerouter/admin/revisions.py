"""What a change does to a feature: its next revision, its draft, its audit entry. Pure.

StoredFeature --toggle, publish, draft, promote, discard_draft--> FeatureChange
FeatureChange --> features/{id}, features/{id}/revisions/{n}, audit/{id}, the response
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from ..contract import faults
from ..errors import FeatureUnknown, NoDraft, SettingsChanged, SettingsRefused
from ..features import (
    Draft,
    Feature,
    FeatureSettings,
    Finding,
    Review,
    StoredFeature,
    differences,
    same_settings,
)
from ..limits import SETTINGS_MAX_BYTES
from ..models import Model, ModelList, price_text
from .limits import AdminLimits

if TYPE_CHECKING:
    from ..callable import Call
    from ..users import Caller

Json = dict[str, object]

EDITED_BY_HAND: Final = "edited_by_hand"  # the action of a change in Firestore's console


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, through which callable, and why."""

    uid: str
    email: str
    action: str
    note: str = ""

    @classmethod
    def of(cls, call: Call[Caller], action: str, note: str = "") -> Author:
        return cls(call.caller.uid, call.caller.email, action, note)


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """A feature as a change leaves it.

    Attributes:
        before: The settings that are replaced; None for a new feature.
        after: The settings that the change is about; None if it is about none.
        number: The number of the new revision with `after`; None if no revision is created.
        is_draft: Whether the new revision is a draft.
        promoted: The number of the draft's revision that is active for everybody now.
    """

    feature: Feature
    before: FeatureSettings | None = None
    after: FeatureSettings | None = None
    number: int | None = None
    is_draft: bool = False
    promoted: int | None = None

    def differences(self) -> list[Json]:
        """Return where the settings differ: from the defaults, for a new feature."""
        if self.after is None:
            return []
        return differences((self.before or FeatureSettings()).to_json(), self.after.to_json())

    def to_wire(self, review: Review) -> Json:
        """Return what the admin gets."""
        return {
            "feature": self.feature.id,
            **self.feature.to_document(),
            "changes": self.differences(),
            "warnings": [finding.to_wire() for finding in review.warnings],
        }

    def revision_document(self, author: Author, base: int, at: datetime) -> Json | None:
        """Return the document of the new revision, if there is one.

        Args:
            author: Who made the change.
            base: The revision that it was made from.
            at: When it was made.
        """
        if self.number is None or self.after is None:
            return None
        document: Json = {
            "revision": self.number,
            "settings": self.after.to_json(),
            "action": author.action,
            "base": base,
            "changes": self.differences(),
            "at": at,
            "by": author.uid,
            "email": author.email or None,
            "note": author.note or None,
        }
        return document | {"draft": True} if self.is_draft else document


# -- the changes -----------------------------------------------------------------------------------


def toggle(stored: StoredFeature, enabled: bool) -> FeatureChange:
    """Turn a feature on or off. Raises FeatureUnknown."""
    return FeatureChange(replace(_known(stored), enabled=enabled))


def publish(
    stored: StoredFeature,
    id_: str,
    settings: FeatureSettings,
    number: int,
    enabled: bool | None = None,
) -> FeatureChange:
    """Activate settings for everybody. A draft stays as it is.

    Args:
        stored: The feature as it is.
        id_: Its ID.
        settings: The settings to activate.
        number: The number of the new revision, if one is needed.
        enabled: Whether to turn the feature on; None leaves it as it is, and turns a new one on.
    """
    before = stored.feature
    if before is None:
        feature = Feature(id_, enabled is not False, number, settings)
        return FeatureChange(feature, None, settings, number)
    is_on = before.enabled if enabled is None else enabled
    if same_settings(before.settings, settings) and not stored.settings_unreadable:
        return FeatureChange(replace(before, enabled=is_on))
    after = replace(before, enabled=is_on, revision=number, settings=settings)
    return FeatureChange(after, before.settings, settings, number)


def draft(
    stored: StoredFeature, settings: FeatureSettings, number: int, percent: float
) -> FeatureChange:
    """Give settings to some of the users. If they are the draft's, only the percentage changes.

    Raises FeatureUnknown.
    """
    before = _known(stored)
    if before.draft is not None and same_settings(before.draft.settings, settings):
        return FeatureChange(replace(before, draft=replace(before.draft, percent=percent)))
    after = replace(before, draft=Draft(number, settings, percent))
    return FeatureChange(after, before.settings, settings, number, is_draft=True)


def promote(stored: StoredFeature, number: int) -> FeatureChange:
    """Activate the draft for everybody, under its own number unless a later revision exists.

    Raises FeatureUnknown, NoDraft.
    """
    before, draft_ = _with_draft(stored)
    after = replace(before, revision=number, settings=draft_.settings, draft=None)
    if draft_.revision != number - 1:
        return FeatureChange(after, before.settings, draft_.settings, number)
    after = replace(after, revision=draft_.revision)
    return FeatureChange(after, before.settings, draft_.settings, promoted=draft_.revision)


def discard_draft(stored: StoredFeature) -> FeatureChange:
    """End the draft. Raises FeatureUnknown, NoDraft."""
    before, _ = _with_draft(stored)
    return FeatureChange(replace(before, draft=None))


def _known(stored: StoredFeature) -> Feature:
    if stored.feature is None:
        raise FeatureUnknown(field="feature")
    return stored.feature


def _with_draft(stored: StoredFeature) -> tuple[Feature, Draft]:
    feature = _known(stored)
    if feature.draft is None:
        raise NoDraft(field="feature")
    return feature, feature.draft


# -- what the change was made from -----------------------------------------------------------------


def seen_revision(
    stored: StoredFeature, *, about_draft: bool
) -> tuple[int, FeatureSettings | None]:
    """Return the revision, and its settings, that the author of a change should have seen.

    For a change of the draft, that is the draft's, if there is one.
    """
    feature = stored.feature
    if feature is None:
        return 0, None
    shown = feature.draft if about_draft and feature.draft else feature
    return shown.revision, shown.settings


def feature_conflict(
    stored: StoredFeature, yours: Json, base: int, *, about_draft: bool
) -> SettingsChanged:
    """Return the error for a change that was made from another revision than the stored one.

    Args:
        stored: The feature as it is.
        yours: The settings that were to be saved; empty if the change is about none.
        base: The revision that the change was made from.
        about_draft: Whether the change is about the draft.
    """
    revision, settings = seen_revision(stored, about_draft=about_draft)
    settings_now = settings.to_json() if settings else {}
    current: Json = {
        "revision": revision,
        "enabled": stored.feature is not None and stored.feature.enabled,
        "settings": settings_now,
        "savedAt": stored.saved_at.isoformat() if stored.saved_at else None,
        "savedBy": stored.saved_by,
    }
    return conflict_from(base, current, yours or settings_now, about_draft=about_draft)


def conflict_from(
    base: int, current: Mapping[str, object], yours: Json, *, about_draft: bool = False
) -> SettingsChanged:
    """Return the error that shows both versions, and where they differ.

    Args:
        base: The revision that the change was made from.
        current: `{revision, settings, ...}` as it is stored.
        yours: The settings that were to be saved.
        about_draft: Whether the revisions are those of a draft.
    """
    what, now = "The draft" if about_draft else "This", current["revision"]
    return SettingsChanged(
        f"{what} is no longer revision {base}: somebody has saved revision {now} since. "
        "Please look at what has changed and try again.",
        field="revision",
        yours={"revision": base, "settings": yours},
        current=dict(current),
        differences=differences(current["settings"], yours),
    )


def invalid(error: ValidationError, limits: AdminLimits = AdminLimits()) -> SettingsRefused:
    """Return the error for wrong types and ranges, each with its field."""
    errors = [Finding(field, "invalid", sentence) for field, sentence in faults(error, "setting")]
    return refused(Review(errors=errors), limits)


def refused(review: Review, limits: AdminLimits = AdminLimits()) -> SettingsRefused:
    """Return the error for a review with errors: the first as the sentence, all as details."""
    errors = [finding.to_wire() for finding in review.errors[: limits.findings_max]]
    return SettingsRefused(
        errors[0]["message"],
        field=errors[0]["field"],
        errors=errors,
        warnings=[finding.to_wire() for finding in review.warnings[: limits.findings_max]],
    )


# -- what is stored with it ------------------------------------------------------------------------


def audited_sides(stored: StoredFeature, after: Feature) -> tuple[Json | None, Json]:
    """Return what the audit shows as before and after: the draft only if it changed."""
    before = stored.feature if stored.version is not None else None
    draft_changed = (stored.feature.draft if stored.feature else None) != after.draft

    def audited(feature: Feature) -> Json:
        document = feature.to_document()
        if not draft_changed:
            del document["draft"]
        return document

    return audited(before) if before else None, audited(after)


def audited_document(document: Mapping[str, object]) -> Json | None:
    """Return a document that was edited in the console as the audit shows it.

    None if it is too large for that, or holds what is no JSON.
    """
    shown = {name: document.get(name) for name in ("enabled", "revision", "settings", "draft")}
    try:
        size = len(json.dumps(shown).encode())
    except (TypeError, ValueError):
        return None
    return shown if size <= 2 * SETTINGS_MAX_BYTES else None


def changes_nothing(
    change: FeatureChange, stored: StoredFeature, prices: Sequence[Json] | None
) -> bool:
    """Return whether nothing would change: no setting and, if prices are known, no price."""
    if stored.unreadable or stored.feature is None:
        return False
    if stored.version is not None and prices is not None and prices != [*stored.prices.values()]:
        return False
    return not differences(stored.feature.to_document(), change.feature.to_document())


def prices_of(feature: Feature, models: ModelList) -> list[Json]:
    """Return the price of each model that a feature names, for the daily check to compare with."""
    named = feature.settings.model_ids()
    if feature.draft:
        named += feature.draft.settings.model_ids()
    found = ((id_, models.resolve(id_).model) for id_ in dict.fromkeys(named))
    return [{"model": id_, **price_of(model)} for id_, model in found if model is not None]


def price_of(model: Model) -> Json:
    """Return `{promptPrice?, completionPrice?, canonicalSlug?}`, prices as text."""
    prices = {"promptPrice": model.prompt_price, "completionPrice": model.completion_price}
    fields: Json = {
        name: price_text(price) if isinstance(price, Decimal) else price
        for name, price in prices.items()
        if price is not None
    }
    return fields | ({"canonicalSlug": model.canonical_slug} if model.canonical_slug else {})
