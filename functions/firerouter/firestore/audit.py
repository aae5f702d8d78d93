"""The audit log: each change by an admin is recorded in the same commit as the change itself.

    audit/{id}   {at, by, email, action, target, before, after, note?}

There is no change without its entry, and no entry without its change. An entry about an OpenRouter
key has only the key's last four characters.

The client library may send a commit twice, and both may be applied. The entry is the guard: it is
created with an id that is chosen before the commit is sent, so the second time it already exists.
If it does, our own commit was applied; another admin's commit would have another id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .. import log
from ..errors import SettingsChanged, SettingsRefused, SettingsUnavailable
from .commits import commit
from .errors import Conflict, NotStorable, Unavailable, mapped, translated
from .limits import FirestoreLimits
from .paths import Paths
from .reads import Document, get

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient, AsyncDocumentReference, AsyncWriteBatch


@dataclass(frozen=True, slots=True)
class Change:
    """A change by an admin.

    Attributes:
        by: The admin's uid.
        email: The admin's email address; empty if the account has none.
        action: The callable's name.
        target: The path of the changed document.
        before: The values before the change.
        after: The values after it.
        note: The admin's reason.
    """

    by: str
    email: str
    action: str
    target: str
    before: object
    after: object
    note: str = ""


class Audit:
    """Commits changes together with their audit entries. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        limits: FirestoreLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limits = limits or FirestoreLimits()
        self._entries = Paths(firestore).audit()
        self._now = now

    async def commit(self, batch: AsyncWriteBatch, change: Change) -> None:
        """Commit the guarded writes of `batch` and the audit entry: all of them or nothing.

        Raises:
            SettingsChanged: Another admin was first. Nothing was written.
            SettingsRefused: Firestore cannot store the change. Nothing was written.
            SettingsUnavailable: It is not known whether anything was written, or still will be.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        entry = self._entries.document()
        with translated(SettingsUnavailable, "change_failed", action=change.action):
            try:
                with mapped():  # an unsupported value is refused before the commit
                    batch.create(entry, self._document(change))
                await commit(batch, self._limits.change_s)
            except Conflict:
                if not await _exists(entry):
                    raise SettingsChanged from None
            except NotStorable as error:
                log.error("change_not_storable", action=change.action, type=error.cause)
                sentence = "Firestore can't store these settings: they are too large or too deep."
                wrong = {"field": "settings", "reason": "not_storable", "message": sentence}
                raise SettingsRefused(
                    sentence, field="settings", errors=[wrong], warnings=[]
                ) from None
            except Unavailable:
                if not await _exists(entry):  # else it was applied, and its response lost
                    raise

    def _document(self, change: Change) -> Document:
        return {
            "at": self._now(),
            "by": change.by,
            "email": change.email or None,
            "action": change.action,
            "target": change.target,
            "before": change.before,
            "after": change.after,
            "note": change.note or None,
        }


async def _exists(entry: AsyncDocumentReference) -> bool:
    return bool((await get(entry)).exists)
