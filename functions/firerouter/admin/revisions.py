"""What a change makes of a feature: its next revision, its draft, what the audit says of it. Pure.

StoredFeature --plan--> Plan --> features/{id}, features/{id}/revisions/{n}, audit/{id}, the answer
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from .. import limits
from ..callable import Call
from ..contract import faults
from ..errors import FeatureUnknown, NoDraft, SettingsChanged, SettingsRefused
from ..features import Draft, Feature, FeatureSettings, Finding, Review, StoredFeature, differences
from ..firestore import Change
from ..models import Model, ModelList
from ..users import Caller


@dataclass(frozen=True, slots=True)
class Who:
    """Who changes something, through which callable, and what they say of it."""

    uid: str
    email: str
    action: str
    note: str = ""

    @classmethod
    def of(cls, call: Call[Caller], action: str, note: str = "") -> Who:
        return cls(call.caller.uid, call.caller.email, action, note)


@dataclass(frozen=True, slots=True)
class Plan:
    """A feature as a change leaves it.

    after: the settings that the change is about; before: what they were, None for a new feature.
    number: of the revision that keeps `after`, None where there is one already. draft: the change
    is a new draft. promoted: the number of the draft's revision that serves everybody now.
    """

    feature: Feature
    before: FeatureSettings | None = None
    after: FeatureSettings | None = None
    number: int | None = None
    draft: bool = False
    promoted: int | None = None

    def changes(self) -> list[dict[str, Any]]:
        if self.after is None:
            return []
        return differences((self.before or FeatureSettings()).to_json(), self.after.to_json())

    def to_wire(self, found: Review) -> dict[str, Any]:
        document = self.feature.to_document()
        return {
            "feature": self.feature.id,
            **document,
            "changes": self.changes(),
            "warnings": [finding.to_wire() for finding in found.warnings],
        }

    def revision(self, who: Who, base: int, at: datetime) -> dict[str, Any] | None:
        """The document of the new revision, where there is one."""
        if self.number is None or self.after is None:
            return None
        return {
            "revision": self.number,
            "settings": self.after.to_json(),
            "action": who.action,
            "base": base,
            "changes": self.changes(),
            "at": at,
            "by": who.uid,
            "email": who.email or None,
            "note": who.note or None,
            **({"draft": True} if self.draft else {}),
        }


# -- the plans -------------------------------------------------------------------------------------


def switched(stored: StoredFeature, enabled: bool) -> Plan:
    """On or off. Raises FeatureUnknown."""
    return Plan(replace(_known(stored), enabled=enabled))


def served(
    stored: StoredFeature,
    id_: str,
    settings: FeatureSettings,
    number: int,
    enabled: bool | None = None,
) -> Plan:
    """Other settings for everybody; a draft stays on trial beside them. enabled None: as it is."""
    before = stored.feature
    on = enabled if enabled is not None else (before is None or before.enabled)
    if before is None:
        return Plan(Feature(id_, on, number, settings), None, settings, number)
    if before.settings.is_as(settings) and not stored.broken:
        return Plan(replace(before, enabled=on))
    after = replace(before, enabled=on, revision=number, settings=settings)
    return Plan(after, before.settings, settings, number)


def on_trial(stored: StoredFeature, settings: FeatureSettings, number: int, percent: float) -> Plan:
    """A draft; with the settings it has already, the same one for another share of the users.

    Raises FeatureUnknown.
    """
    before = _known(stored)
    draft = before.draft
    if draft is not None and draft.settings.is_as(settings):
        return Plan(replace(before, draft=replace(draft, percent=percent)))
    after = replace(before, draft=Draft(number, settings, percent))
    return Plan(after, before.settings, settings, number, draft=True)


def promoted(stored: StoredFeature, number: int) -> Plan:
    """The draft for everybody, under its own number where no later revision has come between.

    Raises FeatureUnknown, NoDraft.
    """
    before, draft = _drafted(stored)
    after = replace(before, revision=number, settings=draft.settings, draft=None)
    if draft.revision != number - 1:
        return Plan(after, before.settings, draft.settings, number)
    after = replace(after, revision=draft.revision)
    return Plan(after, before.settings, draft.settings, promoted=draft.revision)


def dropped(stored: StoredFeature) -> Plan:
    """No draft any more. Raises FeatureUnknown, NoDraft."""
    before, _ = _drafted(stored)
    return Plan(replace(before, draft=None))


def _known(stored: StoredFeature) -> Feature:
    if stored.feature is None:
        raise FeatureUnknown(field="feature")
    return stored.feature


def _drafted(stored: StoredFeature) -> tuple[Feature, Draft]:
    feature = _known(stored)
    if feature.draft is None:
        raise NoDraft(field="feature")
    return feature, feature.draft


# -- what the change was made from -----------------------------------------------------------------


def looked_at(stored: StoredFeature, *, trial: bool) -> tuple[int, FeatureSettings | None]:
    """(revision, settings) that whoever makes a change should have seen: of one that is about a
    draft the draft's, where there is one."""
    feature = stored.feature
    if feature is None:
        return 0, None
    shown = feature.draft if trial and feature.draft else feature
    return shown.revision, shown.settings


