"""The store of features: the active settings, every revision of them, and admins' changes.

    features/{id}               the active settings, as `feature` describes them
    features/{id}/revisions/{n} {revision, settings, action, base, at, by, email, note, draft?,
                                 changes: [{field, before?, after?}]}        every revision

A document edited in the console cannot take a feature down: settings that cannot be read fall back
to the revision that the document names, then to the newest valid revision, then to the built-in
default, on all instances alike, and the problem is logged. A revision that was only ever a draft
(`draft: true`) is never used like that. A feature that is not built in and has none of these raises
SettingsInvalid. `enabled` is read by itself and fails closed: anything but `true` is off. Nobody
gets a draft that cannot be read. Edits that can be read are active within seconds, and become
revisions when an admin's call, or the daily check, notices them (`admin.hand_edits`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from google.cloud.firestore import (
    DELETE_FIELD,
    AsyncClient,
    AsyncCollectionReference,
    Query,
)

from .. import log
from ..cache import Cached
from ..contract import is_name
from ..errors import (
    FeatureDisabled,
    FeatureUnknown,
    RevisionUnknown,
    SettingsInvalid,
    SettingsUnavailable,
)
from ..firestore import Audit, Change, Paths, Snapshot, content, get, query, translated
from .defaults import DEFAULTS
from .feature import (
    Draft,
    Feature,
    Malformed,
    Problem,
    StoredFeature,
    checksum_of,
    read_draft,
    read_prices,
    read_revision_number,
    read_settings,
)
from .limits import SettingsLimits
from .settings import FeatureSettings

_NO_NAME: Final = "The ID may only have letters, digits, _ and -, and must begin with a letter."
_UNAVAILABLE = SettingsUnavailable, "settings_unavailable"


class FeatureStore:
    """Reads features, each cached for a few seconds and fetched once at a time; changes them."""

    def __init__(
        self,
        firestore: AsyncClient,
        audit: Audit,
        *,
        limits: SettingsLimits = SettingsLimits(),
    ) -> None:
        self._firestore = firestore
        self._audit = audit
        self.limits = limits
        self._paths = Paths(firestore)
        self._caches: dict[str, Cached[Feature | None]] = {}
        self._all = self._new_list_cache()

    async def get(self, id_: str) -> Feature:
        """Return a feature that is enabled, as of a few seconds ago.

        Raises FeatureUnknown, FeatureDisabled, SettingsInvalid, SettingsUnavailable,
        FirestoreForbidden.
        """
        cache = self._caches.get(id_)
        if cache is None:
            cache = self._caches[id_] = Cached(
                lambda: self._load(id_),
                fresh_s=self.limits.fresh_s,
                stale_s=self.limits.stale_s,
            )
        feature = None
        try:
            with translated(*_UNAVAILABLE):
                feature = await cache.get()
        finally:
            if feature is None:  # names that callers invent must not pile up
                self._caches.pop(id_, None)
        if feature is None:
            raise FeatureUnknown
        if not feature.enabled:
            raise FeatureDisabled
        return feature

    async def list_all(self) -> list[Feature]:
        """Return every feature that has settings, enabled or not, by ID, as of a few seconds ago.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        with translated(*_UNAVAILABLE):
            return await self._all.get()

    async def read_all(self) -> dict[str, StoredFeature]:
        """Return every feature as it is stored now, by ID. Raises as `list_all`."""
        with translated(*_UNAVAILABLE):
            return await self._read_all()

    async def read(self, id_: str) -> StoredFeature:
        """Return a feature as it is stored now. Raises as `list_all`."""
        with translated(*_UNAVAILABLE):
            return await self._read(id_)

    async def revision(self, id_: str, number: int) -> FeatureSettings:
        """Return the settings of a revision; revision 0 is the built-in default.

        Raises RevisionUnknown, SettingsInvalid, SettingsUnavailable, FirestoreForbidden.
        """
        if number == 0 and id_ in DEFAULTS:
            return DEFAULTS[id_].settings
        with translated(*_UNAVAILABLE):
            snapshot = await self._get(self._paths.revisions(id_), str(number))
        if not snapshot.exists:
            raise RevisionUnknown(field="restore")
        settings = _settings(content(snapshot).get("settings"), id_, number)
        if settings is None:
            sentence = f"Revision {number} can no longer be read. Choose another revision."
            raise SettingsInvalid(sentence, field="restore", feature=id_, revision=number)
        return settings

    async def newest_number(self, id_: str) -> int:
        """Return the highest number of a stored revision, 0 if there is none.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        with translated(*_UNAVAILABLE):
            snapshots = await self._newest_revisions(id_)
        numbers = (
            read_revision_number(content(snapshot).get("revision")) for snapshot in snapshots
        )
        return max(numbers, default=0)

    async def save(
        self,
        stored: StoredFeature,
        feature: Feature,
        change: Change,
        *,
        beside: Mapping[str, object],
        revision: Mapping[str, object] | None = None,
        promoted: int | None = None,
    ) -> None:
        """Replace `stored` with `feature`; on this instance, that takes effect at once.

        Args:
            stored: The feature that the change was made from.
            feature: The feature as it will be.
            change: The entry for the audit.
            beside: Further fields of the document.
            revision: The document of a new revision, created under its number.
            promoted: The number of a revision that is no longer a draft.

        Raises:
            SettingsChanged: Somebody else changed the feature first. Nothing was written.
            SettingsRefused: Firestore cannot hold the settings. Nothing was written.
            SettingsUnavailable: It is not known whether anything was written.
        """
        batch = self._firestore.batch()
        reference = self._paths.feature(feature.id)
        document = {**feature.to_document(), **beside}
        if feature.has_model_choice or (feature.draft and feature.draft.settings.allowed_models):
            document["hadChoice"] = True
        document["checksum"] = checksum_of(document)
        if stored.version is None:
            batch.create(reference, document)
        else:
            guard = self._firestore.write_option(last_update_time=stored.version)
            batch.update(reference, document, option=guard)
        revisions = self._paths.revisions(feature.id)
        if revision is not None:
            batch.create(revisions.document(str(revision["revision"])), dict(revision))
        if promoted is not None:
            batch.set(revisions.document(str(promoted)), {"draft": DELETE_FIELD}, merge=True)
        await self._audit.commit(batch, change)
        self._all = self._new_list_cache()
        if (cache := self._caches.get(feature.id)) is not None:
            cache.put(feature)

    async def record_edit(
        self,
        id_: str,
        stored: StoredFeature,
        fields: Mapping[str, object],
        change: Change,
        *,
        revisions: Sequence[Mapping[str, object]],
    ) -> None:
        """Record an edit that was made in the console; all else in the document stays.

        Args:
            id_: The feature.
            stored: The feature with the edit.
            fields: Fields of the document to set, such as the number of the new revision.
            change: The entry for the audit.
            revisions: The documents of new revisions, created under their numbers.

        Raises:
            SettingsChanged: Somebody else changed the feature first. Nothing was written.
            SettingsRefused: Firestore can't hold it. Nothing was written.
            SettingsUnavailable: It is not known whether anything was written.
        """
        batch = self._firestore.batch()
        checksum = checksum_of({**stored.document, **fields})
        guard = self._firestore.write_option(last_update_time=stored.version)
        written = {**fields, "checksum": checksum}
        batch.update(self._paths.feature(id_), written, option=guard)
        for revision in revisions:
            path = self._paths.revisions(id_).document(str(revision["revision"]))
            batch.create(path, dict(revision))
        await self._audit.commit(batch, change)
        self._all = self._new_list_cache()
        if (cache := self._caches.get(id_)) is not None:
            cache.forget()

    async def delete(self, id_: str, stored: StoredFeature, change: Change) -> None:
        """Delete a feature's document; its revisions stay. This takes effect here at once.

        Raises:
            SettingsChanged: Somebody else changed the feature first. Nothing was deleted.
            SettingsUnavailable: It is not known whether it was deleted.
        """
        batch = self._firestore.batch()
        guard = self._firestore.write_option(last_update_time=stored.version)
        batch.delete(self._paths.feature(id_), option=guard)
        await self._audit.commit(batch, change)
        self._all = self._new_list_cache()
        self._caches.pop(id_, None)

    # -- reading -------------------------------------------------------------------------------

    def _new_list_cache(self) -> Cached[list[Feature]]:
        return Cached(self._load_all, fresh_s=self.limits.fresh_s, stale_s=self.limits.stale_s)

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
        documents = self._paths.features().limit(2 * self.limits.features_max)
        for snapshot in await query(documents, within_s=self.limits.read_s):
            if is_name(snapshot.id):
                found[snapshot.id] = await self._stored(snapshot)
            else:
                found[snapshot.id] = StoredFeature(None, unreadable={"id": [("id", _NO_NAME)]})
        return dict(sorted(found.items()))

    async def _read(self, id_: str) -> StoredFeature:
        snapshot = await self._get(self._paths.features(), id_)
        return await self._stored(snapshot) if snapshot.exists else StoredFeature(DEFAULTS.get(id_))

    async def _stored(self, snapshot: Snapshot) -> StoredFeature:
        id_, document = snapshot.id, content(snapshot)
        number = read_revision_number(document.get("revision"))
        enabled = document.get("enabled", False)
        problems: Problems = {}
        settings = _settings(document.get("settings"), id_, number, problems)
        draft = _draft(document.get("draft"), id_, problems)
        active = await self._last_valid(id_, number) if settings is None else (number, settings)
        had_choice = document.get("hadChoice") is True
        if not isinstance(enabled, bool):
            log.error("enabled_invalid", feature=id_)
            problems["enabled"] = [("enabled", "enabled must be true or false.")]
        saved_at, saved_by = document.get("savedAt"), document.get("savedBy")
        return StoredFeature(
            active and Feature(id_, enabled is True, *active, draft, had_choice=had_choice),
            unreadable=problems,
            version=snapshot.update_time,
            saved_at=saved_at if isinstance(saved_at, datetime) else None,
            saved_by=saved_by if isinstance(saved_by, str) else None,
            prices=read_prices(document.get("prices")),
            document=document,
        )

    async def _last_valid(self, id_: str, named: int) -> tuple[int, FeatureSettings] | None:
        """Return what was active before the document was broken: the revision that it names, else
        the newest valid one, else the built-in default."""
        snapshots = await self._newest_revisions(id_)
        if named:
            snapshots.insert(0, await self._get(self._paths.revisions(id_), str(named)))
        for snapshot in snapshots:
            document = content(snapshot)
            number = document.get("revision")
            if document.get("draft") is True or type(number) is not int:
                continue
            settings = _settings(document.get("settings"), id_, number)
            if settings is not None and number == read_revision_number(number):
                return number, settings
        return (0, DEFAULTS[id_].settings) if id_ in DEFAULTS else None

    async def _newest_revisions(self, id_: str) -> list[Snapshot]:
        newest_first = self._paths.revisions(id_).order_by("revision", direction=Query.DESCENDING)
        newest = newest_first.limit(self.limits.revisions_read)
        return await query(newest, within_s=self.limits.read_s)

    async def _get(self, collection: AsyncCollectionReference, id_: str) -> Snapshot:
        return await get(collection.document(id_), within_s=self.limits.read_s)


Problems = dict[str, Sequence[Problem]]


def _settings(
    value: object, id_: str, revision: object, problems: Problems | None = None
) -> FeatureSettings | None:
    try:
        return read_settings(value)
    except Malformed as error:
        sentences = [sentence for _, sentence in error.problems]
        log.error("settings_invalid", feature=id_, revision=revision, problems=sentences)
        if problems is not None:
            problems["settings"] = error.problems
        return None


def _draft(value: object, id_: str, problems: Problems) -> Draft | None:
    try:
        return read_draft(value)
    except Malformed as error:
        log.error("draft_invalid", feature=id_, problems=[one for _, one in error.problems])
        problems["draft"] = error.problems
        return None
