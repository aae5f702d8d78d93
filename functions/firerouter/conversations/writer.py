"""Writes one generation's question and answer into its conversation.

Every write sets values under IDs that are derived from the generation's, so that applying a commit
twice changes nothing. The same is true of a retried write: a message keeps the page that it was
given at the first attempt, unless Firestore refused that page as too large. The answer's write
includes the question if the question's own write failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from google.cloud.firestore import AsyncClient, AsyncDocumentReference

from .. import log
from ..background import BackgroundTasks
from ..callable import encode
from ..contract import Json
from ..files import AnnotationPieces
from ..firestore import Batch, FirestoreError, Missing, NotStorable, commit
from .limits import ConversationLimits
from .tree import (
    Summary,
    Thread,
    TreePosition,
    answer_document,
    extras_of,
    split_message,
    title_of,
)

if TYPE_CHECKING:
    from google.cloud.firestore_v1.types import WriteResult

_TRIES = 2  # of one write; the second one uses a new page


class ThreadWriter:
    """The state of one generation's writes. `ConversationStore.writer` makes it.

    Attributes:
        thread: Where they belong.
        question_written: Whether the question is stored.
        deleted: Whether the conversation turned out to be deleted.
        refused: Whether Firestore will never take what is to be written.
    """

    def __init__(
        self,
        thread: Thread,
        *,
        firestore: AsyncClient,
        conversation: AsyncDocumentReference,
        background: BackgroundTasks,
        limits: ConversationLimits,
        now: Callable[[], datetime],
        written: Mapping[str, object] | None = None,
    ) -> None:
        self.thread = thread
        self.question_written = False
        self.deleted = False
        self.refused = False
        self._firestore = firestore
        self._conversation = conversation
        self._background = background
        self._limits = limits
        self._now = now
        self._page = thread.place.page
        self._page_bytes = thread.place.page_bytes
        self._positions: dict[str, TreePosition] = {}  # of messages that were in a write
        self._created_version: datetime | None = None  # of a conversation that the question created
        if written is not None:
            self._continue_from(written)

    async def write_question(self) -> None:
        """Store the question before it is answered. If that fails, `write_answer` stores it."""
        if self.thread.place.persisted:
            await self._write_question(self._limits.question_s, leads=True)

    async def write_answer(
        self,
        result: Mapping[str, object],
        status: str,
        error: str | None,
        *,
        annotations: AnnotationPieces | None = None,
        summary: Summary | None = None,
    ) -> bool:
        """Store the answer, however it ended, unless it is empty.

        The chosen path then leads to it, unless it is a regeneration that failed or is empty. If
        Firestore is slow, retries continue in the background.

        Args:
            result: What the caller gets.
            status: How the answer ended.
            error: The reason for its failure, if it failed.
            annotations: What OpenRouter read of files, for later requests.
            summary: The new summary of the messages above, if one was made.

        Returns:
            Whether nothing is left to store; False while retries continue in the background, or if
            Firestore will never take it.
        """
        place = self.thread.place
        says = bool(result["text"] or result.get("images"))
        done = status == "done" or (status == "stopped" and (says or not place.is_regeneration))
        if not place.persisted or not (status in {"done", "stopped"} or says):
            return True
        document = answer_document(place.feature, result, status, error, annotations)
        pieces = annotations.pieces if annotations else {}
        leads = done or not place.is_regeneration

        async def write() -> bool:
            loop = asyncio.get_running_loop()
            until = loop.time() + self._limits.answer_retried_s
            while not await self._write_answer(document, pieces, summary, leads=leads):
                if self.deleted or self.refused or loop.time() > until:
                    return self.deleted
                await asyncio.sleep(self._limits.answer_pause_s)
            return True

        writing = self._background.start(write())
        await asyncio.wait({writing}, timeout=self._limits.answer_s)
        return writing.done() and writing.result()

    async def set_title(self, title: str) -> None:
        """Give a new conversation this title, unless the conversation has changed since."""
        if self._created_version is None:
            return
        batch = Batch(self._firestore)
        batch.update(self._conversation, {"title": title}, version=self._created_version)
        try:
            await commit(batch, self._limits.question_s)
        except FirestoreError as error:
            log.info("title_not_kept", type=error.cause)

    async def recover(self, result: Mapping[str, object], error: str, *, leads: bool) -> bool:
        """Store a killed instance's unfinished answer, and its question if that is missing.

        Args:
            result: The part of the answer that was saved; without text, no answer is stored.
            error: Why it ended.
            leads: Whether the chosen path leads to it.

        Returns:
            Whether that is done, or never will be: the conversation was deleted, or Firestore does
            not take the messages.
        """
        await self._write_question(self._limits.answer_s, leads=leads)
        done = self.question_written or self.thread.question is None
        if done and result["text"]:
            feature = self.thread.place.feature
            document = answer_document(feature, result, "interrupted", error, None)
            done = await self._write_answer(document, {}, None, leads=leads)
        return done or self.deleted or self.refused

    def written_question(self) -> Json | None:
        """Return how the question was stored, for a writer elsewhere; None if it is not stored."""
        if not self.question_written:
            return None
        begun = self._created_version.isoformat() if self._created_version else None
        return {"on": self._answered.page, "bytes": self._page_bytes, "begunAt": begun}

    def _continue_from(self, written: Mapping[str, object]) -> None:
        place = self.thread.place
        page, used, begun = written["on"], written["bytes"], written["begunAt"]
        if not isinstance(page, int) or not isinstance(used, int):
            raise ValueError("the question was not stored as `written_question` says")
        self.question_written = True
        self._positions[place.question_id] = TreePosition(place.question_id, page)
        if place.is_new:
            self._page, self._page_bytes = page, used
            if isinstance(begun, str):
                self._created_version = datetime.fromisoformat(begun)

    @property
    def _answered(self) -> TreePosition:
        """What the answer follows."""
        return self._positions.get(self.thread.place.question_id, self.thread.answered)

    async def _write_question(self, within_s: float, *, leads: bool) -> None:
        if self.thread.question is None or self.question_written:
            return

        def put(batch: Batch) -> None:
            self._put_question(batch, leads=leads)

        self.question_written = await self._write(put, within_s)

    async def _write_answer(
        self,
        document: Json,
        pieces: Mapping[str, str],
        summary: Summary | None,
        *,
        leads: bool,
    ) -> bool:
        def put(batch: Batch) -> None:
            if not self.question_written:
                self._put_question(batch, leads=True)
            place = self.thread.place
            self._put(batch, place.answer_id, document, self._answered, summary, leads=leads)
            for name, piece in pieces.items():
                batch.set(self._transcript(name), {"reading": piece})

        return await self._write(put, self._limits.answer_s)

    def _put_question(self, batch: Batch, *, leads: bool) -> None:
        place, question = self.thread.place, self.thread.question
        if question is not None:
            message = {**question.to_document(), "status": "done", "feature": place.feature}
            self._put(batch, place.question_id, message, place.parent, None, leads=leads)

    def _put(
        self,
        batch: Batch,
        id_: str,
        message: Json,
        parent: TreePosition,
        summary: Summary | None,
        *,
        leads: bool,
    ) -> None:
        """Add one message to a batch: for clients, for the transcript, and as the path's end."""
        place, now = self.thread.place, self._now()
        item, size = self._item(message, parent)
        position = self._position(id_, size)
        linked = {"parent": parent.message, "parentPage": parent.page, "page": position.page}
        stamped = {**message, **linked, "createdAt": now, "generationId": place.generation}
        for name, part in split_message(id_, stamped, self._limits.part_chars):
            batch.set(self._conversation.collection("messages").document(name), part)
        batch.set(self._transcript(str(position.page)), {"messages": {id_: item}}, merge=True)
        head: Json = {"updatedAt": now, "page": self._page, "pageBytes": self._page_bytes}
        if leads:
            head |= {"leaf": id_, "leafPage": position.page}
        if summary is not None:
            head["summary"] = summary.to_document()
        if place.is_new and message["role"] == "user":
            title = title_of(_subject(message), self._limits.title_max_chars)
            begun = {"title": title, "feature": place.feature, "createdAt": now}
            batch.set(self._conversation, {**head, **begun})
        else:
            batch.update(self._conversation, head)  # fails if it has been deleted meanwhile

    def _item(self, message: Json, parent: TreePosition) -> tuple[Json, int]:
        """Return a message's item on a page, and its bytes there; 0 if it is too long for one."""
        sent = "\n\n".join(str(t) for t in (message.get("context"), message["text"]) if t)
        extras = extras_of(message)
        size = len(sent.encode("utf-8", "replace")) + self._limits.page_item_bytes
        size += len(encode(extras)) if extras else 0
        item: Json = {"role": message["role"], "parent": parent.message, "parentPage": parent.page}
        for name in ("attachments", "images"):
            files = message.get(name)
            if isinstance(files, list) and files:
                item[name] = files
                size += self._limits.page_item_bytes * len(files)
        if size > self._limits.page_max_bytes:
            return item, 0
        return {**item, "text": sent, **extras}, size

    def _position(self, id_: str, size: int) -> TreePosition:
        """Return where a message goes: its page from an earlier attempt, or the next with room."""
        if id_ not in self._positions:
            if size and self._page_bytes and self._page_bytes + size > self._limits.page_max_bytes:
                self._next_page()
            self._page_bytes += size
            self._positions[id_] = TreePosition(id_, self._page)
        return self._positions[id_]

    def _next_page(self) -> None:
        self._page, self._page_bytes = self._page + 1, 0

    async def _write(self, put: Callable[[Batch], None], within_s: float) -> bool:
        """Commit what `put` adds; return whether it is stored.

        A failure of Firestore is never raised: the caller gets the answer nevertheless.
        """
        for again in range(_TRIES):
            if self.deleted or self.refused:
                break
            batch = Batch(self._firestore)
            try:
                put(batch)
                results = await commit(batch, within_s)
            except Missing:
                self.deleted = True
            except NotStorable as error:
                log.error("message_refused", type=error.cause)
                # concurrent messages may have filled the page beyond what a document holds; of
                # anything else, and of the next page, another try comes to the same
                self.refused = bool(again) or not self.thread.place.page_bytes
                self._move_to_next_page()
            except FirestoreError as error:
                log.error("message_not_kept", type=error.cause)
                break
            else:
                self._note_created(results)
                return True
        return False

    def _move_to_next_page(self) -> None:
        question = self.thread.place.question_id
        written = {question} if self.question_written else set[str]()
        self._positions = {id_: at for id_, at in self._positions.items() if id_ in written}
        self._next_page()

    def _note_created(self, results: list[WriteResult]) -> None:
        if self.thread.place.is_new and self._created_version is None:
            self._created_version = results[-1].update_time

    def _transcript(self, name: str) -> AsyncDocumentReference:
        document: AsyncDocumentReference = self._conversation.collection("transcript").document(
            name
        )
        return document


def _subject(question: Json) -> str:
    """Return what a question is about: its text, or the name or type of its first file."""
    text, files = str(question["text"]), question.get("attachments")
    if text.strip() or not isinstance(files, list) or not files:
        return text
    return str(files[0].get("name") or files[0].get("contentType"))
