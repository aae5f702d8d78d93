"""When OpenRouter last refused each key, and why: admins see it in the list of keys.

    config/keyRefusals   {versions: {<version of the secret>: {at, reason}}}

A refused key is tried again with every request, so an instance writes at most once a minute for
each key, off the request's path, in a write that is sent once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.cloud.firestore import AsyncClient

from .. import log
from ..background import BackgroundTasks
from ..errors import SettingsUnavailable
from ..firestore import FirestoreError, Paths, content, get, put, translated
from .limits import KeyLimits


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """OpenRouter refused a key. `reason` is that of the error."""

    at: datetime
    reason: str


class KeyRefusals:
    """Stores and reads refusals. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        background: BackgroundTasks,
        limits: KeyLimits = KeyLimits(),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._document = Paths(firestore).key_refusals()
        self._background = background
        self._limits = limits
        self._now = now
        self._noted: dict[int, KeyRefusal] = {}

    def note(self, version: int | None, reason: str) -> None:
        """Store that a key was refused, unless this instance has just stored that."""
        if version is None:
            return
        refusal = KeyRefusal(self._now(), reason)
        last = self._noted.get(version)
        pause = timedelta(seconds=self._limits.refusal_noted_s)
        if last is None or last.reason != reason or refusal.at - last.at >= pause:
            self._noted[version] = refusal
            self._background.start(self._store(version, refusal))

    async def read(self) -> dict[int, KeyRefusal]:
        """Return the last refusal of each key that was ever refused, by its version.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        with translated(SettingsUnavailable, "key_refusals_unavailable"):
            document = content(await get(self._document, within_s=self._limits.read_s))
        return read_refusals(document)

    async def _store(self, version: int, refusal: KeyRefusal) -> None:
        entry = {"at": refusal.at, "reason": refusal.reason}
        values = {"versions": {str(version): entry}}
        try:
            await put(self._document, values, merge=True, within_s=self._limits.write_s)
        except FirestoreError as error:
            log.warning("key_refusal_not_stored", version=version, type=error.cause)


def read_refusals(document: Mapping[str, object]) -> dict[int, KeyRefusal]:
    """Return the well-formed entries of the document, by version."""
    versions = document.get("versions")
    found = {}
    for name, entry in (versions if isinstance(versions, dict) else {}).items():
        match entry:
            case {"at": datetime() as at, "reason": str(reason)} if str(name).isdecimal():
                found[int(name)] = KeyRefusal(at, reason)
    return found