def outdated(stored: StoredFeature, plan: Plan, base: int, *, trial: bool) -> SettingsChanged:
    """A change that was made from another revision than the one that is there."""
    revision, settings = looked_at(stored, trial=trial)
    current: dict[str, Any] = {
        "revision": revision,
        "enabled": stored.feature is not None and stored.feature.enabled,
        "settings": settings.to_json() if settings else {},
        "savedAt": stored.saved_at.isoformat() if stored.saved_at else None,
        "savedBy": stored.saved_by,
    }
    return conflict(base, current, plan.after.to_json() if plan.after else current["settings"])


def conflict(base: int, current: dict[str, Any], yours: dict[str, Any]) -> SettingsChanged:
    """Both versions, and where they differ: whoever saves next has seen the other one.

    current: `{revision, settings, ...}` as it is there. yours: the settings, made from `base`.
    """
    return SettingsChanged(
        f"You changed revision {base}, but revision {current['revision']} is there now. "
        "Please look at both and save again.",
        field="revision",
        yours={"revision": base, "settings": yours},
        current=current,
        differences=differences(current["settings"], yours),
    )


def invalid(error: ValidationError) -> SettingsRefused:
    """Of wrong types and ranges, each with its field."""
    wrong = [Finding(field, "invalid", message) for field, message in faults(error)]
    return refused(Review(errors=wrong))


def refused(found: Review) -> SettingsRefused:
    """The first error as the sentence, all of them as details."""
    errors = [finding.to_wire() for finding in found.errors[: limits.FINDINGS_MAX]]
    return SettingsRefused(
        errors[0]["message"],
        field=errors[0]["field"],
        errors=errors,
        warnings=[finding.to_wire() for finding in found.warnings[: limits.FINDINGS_MAX]],
    )


# -- what is kept beside it ------------------------------------------------------------------------


def entry(who: Who, stored: StoredFeature, after: Feature) -> Change:
    """Before and after in full; of a draft where the change is about it."""
    before = stored.feature if stored.version is not None else None
    trial = (stored.feature.draft if stored.feature else None) != after.draft

    def audited(feature: Feature) -> dict[str, Any]:
        document = feature.to_document()
        return document if trial else {n: v for n, v in document.items() if n != "draft"}

    return Change(
        by=who.uid,
        email=who.email,
        action=who.action,
        target=f"features/{after.id}",
        before=audited(before) if before else None,
        after=audited(after),
        note=who.note,
    )


def is_as_stored(plan: Plan, stored: StoredFeature, prices: list[dict[str, Any]] | None) -> bool:
    """Whether nothing is to be written: no setting, and, where prices are known, no price."""
    if stored.unreadable or stored.feature is None:
        return False
    if stored.version is not None and prices is not None and prices != [*stored.prices.values()]:
        return False
    return not differences(stored.feature.to_document(), plan.feature.to_document())


def prices(feature: Feature, models: ModelList) -> list[dict[str, Any]]:
    """What each model costs as the feature is saved: the daily check compares with it."""
    named = feature.settings.models() + (feature.draft.settings.models() if feature.draft else [])
    found = ((id_, models.find(id_).model) for id_ in dict.fromkeys(named))
    return [{"model": id_, **price_of(model)} for id_, model in found if model is not None]


def price_of(model: Model) -> dict[str, Any]:
    """`{promptPrice?, completionPrice?, canonicalSlug?}`, prices as text."""
    document = model.to_document()
    names = ("promptPrice", "completionPrice", "canonicalSlug")
    return {name: document[name] for name in names if name in document}
