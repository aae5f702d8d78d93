"""Deletes a conversation with everything in it.

    users/{uid}/deleting/{id}   {at}: a conversation whose deletion is not complete

    the conversation itself, and `deleting` in its place      one commit: clients no longer see it,
                                                              no running answer recreates it
    files of its messages, messages, transcript               page by page
    texts of its generations                                  see `text_eraser`
    `deleting`                                                last

If it is cut off anywhere, the next call resumes there. The progress of a generation that is still
running is deleted when the generation ends or is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from google.cloud.firestore import AsyncClient, AsyncCollectionReference

from ..errors import ConversationUnknown, HistoryUnavailable
from ..files import files_of
from ..firestore import Batch, commit, get, query, translated
from .limits import ConversationLimits
from .store import EVENT, ConversationStore
from .text_eraser import TextEraser

DeleteFiles = Callable[[list[str]], Awaitable[None]]  # by their paths in Cloud Storage


class ConversationDeletion:
    """Deletes conversations. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        conversations: ConversationStore,
        texts: TextEraser,
        delete_files: DeleteFiles,
        limits: ConversationLimits,
    ) -> None:
        self._firestore = firestore
        self._conversations = conversations
        self._texts = texts
        self._delete_files = delete_files
        self._limits = limits

    async def delete(self, uid: str, id_: str) -> None:
        """Delete a conversation. After a failure it can be called again.

        Raises:
            ConversationUnknown: There is no such conversation, and none is being deleted.
            HistoryUnavailable: Firestore did not answer.
            StorageUnavailable: Its files could not be deleted.
        """
        conversation = self._conversations.reference(uid, id_)
        tombstone = self._conversations.tombstone(uid, id_)
        with translated(HistoryUnavailable, EVENT):
            if (await get(conversation)).exists:
                batch = Batch(self._firestore)
                batch.set(tombstone, {"at": datetime.now(UTC)})
                batch.delete(conversation)
                await commit(batch, self._limits.change_s)
            elif not (await get(tombstone)).exists:
                raise ConversationUnknown(field="conversationId")
            for name in ("messages", "transcript"):
                await self._empty(conversation.collection(name), uid)
            await self._texts.erase_conversation(uid, id_)
            batch = Batch(self._firestore)
            batch.delete(tombstone)
            await commit(batch, self._limits.change_s)

    async def _empty(self, collection: AsyncCollectionReference, uid: str) -> None:
        """Delete all documents of a collection, after the files that they list."""
        page = collection.limit(self._limits.delete_batch).select(["attachments", "images"])
        while found := await query(page):
            documents = [snapshot.to_dict() or {} for snapshot in found]
            listed = [d.get(name) for d in documents for name in ("attachments", "images")]
            if paths := [file.path for files in listed for file in files_of(uid, files)]:
                await self._delete_files(paths)
            batch = Batch(self._firestore)
            for snapshot in found:
                batch.delete(snapshot.reference)
            await commit(batch, self._limits.change_s)
