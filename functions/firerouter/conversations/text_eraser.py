"""Erases a conversation's texts from everywhere but the conversation itself.

    generations/{id}                the result and the question; `textsErased` keeps a generation
                                    that is still running from storing either
      progress/{n}, asked/{n}       if anything is left of them
    responses/{hash}                answers that were cached for, or served to, these generations

The ledger entries stay, with all their numbers. An entry and the cached answer that it names are
changed in one commit, so that neither is missed if this is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from google.cloud.firestore import DELETE_FIELD, AsyncClient, FieldFilter

from ..delivery import Progress
from ..firestore import Batch, Missing, Paths, commit, get_all, pages, query
from ..ledger import EntryField, StoredEntry
from .limits import ConversationLimits

_READ: Final = (EntryField.UID, EntryField.CREATED_AT, EntryField.CACHE_ID)
_GONE: Final = {
    EntryField.RESULT: None,
    EntryField.QUESTION: DELETE_FIELD,
    EntryField.CACHE_ID: DELETE_FIELD,
    EntryField.TEXTS_ERASED: True,
}


class TextEraser:
    """Erases texts from the ledger and the response cache. One per instance.

    Its methods raise FirestoreError; after a failure they can be called again.
    """

    def __init__(
        self, firestore: AsyncClient, *, progress: Progress, limits: ConversationLimits
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._progress = progress
        self._limits = limits
        self._at_once = asyncio.Semaphore(limits.erased_at_once)

    async def erase_conversation(self, uid: str, id_: str) -> None:
        """Erase the texts of all of a conversation's generations."""
        of_it = FieldFilter(EntryField.CONVERSATION_ID, "==", id_)
        entries = self._paths.generations().where(filter=of_it).select(_READ)
        async for page in pages(entries, self._limits.delete_batch):
            await self._erase(
                [entry for entry in map(StoredEntry.from_snapshot, page) if entry.uid == uid]
            )
        # no entry names an answer whose instance was killed right after caching it
        await self._erase_cached(uid, id_)

    async def _erase(self, entries: Sequence[StoredEntry]) -> None:
        try:
            await self._erase_page(entries)
        except Missing:  # one of them has expired since it was read
            references = [self._paths.generation(entry.id) for entry in entries]
            found = await get_all(self._firestore, references, fields=_READ)
            await self._erase_page([StoredEntry.from_snapshot(one) for one in found if one.exists])

    async def _erase_page(self, entries: Sequence[StoredEntry]) -> None:
        if not entries:
            return
        batch = Batch(self._firestore)
        for entry in entries:
            batch.update(self._paths.generation(entry.id), _GONE)
        for cached in {entry.cache_id for entry in entries if entry.cache_id is not None}:
            batch.delete(self._paths.responses().document(cached))
        await commit(batch, self._limits.change_s)
        expired = datetime.now(UTC) - timedelta(days=self._limits.progress_gone_days)
        await asyncio.gather(
            *(self._erase_progress(entry.id) for entry in entries if entry.admitted_at > expired)
        )

    async def _erase_progress(self, id_: str) -> None:
        async with self._at_once:
            await self._progress.erase(id_)

    async def _erase_cached(self, uid: str, conversation: str) -> None:
        own = self._paths.responses().where(filter=FieldFilter("uid", "==", uid))
        of_it = own.where(filter=FieldFilter("conversationId", "==", conversation))
        while found := await query(of_it.select([]).limit(self._limits.delete_batch)):
            batch = Batch(self._firestore)
            for snapshot in found:
                batch.delete(snapshot.reference)
            await commit(batch, self._limits.change_s)
