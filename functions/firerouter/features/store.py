"""The store of features: what serves, every revision of it, and an admin's changes.

    features/{id}               {enabled, revision, settings, draft: {revision, percent, settings}?,
                                 hadChoice?, savedAt, savedBy, prices: [{model, promptPrice,
                                 completionPrice, canonicalSlug}]}           what serves now
    features/{id}/revisions/{n} {revision, settings, action, base, at, by, email, note, draft?,
                                 changes: [{field, before?, after?}]}        every revision

A document typed by hand can not take a feature down: what can not be read falls back to the
revision that it names, then to the newest valid one, then to the built-in default, on all instances
alike, and the problem is logged. What was only ever a draft (`draft: true`) never serves so. A
feature of an admin's own that has none of these is SettingsInvalid. `enabled` is read on its own
and fails closed: anything but `true` is off. A draft that can not be read serves nobody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.cloud.firestore import DELETE_FIELD, AsyncClient, Query
from pydantic import ValidationError

from .. import limits, log
from ..cache import Cached
from ..contract import faults, is_name
from ..errors import (
    FeatureDisabled,
    FeatureUnknown,
    RevisionUnknown,
    SettingsInvalid,
    SettingsUnavailable,
)
from ..firestore import AWAY, Audit, Change
from .defaults import DEFAULTS
from .settings import Draft, Feature, FeatureSettings


@dataclass(frozen=True, slots=True)
class StoredFeature:
    """A feature as it was read: what a change is made from.

    feature: what serves; None where nothing does, not even a default. unreadable: the fields of the
    document that can not be read, of settings, enabled and draft. version: the document's update
    time, the guard of a change; None where there is no document. prices: of its models, by id, as
    they were when it was saved.
    """

    feature: Feature | None
    unreadable: tuple[str, ...] = ()
    version: Any = None
    saved_at: datetime | None = None
    saved_by: str | None = None
    prices: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        """What is written there is not what serves."""
        return "settings" in self.unreadable


class FeatureStore:
    """Reads features, each cached for a few seconds and fetched once at a time; changes them."""

    def __init__(self, firestore: AsyncClient, audit: Audit) -> None:
        self._firestore = firestore
        self._audit = audit
        self._documents = firestore.collection("features")
        self._caches: dict[str, Cached[Feature | None]] = {}
        self._all = self._fresh_list()

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

    async def all(self) -> list[Feature]:
        """Every feature that has settings, enabled or not, by id. Raises SettingsUnavailable."""
        try:
            return await self._all.get()
        except AWAY:
            raise SettingsUnavailable from None

    async def read_all(self) -> dict[str, StoredFeature]:
        """Every feature as it is stored now, by id. Raises SettingsUnavailable."""
        try:
            return await self._read_all()
        except AWAY:
            raise SettingsUnavailable from None

    async def read(self, id_: str) -> StoredFeature:
        """The feature as it is stored now. Raises SettingsUnavailable."""
        try:
            return await self._read(id_)
        except AWAY:
            raise SettingsUnavailable from None

    async def revision(self, id_: str, number: int) -> FeatureSettings:
        """The settings of a revision. Raises RevisionUnknown, SettingsInvalid, SettingsUnavailable.

        Revision 0 is the built-in default.
        """
        if number == 0 and id_ in DEFAULTS:
            return DEFAULTS[id_].settings
        reference = self._revisions(id_).document(str(number))
        try:
            snapshot = await reference.get(retry=None, timeout=limits.READ_S)
        except AWAY:
            raise SettingsUnavailable from None
        if not snapshot.exists:
            raise RevisionUnknown(field="restore")
        settings = _settings((snapshot.to_dict() or {}).get("settings"), id_, number)
        if settings is None:
            sentence = f"Revision {number} can not be read any more. Please choose another one."
            raise SettingsInvalid(sentence, field="restore", feature=id_, revision=number)
        return settings

    async def newest_number(self, id_: str) -> int:
        """The highest number of a stored revision, 0 for none. Raises SettingsUnavailable."""
        newest = self._revisions(id_).order_by("revision", direction=Query.DESCENDING).limit(10)
        try:
            snapshots = await newest.get(retry=None, timeout=limits.READ_S)
        except AWAY:
            raise SettingsUnavailable from None
        numbers = (_number((snapshot.to_dict() or {}).get("revision")) for snapshot in snapshots)
        return max(numbers, default=0)

    async def save(
        self,
        stored: StoredFeature,
        feature: Feature,
        change: Change,
        *,
        beside: dict[str, Any],
        revision: dict[str, Any] | None = None,
        promoted: int | None = None,
    ) -> None:
        """Let `feature` serve in place of what is `stored`; on this instance at once.

        beside: further fields of the document. revision: the document of a new revision, created
        under its number. promoted: the number of one that is no draft any more. Raises
        SettingsChanged: nothing was written. SettingsRefused, SettingsUnavailable.
        """
        batch = self._firestore.batch()
        reference = self._documents.document(feature.id)
        document = {**feature.to_document(), **beside}
        if feature.has_choice or (feature.draft and feature.draft.settings.allowed_models):
            document["hadChoice"] = True
        if stored.version is None:
            batch.create(reference, document)
        else:
            guard = self._firestore.write_option(last_update_time=stored.version)
            batch.update(reference, document, option=guard)
        if revision is not None:
            number = str(revision["revision"])
            batch.create(self._revisions(feature.id).document(number), revision)
        if promoted is not None:
            reference = self._revisions(feature.id).document(str(promoted))
            batch.set(reference, {"draft": DELETE_FIELD}, merge=True)
        await self._audit.commit(batch, change)
        self._all = self._fresh_list()
        if (cache := self._caches.get(feature.id)) is not None:
            cache.put(feature)

    # -- reading -------------------------------------------------------------------------------

    def _fresh_list(self) -> Cached[list[Feature]]:
        return Cached(
            self._load_all, fresh_s=limits.SETTINGS_FRESH_S, stale_s=limits.SETTINGS_STALE_S
        )

    async def _load(self, id_: str) -> Feature | None:
        stored = await self._read(id_)
        if stored.feature is None and stored.version is not None:
            raise SettingsInvalid  # without its system prompt it would be another feature
        return stored.feature

    async def _load_all(self) -> list[Feature]:
        stored = (await self._read_all()).values()
        return [one.feature for one in stored if one.feature is not None]

    async def _read_all(self) -> dict[str, StoredFeature]:
        found = {id_: StoredFeature(feature) for id_, feature in DEFAULTS.items()}
        query = self._documents.limit(2 * limits.FEATURES_MAX)
        for snapshot in await query.get(retry=None, timeout=limits.READ_S):
            if is_name(snapshot.id):  # else nobody can ask it
                found[snapshot.id] = await self._stored(snapshot)
        return dict(sorted(found.items()))

    async def _read(self, id_: str) -> StoredFeature:
        snapshot = await self._documents.document(id_).get(retry=None, timeout=limits.READ_S)
        return await self._stored(snapshot) if snapshot.exists else StoredFeature(DEFAULTS.get(id_))

    async def _stored(self, snapshot: Any) -> StoredFeature:
        id_, document = snapshot.id, snapshot.to_dict() or {}
        number, enabled = _number(document.get("revision")), document.get("enabled", False)
        settings = _settings(document.get("settings"), id_, number)
        draft = _draft(document.get("draft"), id_)
        found = await self._last_good(id_, number) if settings is None else (number, settings)
        had_choice = document.get("hadChoice") is True
        feature = found and Feature(id_, enabled is True, *found, draft, had_choice=had_choice)
        if not isinstance(enabled, bool):
            log.error("enabled_invalid", feature=id_)
        readable = {
            "settings": settings is not None,
            "enabled": isinstance(enabled, bool),
            "draft": draft is not None or document.get("draft") is None,
        }
        saved_at, saved_by = document.get("savedAt"), document.get("savedBy")
        return StoredFeature(
            feature,
            unreadable=tuple(name for name, is_readable in readable.items() if not is_readable),
            version=snapshot.update_time,
            saved_at=saved_at if isinstance(saved_at, datetime) else None,
            saved_by=saved_by if isinstance(saved_by, str) else None,
            prices=_prices(document.get("prices")),
        )

    async def _last_good(self, id_: str, named: int) -> tuple[int, FeatureSettings] | None:
        """What served before the document was broken: the revision that it names, else the newest
        valid one, else the built-in default."""
        kept = self._revisions(id_)
        newest = kept.order_by("revision", direction=Query.DESCENDING).limit(10)
        snapshots = await newest.get(retry=None, timeout=limits.READ_S)
        if named:
            one = await kept.document(str(named)).get(retry=None, timeout=limits.READ_S)
            snapshots = [one, *snapshots]
        for snapshot in snapshots:
            document = snapshot.to_dict() or {}
            number = document.get("revision")
            if document.get("draft") is True or type(number) is not int:
                continue
            settings = _settings(document.get("settings"), id_, number)
            if settings is not None and number == _number(number):
                return number, settings
        return (0, DEFAULTS[id_].settings) if id_ in DEFAULTS else None

    def _revisions(self, id_: str) -> Any:
        return self._documents.document(id_).collection("revisions")


def _settings(settings: Any, id_: str, revision: Any) -> FeatureSettings | None:
    try:
        return FeatureSettings.model_validate(settings, by_alias=True, by_name=False)
    except ValidationError as error:
        wrong = [sentence for _, sentence in faults(error)[:5]]
    except RecursionError:
        wrong = ["nested too deeply"]
    log.error("settings_invalid", feature=id_, revision=revision, problems=wrong)
    return None


def _prices(prices: Any) -> dict[str, dict[str, Any]]:
    entries = prices if isinstance(prices, list) else []
    return {
        entry["model"]: entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("model"), str)
    }


def _number(revision: Any) -> int:
    """A revision's number; 0 for what could be none, nor be sent by a client that saw it."""
    # to Python, True is an int too
    return revision if type(revision) is int and 0 <= revision < 2**53 else 0


def _draft(draft: Any, id_: str) -> Draft | None:
    match draft:
        case None:
            return None
        case {"revision": number, "percent": int() | float() as percent, "settings": settings} if (
            _number(number) and math.isfinite(percent)
        ):
            read = _settings(settings, id_, number)
            if read is not None:
                return Draft(number, read, percent)
        case _:
            log.error("draft_invalid", feature=id_)
    return None
