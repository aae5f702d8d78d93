"""Conversations: a tree of messages that clients read live, and what of it a model is sent.

    users/{uid}/conversations/{id}                  {title, feature, createdAt, updatedAt,
                                                     leaf, leafPage, page, pageBytes}
    users/{uid}/conversations/{id}/messages/{id}    {role, text, context?, reasoning?, parent,
                                                     parentPage, page, createdAt, generationId,
                                                     attachments?: [{path, contentType, bytes}],
                                                     images?: the same, of what a model made,
                                                     status, model?, finishReason?, usage?, ...}
    users/{uid}/conversations/{id}/transcript/{n}   {messages: {id: {role, text?, toolCalls?,
                                                     toolResults?, parent, parentPage}}}

A message names its parent, so regenerating or editing makes a sibling and overwrites nothing; the
conversation's `leaf` is the end of the chosen path. What a model is sent is walked from there up,
over pages of many messages each: a long conversation costs a page or two more than a short one.

Every write sets what it says under ids that follow from the generation's, so that a commit that is
applied twice changes nothing; the answer's repeats a question whose own did not come through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions
from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from .. import limits, log
from ..callable import encode
from ..contract import NEW, ROOT, ExecutePrompt
from ..errors import ConversationUnknown, HistoryUnavailable, MessageUnknown
from ..firestore import AWAY, GUARD_FAILED, NOT_STORABLE, Missing, commit, key_of
from .history import walk
from .tree import (
    Document,
    Thread,
    TreePosition,
    answer_of,
    beside,
    parent_of,
    question_of,
    split_message,
    summary_of,
    title_of,
)


class ConversationStore:
    """Keeps them in Firestore. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._firestore = firestore
        self._now = now
        self._background: set[asyncio.Task[bool]] = set()

    async def open(
        self,
        request: ExecutePrompt,
        uid: str,
        generation: str,
        *,
        history_max_bytes: int,
        summarises: bool = False,
    ) -> Thread | None:
        """Where the request joins a conversation, and the turns above; None where it has none.

        summarises: what does not fit is to be told in short, not left out.

        Raises ConversationUnknown, MessageUnknown, HistoryUnavailable.
        """
        if request.conversation_id is None or (
            request.conversation_id == NEW and request.temporary
        ):
            return None
        if request.conversation_id == NEW:
            thread = Thread(
                uid, f"c{generation}", generation, request.feature, True, False, TreePosition()
            )
        else:
            try:
                thread = await self._joined(request, uid, generation)
                thread.summarises = summarises and not request.temporary
                under_way = thread.regenerates or request.tool_results is not None
                conversation = self.conversation(uid, thread.id)
                await walk(conversation, thread, history_max_bytes, under_way=under_way)
            except AWAY as error:
                raise away(error) from None
        thread.kept = not request.temporary
        if request.prompt is not None:
            thread.question = {
                "role": "user",
                "text": request.prompt,
                **({"context": request.context} if request.context else {}),
            }
        elif request.tool_results is not None:
            given = [result.model_dump(by_alias=True) for result in request.tool_results]
            thread.question = {"role": "tool", "text": "", "toolResults": given}
        return thread

    async def ask(self, thread: Thread) -> None:
        """Write the question down, before it is answered."""
        if thread.question is None or not thread.kept or thread.written:
            return
        await self._write_question(thread, limits.READ_S)

    async def set_title(self, thread: Thread, title: str) -> None:
        """Give a conversation that has just begun this title, unless somebody has changed it."""
        if thread.begun_at is None:
            return
        guard = self._firestore.write_option(last_update_time=thread.begun_at)
        batch = self._firestore.batch()
        batch.update(self.conversation(thread.uid, thread.id), {"title": title}, option=guard)
        try:
            await commit(batch, limits.READ_S)
        except (*GUARD_FAILED, *AWAY) as error:
            log.info("title_not_kept", type=type(error).__name__)

    async def answer(
        self, thread: Thread, result: Document, status: str, error: str | None
    ) -> bool:
        """Write the answer down, however it ended; what says nothing at all is not one. Whether
        it is written down now, as far as it is to be: what Firestore does not take in the time
        that a result may wait is tried on in the background.

        The chosen path leads to it, but for a regenerate that failed or has nothing to show for
        itself: that leaves it as it was.
        """
        says = bool(result["text"] or result.get("images"))
        whole = status == "done" or (status == "stopped" and (says or not thread.regenerates))
        if not thread.kept or not (status in {"done", "stopped"} or says):
            return True
        leads = whole or not thread.regenerates

        async def write() -> bool:
            until = asyncio.get_running_loop().time() + limits.SETTLE_S
            while not await self._put_answer(thread, result, status, error, leads=leads):
                if thread.deleted or asyncio.get_running_loop().time() > until:
                    return thread.deleted
                await asyncio.sleep(limits.WRITE_PAUSE_S)
            return True

        writing = asyncio.create_task(write())
        self._background.add(writing)  # the event loop itself holds tasks weakly
        writing.add_done_callback(self._background.discard)
        await asyncio.wait({writing}, timeout=limits.SETTLE_BEFORE_RESULT_S)
        return writing.done() and writing.result()

    async def drain(self) -> None:
        """Wait for what is still being written."""
        while self._background:
            await asyncio.wait(self._background)

    async def recover_answer(
        self,
        uid: str,
        place: Document,
        result: Document,
        error: str,
        question: Callable[[], Awaitable[Document | None]],
    ) -> None:
        """Write down what a killed instance had of an answer, and the question, unless it had done
        so itself. The chosen path leads to it where nobody has gone on since.

        place: as `Thread.to_entry` gave it. question: as `to_write` did, asked for where it is not
        written down. Raises what that raises, and HistoryUnavailable: it can be called again.
        """
        id_, message = str(place.get("conversationId")), str(place.get("messageId"))
        conversation, asked = self.conversation(uid, id_), parent_of(place)
        if asked.message is None:
            return
        try:
            head = await conversation.get(retry=None, timeout=limits.READ_S)
            messages = conversation.collection("messages")
            if (await messages.document(message).get(retry=None, timeout=limits.READ_S)).exists:
                return
            found = await messages.document(asked.message).get(retry=None, timeout=limits.READ_S)
            lost = None if found.exists else await question()
            if not head.exists and not (lost and await self._begins(uid, id_, lost)):
                return  # it was deleted
        except AWAY as failure:
            raise away(failure) from None
        if not (found.exists or lost):
            return  # the question was lost by hand
        document, page = head.to_dict() or {}, (found.to_dict() or {}).get("page")
        parent = parent_of(lost) if lost else TreePosition(asked.message, page or 0)
        thread = Thread(
            uid,
            id_,
            message.removeprefix("a"),
            str((lost or document).get("feature")),
            new=not head.exists,
            regenerates=place.get("regenerates") is True,
            parent=parent,
            page=document["page"] if type(document.get("page")) is int else 0,
            page_bytes=limits.PAGE_MAX_BYTES if head.exists else 0,
            question=question_of(lost) if lost else None,
        )
        leads = not head.exists or document.get("leaf") == parent.message
        if lost:
            await self._write_question(thread, limits.SETTLE_BEFORE_RESULT_S, leads=leads)
        done = thread.written or not lost
        if done and result["text"]:
            done = await self._put_answer(thread, result, "interrupted", error, leads=leads)
        if not (done or thread.deleted):
            raise HistoryUnavailable

    async def _begins(self, uid: str, id_: str, question: Document) -> bool:
        """Whether the conversation is still to be begun by this question."""
        deleting = await self.tombstone(uid, id_).get(retry=None, timeout=limits.READ_S)
        return question.get("begins") is True and not deleting.exists

    async def update(
        self, uid: str, id_: str, *, title: str | None = None, leaf: str | None = None
    ) -> None:
        """Raises ConversationUnknown, MessageUnknown, HistoryUnavailable."""
        change: Document = {} if title is None else {"title": title}
        try:
            await self.read(uid, id_)
            if leaf is not None:
                spot, _ = await self._message(uid, id_, leaf, "messageId")
                change |= {"leaf": leaf, "leafPage": spot.page}
            await self.conversation(uid, id_).update(change, retry=None, timeout=limits.CHANGE_S)
        except exceptions.NotFound:
            raise ConversationUnknown(field="conversationId") from None
        except AWAY as error:
            raise away(error) from None

    # -- reading -------------------------------------------------------------------------------

    async def _joined(self, request: ExecutePrompt, uid: str, generation: str) -> Thread:
        id_ = str(request.conversation_id)
        document = await self.read(uid, id_)
        leaf, page = document.get("leaf"), document.get("leafPage")
        known: Document | None = None
        parent = (
            TreePosition(leaf, page)
            if isinstance(leaf, str) and type(page) is int
            else TreePosition()
        )
        if request.parent_message_id == ROOT:
            parent = TreePosition()
        elif request.parent_message_id is not None:
            parent = (await self._message(uid, id_, request.parent_message_id, "parentMessageId"))[
                0
            ]
        elif request.regenerate is not None:
            spot, message = await self._message(uid, id_, request.regenerate, "regenerate")
            known = message.get("reading")
            parent = parent_of(message) if message.get("role") == "assistant" else spot
            if parent.message is None:
                raise MessageUnknown(field="regenerate")
        page_now, used = document.get("page"), document.get("pageBytes")
        return Thread(
            uid,
            id_,
            generation,
            request.feature,
            new=False,
            regenerates=request.regenerate is not None,
            parent=parent,
            page=page_now if type(page_now) is int else parent.page,
            page_bytes=used if type(used) is int else limits.PAGE_MAX_BYTES,
            summary=summary_of(document),
            known=known,
        )

    async def read(self, uid: str, id_: str) -> Document:
        """The conversation. Raises ConversationUnknown, and what Firestore raises."""
        snapshot = await self.conversation(uid, id_).get(retry=None, timeout=limits.READ_S)
        document = snapshot.to_dict() or {}
        if not snapshot.exists:
            raise ConversationUnknown(field="conversationId")
        return document

    async def _message(
        self, uid: str, id_: str, message: str, field_: str
    ) -> tuple[TreePosition, Document]:
        reference = self.conversation(uid, id_).collection("messages").document(message)
        snapshot = await reference.get(retry=None, timeout=limits.READ_S)
        document = snapshot.to_dict() or {}
        page = document.get("page")
        if document.get("role") not in {"user", "assistant", "tool"} or type(page) is not int:
            raise MessageUnknown(field=field_)
        return TreePosition(message, page), document

    # -- writing -------------------------------------------------------------------------------

    async def _write_question(self, thread: Thread, within_s: float, *, leads: bool = True) -> None:
        def put(batch: AsyncWriteBatch) -> None:
            self._put_question(batch, thread, leads=leads)

        thread.written = await self._write(thread, put, within_s)

    def _put_question(self, batch: AsyncWriteBatch, thread: Thread, *, leads: bool = True) -> None:
        assert thread.question is not None
        message = {**thread.question, "status": "done", "feature": thread.feature}
        spot = self._put(batch, thread, thread.question_id, message, thread.parent, leads=leads)
        thread.asked_on = spot.page

    async def _put_answer(
        self, thread: Thread, result: Document, status: str, error: str | None, *, leads: bool
    ) -> bool:
        def put(batch: AsyncWriteBatch) -> None:
            if thread.question is not None and not thread.written:
                self._put_question(batch, thread)  # its own commit did not come through
            message = answer_of(thread, result, status, error)
            self._put(batch, thread, thread.answer_id, message, thread.asked, leads=leads)
            transcript = self.conversation(thread.uid, thread.id).collection("transcript")
            for name, piece in (thread.reading.pieces if thread.reading else {}).items():
                batch.set(transcript.document(name), {"reading": piece})

        return await self._write(thread, put, limits.SETTLE_BEFORE_RESULT_S)

    def _put(
        self,
        batch: AsyncWriteBatch,
        thread: Thread,
        id_: str,
        message: Document,
        parent: TreePosition,
        *,
        leads: bool,
    ) -> TreePosition:
        """One message: as clients read it, as a model is sent it, and the path that leads to it."""
        conversation, now = self.conversation(thread.uid, thread.id), self._now()
        sent = "\n\n".join(t for t in (message.get("context"), message["text"]) if t)
        more = beside(message)
        size = len(sent.encode("utf-8", "replace")) + limits.PAGE_ITEM_BYTES
        size += len(encode(more)) if more else 0
        item = {"role": message["role"], "parent": parent.message, "parentPage": parent.page}
        for name in ("attachments", "images"):
            if files := message.get(name):
                item[name] = files
                size += limits.PAGE_ITEM_BYTES * len(files)
        if size <= limits.PAGE_MAX_BYTES:
            item |= {"text": sent, **more}
            if thread.page_bytes and thread.page_bytes + size > limits.PAGE_MAX_BYTES:
                thread.page, thread.page_bytes = thread.page + 1, 0
            thread.page_bytes += size
        spot = TreePosition(id_, thread.page)
        tied = {"parent": parent.message, "parentPage": parent.page, "page": spot.page}
        stamped = {**message, **tied, "createdAt": now, "generationId": thread.generation}
        for name, part in split_message(id_, stamped):
            batch.set(conversation.collection("messages").document(name), part)
        page = conversation.collection("transcript").document(str(spot.page))
        batch.set(page, {"messages": {id_: item}}, merge=True)
        head = {"updatedAt": now, "page": thread.page, "pageBytes": thread.page_bytes}
        if leads:
            head |= {"leaf": id_, "leafPage": spot.page}
        if thread.shortened is not None:
            head["summary"] = thread.shortened.to_document()
        if thread.new and message["role"] == "user":
            title = title_of(message["text"])
            batch.set(
                conversation, {**head, "title": title, "feature": thread.feature, "createdAt": now}
            )
        else:
            batch.update(conversation, head)  # fails where somebody has deleted it meanwhile
        return spot

    async def _write(
        self, thread: Thread, put: Callable[[AsyncWriteBatch], None], within_s: float
    ) -> bool:
        """A conversation that can not be written down never keeps a caller from its answer."""
        for _ in range(2):
            if thread.deleted:
                return False
            batch = self._firestore.batch()
            put(batch)
            try:
                results = await commit(batch, within_s)
            except Missing:
                thread.deleted = True
            except NOT_STORABLE as error:
                # several turns at once may have filled the page beyond what a document holds
                log.error("message_refused", type=type(error).__name__)
                thread.page, thread.page_bytes = thread.page + 1, 0
            except AWAY as error:
                log.error("message_not_kept", type=type(error).__name__)
                return False
            else:
                if thread.new and thread.begun_at is None:
                    thread.begun_at = results[-1].update_time
                return True
        return False

    def conversation(self, uid: str, id_: str) -> Any:
        return self._firestore.document("users", key_of(uid), "conversations", id_)

    def tombstone(self, uid: str, id_: str) -> Any:
        """Of a conversation that is being deleted."""
        return self._firestore.document("users", key_of(uid), "deleting", id_)


def away(error: BaseException) -> HistoryUnavailable:
    log.error("history_unavailable", type=type(error).__name__)
    return HistoryUnavailable()
