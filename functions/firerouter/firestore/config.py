"""`config/app`, a document of which several packages own a part, each guarded and audited.

    {appName, referer, limits, freeModelsOnly, replaceGoneModels, revision}   features.app_settings
    {keys: {default, features, swept}}                                       keys.slots
    {catalog}                                                                admin.model_check

    config/app/revisions/{n}   {revision, settings, action, base, at, by, email, note, changes}

It is read once for all of them, and cached for a few seconds. A change of one part is retried if
another part was changed at the same time, and refused if the same part was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from google.cloud.firestore import DELETE_FIELD, AsyncClient, AsyncWriteBatch
from google.cloud.firestore_v1.field_path import FieldPath

from ..cache import Cached
from ..errors import SettingsChanged, SettingsUnavailable
from .audit import Audit, Change
from .commits import put
from .errors import translated
from .limits import ConfigLimits
from .paths import Paths
from .reads import content, get, query

Path = tuple[str, ...]  # of a field: each name on the path to it


@dataclass(frozen=True, slots=True)
class StoredConfig:
    """The document as it was read.

    Attributes:
        version: Its update time, which guards a change; None if there is no document.
    """

    document: Mapping[str, object]
    version: datetime | None = None


class ConfigDocument:
    """Reads and changes the document. One per instance."""

    def __init__(
        self, firestore: AsyncClient, audit: Audit, *, limits: ConfigLimits = ConfigLimits()
    ) -> None:
        self._firestore = firestore
        self._audit = audit
        self._limits = limits
        self._reference = Paths(firestore).app_settings()
        self._revisions = Paths(firestore).app_revisions()
        self._cache: Cached[Mapping[str, object]] = Cached(
            self._load, fresh_s=limits.fresh_s, stale_s=limits.stale_s
        )

    async def get(self, *, refresh: bool = False) -> Mapping[str, object]:
        """Return the document, at most a few seconds old.

        If it is the same object as before, it was not read again. Raises SettingsUnavailable,
        FirestoreForbidden.
        """
        with translated(SettingsUnavailable, "settings_unavailable"):
            return await (self._cache.renew() if refresh else self._cache.get())

    async def read(self) -> StoredConfig:
        """Return the document as it is now, to change it. Raises what `get` raises."""
        with translated(SettingsUnavailable, "settings_unavailable"):
            return await self._read()

    async def revision(self, number: int) -> Mapping[str, object] | None:
        """Return the document of a revision; None if there is none. Raises what `get` raises."""
        with translated(SettingsUnavailable, "settings_unavailable"):
            reference = self._revisions.document(str(number))
            snapshot = await get(reference, within_s=self._limits.read_s)
        return content(snapshot) if snapshot.exists else None

    async def newest_revision(self) -> int:
        """Return the highest number of a revision, 0 if there is none. Raises what `get` raises."""
        newest = self._revisions.order_by("revision", direction="DESCENDING").limit(1)
        with translated(SettingsUnavailable, "settings_unavailable"):
            snapshots = await query(newest, within_s=self._limits.read_s)
        numbers = [content(snapshot).get("revision") for snapshot in snapshots]
        return max((number for number in numbers if type(number) is int), default=0)

    async def change(
        self,
        stored: StoredConfig,
        values: Mapping[Path, object],
        change: Change,
        *,
        is_unchanged: Callable[[StoredConfig], bool],
        revision: Mapping[str, object] | None = None,
    ) -> None:
        """Set some fields, with an audit entry. This takes effect on this instance at once.

        Args:
            stored: The document that the change was made from.
            values: The new values by the path of the field; DELETE_FIELD removes one.
            change: The audit entry.
            is_unchanged: Returns whether the part to change is still as it is in `stored`.
            revision: The document of a new revision, created under its number.

        Raises:
            SettingsChanged: Another admin changed the same part first. Nothing was written.
            SettingsRefused: Firestore can't store the values. Nothing was written.
            SettingsUnavailable: It is not known whether anything was written.
        """
        for _ in range(self._limits.attempts):
            batch = self._firestore.batch()
            self._write(batch, stored, values)
            if revision is not None:
                batch.create(self._revisions.document(str(revision["revision"])), dict(revision))
            try:
                await self._audit.commit(batch, change)
            except SettingsChanged:
                stored = await self.read()
                if not is_unchanged(stored):
                    raise
            else:
                self._cache.put(with_values(stored.document, values))
                return
        raise SettingsChanged

    async def merge(self, values: Mapping[str, object]) -> None:
        """Set some fields that no admin decides, without a guard or an audit entry.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        with translated(SettingsUnavailable, "settings_not_saved"):
            await put(self._reference, values, merge=True, within_s=self._limits.write_s)

    def _write(
        self, batch: AsyncWriteBatch, stored: StoredConfig, values: Mapping[Path, object]
    ) -> None:
        """Write only these fields: all others in the document stay as they are."""
        if stored.version is None:
            batch.create(self._reference, with_values({}, values))
            return
        guard = self._firestore.write_option(last_update_time=stored.version)
        fields = {FieldPath(*path).to_api_repr(): value for path, value in values.items()}
        batch.update(self._reference, fields, option=guard)

    async def _load(self) -> Mapping[str, object]:
        return (await self._read()).document

    async def _read(self) -> StoredConfig:
        snapshot = await get(self._reference, within_s=self._limits.read_s)
        if not snapshot.exists:
            return StoredConfig({})
        return StoredConfig(content(snapshot), snapshot.update_time)


def with_values(document: Mapping[str, object], values: Mapping[Path, object]) -> dict[str, object]:
    """Return a document with other values at these paths; the given one stays as it is."""
    result = dict(document)
    for (name, *rest), value in values.items():
        if rest:
            inner = result.get(name)
            inner = inner if isinstance(inner, Mapping) else {}
            result[name] = with_values(inner, {tuple(rest): value})
        elif value is DELETE_FIELD:
            result.pop(name, None)
        else:
            result[name] = value
    return result
