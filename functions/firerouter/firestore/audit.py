"""The audit: each change that an admin makes, entered in the same commit as the change itself.

    audit/{id}   {at, by, email, action, target, before, after, note?}

No change without its entry, no entry without its change. Of a key an entry holds its last four.

A commit may be sent again by the client library and so be applied twice. The entry, created under
an id made before the first sending, is the guard: the second time it is there already, and finding
it tells our own commit from somebody else's that came first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from .. import limits, log
from ..errors import SettingsChanged, SettingsRefused, SettingsUnavailable
from .commits import AWAY, GUARD_FAILED, NOT_STORABLE, commit


@dataclass(frozen=True, slots=True)
class Change:
    """What an admin does, and why. by: the uid. action: the callable. target: where, as a path."""

    by: str
    email: str
    action: str
    target: str
    before: Any
    after: Any
    note: str = ""


class Audit:
    """Commits changes together with their entries. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._firestore = firestore
        self._now = now

    async def commit(self, batch: AsyncWriteBatch, change: Change) -> None:
        """Commit the writes of `batch`, each guarded by its caller, and the entry: all or nothing.

        Raises SettingsChanged, SettingsRefused: nothing was written. SettingsUnavailable: it is not
        known whether anything was, or will yet be.
        """
        entry = self._firestore.collection("audit").document()
        batch.create(
            entry,
            {
                "at": self._now(),
                "by": change.by,
                "email": change.email or None,
                "action": change.action,
                "target": change.target,
                "before": change.before,
                "after": change.after,
                "note": change.note or None,
            },
        )
        try:
            await commit(batch, limits.CHANGE_S)
        except GUARD_FAILED:
            if not await self._is_entered(entry):
                raise SettingsChanged from None
        except NOT_STORABLE as error:
            log.error("change_not_storable", action=change.action, type=type(error).__name__)
            sentence = "Firestore can not keep these settings: they are too large, or too deep."
            wrong = {"field": "settings", "reason": "not_storable", "message": sentence}
            raise SettingsRefused(sentence, field="settings", errors=[wrong], warnings=[]) from None
        except AWAY as error:
            log.error("change_failed", action=change.action, type=type(error).__name__)
            if not await self._is_entered(entry):
                raise SettingsUnavailable from None

    async def _is_entered(self, entry: Any) -> bool:
        try:
            snapshot = await entry.get(retry=None, timeout=limits.READ_S)
        except AWAY:
            raise SettingsUnavailable from None
        return bool(snapshot.exists)
