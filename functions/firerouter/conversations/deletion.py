"""A conversation deleted, with all that it holds.

    users/{uid}/deleting/{id}   {at}: what is being deleted, for whoever has to go on with it

    the conversation itself, and `deleting` in its place      one commit: clients see it no more,
                                                              and no answer under way comes back
    files of its messages, messages, transcript               page by page
    results of its generations                                whose entries stay, without their text
    `deleting`                                                last

Cut off anywhere, the same call goes on from there. What is kept of a generation that still runs is
deleted when it ends, or is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore import DELETE_FIELD, AsyncClient, FieldFilter

from .. import limits
from ..errors import ConversationUnknown
from ..files import files_of
from ..firestore import AWAY, commit
from ..ledger import EntryField
from .store import ConversationStore, away

Forget = Callable[[list[str]], Awaitable[None]]  # of paths in Cloud Storage


class ConversationDeletion:
    """Deletes conversations. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, conversations: ConversationStore, forget: Forget
    ) -> None:
        """forget: deletes files from Cloud Storage."""
        self._firestore = firestore
        self._conversations = conversations
        self._forget = forget

    async def delete(self, uid: str, id_: str) -> None:
        """Raises ConversationUnknown, HistoryUnavailable, and what `forget` raises; after one of
        the last two it can be called again."""
        conversation = self._conversations.conversation(uid, id_)
        tombstone = self._conversations.tombstone(uid, id_)
        try:
            if (await conversation.get([], retry=None, timeout=limits.READ_S)).exists:
                batch = self._firestore.batch()
                batch.set(tombstone, {"at": datetime.now(UTC)})
                batch.delete(conversation)
                await commit(batch, limits.CHANGE_S)
            elif not (await tombstone.get(retry=None, timeout=limits.READ_S)).exists:
                raise ConversationUnknown(field="conversationId")
            for name in ("messages", "transcript"):
                await self._empty(conversation.collection(name), uid)
            await self._forget_results(uid, id_)
            await tombstone.delete(retry=None, timeout=limits.CHANGE_S)
        except AWAY as error:
            raise away(error) from None

    async def _empty(self, collection: Any, uid: str) -> None:
        while True:
            page = collection.limit(limits.DELETE_BATCH).select(["attachments", "images"])
            found = await page.get(retry=None, timeout=limits.READ_S)
            if not found:
                return
            documents = [snapshot.to_dict() or {} for snapshot in found]
            files = [d.get(name) for d in documents for name in ("attachments", "images")]
            if paths := [file.path for each in files for file in files_of(uid, each)]:
                await self._forget(paths)
            batch = self._firestore.batch()
            for snapshot in found:
                batch.delete(snapshot.reference)
            await commit(batch, limits.CHANGE_S)

    async def _forget_results(self, uid: str, id_: str) -> None:
        entries = self._firestore.collection("generations")
        query = entries.where(filter=FieldFilter(EntryField.CONVERSATION_ID, "==", id_))
        found = await query.select([EntryField.UID]).get(retry=None, timeout=limits.READ_S)
        mine = [snapshot for snapshot in found if snapshot.get(EntryField.UID) == uid]
        for begin in range(0, len(mine), limits.DELETE_BATCH):
            batch = self._firestore.batch()
            for snapshot in mine[begin : begin + limits.DELETE_BATCH]:
                batch.update(
                    snapshot.reference, {EntryField.RESULT: None, EntryField.QUESTION: DELETE_FIELD}
                )
            await commit(batch, limits.CHANGE_S)
