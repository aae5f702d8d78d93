"""Conversations: a tree of messages that clients read live, and pages of it for models.

    users/{uid}/conversations/{id}                  {title, feature, createdAt, updatedAt,
                                                     leaf, leafPage, page, pageBytes}
    users/{uid}/conversations/{id}/messages/{id}    {role, text, context?, reasoning?, parent,
                                                     parentPage, page, createdAt, generationId,
                                                     attachments?: [{path, contentType, bytes}],
                                                     images?: the same, for those of a model,
                                                     status, model?, finishReason?, usage?, ...}
    users/{uid}/conversations/{id}/transcript/{n}   {messages: {id: {role, text?, toolCalls?,
                                                     toolResults?, parent, parentPage}}}

A message names its parent, so regenerating an answer or editing a question adds a sibling and
overwrites nothing; the conversation's `leaf` is the end of the chosen path. What a model is sent is
walked from there up, over pages of many messages each: a long conversation costs a page or two more
than a short one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from google.cloud.firestore import AsyncClient, AsyncDocumentReference

from .. import log
from ..background import BackgroundTasks
from ..contract import NEW, ROOT, ExecutePrompt, Json, StoredAnnotations
from ..errors import ConversationUnknown, HistoryUnavailable, MessageUnknown
from ..files import stored_annotations_of
from ..firestore import Batch, Missing, NotStorable, Paths, commit, get, translated
from .history import Path, walk
from .limits import ConversationLimits
from .transcript import FirestoreTranscript
from .tree import Question, Thread, ThreadPlace, TreePosition, parent_of, position_of, summary_of
from .writer import ThreadWriter

EVENT = "history_unavailable"
_ROLES = frozenset({"user", "assistant", "tool"})


class ConversationStore:
    """Stores conversations in Firestore. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        background: BackgroundTasks,
        limits: ConversationLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._background = background
        self._limits = limits
        self._now = now

    async def open(
        self,
        request: ExecutePrompt,
        uid: str,
        generation: str,
        *,
        history_max_bytes: int,
        wants_summary: bool = False,
    ) -> Thread | None:
        """Return where a request joins a conversation, with the messages above; None if in none.

        Args:
            request: The caller's request.
            uid: The caller.
            generation: The ID of the generation that will answer.
            history_max_bytes: The room for the messages above.
            wants_summary: Whether messages that do not fit are summarized instead of left out.

        Raises:
            ConversationUnknown, MessageUnknown: What the request names does not exist.
            HistoryUnavailable: Firestore did not answer.
        """
        is_new = request.conversation_id == NEW
        if request.conversation_id is None or (is_new and request.temporary):
            return None
        question = _question(request)
        if is_new:
            place = ThreadPlace(uid, f"c{generation}", generation, request.feature, is_new=True)
            return Thread(place, question)
        with translated(HistoryUnavailable, EVENT):
            document = await self.read(uid, request.conversation_id)
            place, annotations = await self._place(request, uid, generation, document)
            path = Path(
                uid,
                place.parent,
                history_max_bytes,
                summary=summary_of(document, self._limits.summary_max_chars),
                in_progress=place.is_regeneration or request.tool_results is not None,
                is_regeneration=place.is_regeneration,
                wants_summary=wants_summary and place.persisted,
                question_annotations=annotations,
            )
            transcript = FirestoreTranscript(self.reference(uid, place.conversation_id))
            history = await walk(transcript, path, self._limits)
        return Thread(place, question, history.messages, history.summary, history.to_summarize)

    def writer(self, thread: Thread, written: Mapping[str, object] | None = None) -> ThreadWriter:
        """Return the writer of this generation's question and answer.

        Args:
            thread: What `open` returned, with the files of its question.
            written: What `ThreadWriter.written_question` returned on another instance.
        """
        return ThreadWriter(
            thread,
            firestore=self._firestore,
            conversation=self.reference(thread.place.uid, thread.place.conversation_id),
            background=self._background,
            limits=self._limits,
            now=self._now,
            written=written,
        )

    async def recover_answer(
        self,
        uid: str,
        place: Mapping[str, object],
        result: Mapping[str, object],
        error: str,
        question: Callable[[], Awaitable[Mapping[str, object] | None]],
    ) -> None:
        """Store a killed instance's unfinished answer, unless it is stored already.

        If the question is lost, it is stored as well. The chosen path leads to the answer unless
        the user has continued elsewhere. This can be called again.

        Args:
            uid: The user.
            place: What `Thread.entry_place` returned.
            result: What was saved of the answer.
            error: Why it ended.
            question: Returns what `Thread.entry_question` did; called if no question is stored.

        Raises:
            HistoryUnavailable: Firestore did not answer.
        """
        id_, answer_id = str(place.get("conversationId")), str(place.get("messageId"))
        conversation, question_at = self.reference(uid, id_), parent_of(place)
        if question_at.message is None:
            return
        messages = self._paths.messages(uid, id_)
        with translated(HistoryUnavailable, EVENT):
            head = await get(conversation)
            if (await get(messages.document(answer_id))).exists:
                return
            found = await get(messages.document(question_at.message))
            lost = None if found.exists else await question()
            if not head.exists and not (lost and await self._begins(uid, id_, lost)):
                return  # the conversation was deleted
        if not (found.exists or lost):
            return  # the question was deleted
        document: Json = head.to_dict() or {}
        page = (found.to_dict() or {}).get("page")
        parent = parent_of(lost) if lost else position_of(question_at.message, page or 0)
        thread = Thread(
            ThreadPlace(
                uid,
                id_,
                answer_id.removeprefix("a"),
                str((lost or document).get("feature")),
                parent,
                is_new=not head.exists,
                is_regeneration=place.get("regenerates") is True,
                page=_int(document.get("page"), 0),
                page_bytes=self._limits.page_max_bytes if head.exists else 0,
            ),
            Question.from_document(lost) if lost else None,
        )
        leads = not head.exists or document.get("leaf") == parent.message
        if not await self.writer(thread).recover(result, error, leads=leads):
            raise HistoryUnavailable

    async def correct_usage(
        self, uid: str, id_: str, message: str, usage: Mapping[str, object]
    ) -> None:
        """Replace the usage of an answer, for what it cost is known better now.

        A message that was never written, or was deleted, is not written by this. It can be called
        again.

        Args:
            uid: The user.
            id_: The conversation.
            message: The answer's message.
            usage: As in a result.

        Raises:
            HistoryUnavailable: Firestore did not answer.
        """
        batch = Batch(self._firestore)
        batch.update(self._paths.messages(uid, id_).document(message), {"usage": dict(usage)})
        with translated(HistoryUnavailable, EVENT):
            try:
                await commit(batch, self._limits.change_s)
            except (Missing, NotStorable) as error:
                log.info("no_usage_to_correct", type=error.cause)

    async def update(
        self, uid: str, id_: str, *, title: str | None = None, leaf: str | None = None
    ) -> None:
        """Change the title of a conversation, the end of its chosen path, or both.

        Raises:
            ConversationUnknown, MessageUnknown: There is no such conversation, or message.
            HistoryUnavailable: Firestore did not answer.
        """
        change: Json = {} if title is None else {"title": title}
        with translated(HistoryUnavailable, EVENT):
            await self.read(uid, id_)
            if leaf is not None:
                position, _ = await self._message(uid, id_, leaf, "messageId")
                change |= {"leaf": leaf, "leafPage": position.page}
            batch = Batch(self._firestore)
            batch.update(self.reference(uid, id_), change)
            try:
                await commit(batch, self._limits.change_s)
            except Missing:
                raise ConversationUnknown(field="conversationId") from None

    async def read(self, uid: str, id_: str) -> Json:
        """Return the document of a conversation.

        Raises:
            ConversationUnknown: There is no such conversation.
            FirestoreError: Firestore did not answer.
        """
        snapshot = await get(self.reference(uid, id_))
        if not snapshot.exists:
            raise ConversationUnknown(field="conversationId")
        return snapshot.to_dict() or {}

    def reference(self, uid: str, id_: str) -> AsyncDocumentReference:
        return self._paths.conversation(uid, id_)

    def tombstone(self, uid: str, id_: str) -> AsyncDocumentReference:
        """Return the mark of a conversation that is being deleted."""
        return self._paths.deletion(uid, id_)

    async def _begins(self, uid: str, id_: str, question: Mapping[str, object]) -> bool:
        """Return whether this question should still create the conversation."""
        deleting = await get(self.tombstone(uid, id_))
        return question.get("begins") is True and not deleting.exists

    async def _place(
        self, request: ExecutePrompt, uid: str, generation: str, document: Json
    ) -> tuple[ThreadPlace, StoredAnnotations | None]:
        """Return where a request joins an existing conversation, and, for a regeneration, where the
        annotations of the question's files are."""
        id_ = str(request.conversation_id)
        parent, annotations = position_of(document.get("leaf"), document.get("leafPage")), None
        if request.parent_message_id == ROOT:
            parent = TreePosition()
        elif (named := request.parent_message_id) is not None:
            parent, _ = await self._message(uid, id_, named, "parentMessageId")
        elif request.regenerate is not None:
            position, message = await self._message(uid, id_, request.regenerate, "regenerate")
            annotations = stored_annotations_of(message.get("reading"))
            parent = parent_of(message) if message.get("role") == "assistant" else position
            if parent.message is None:
                raise MessageUnknown(field="regenerate")
        place = ThreadPlace(
            uid,
            id_,
            generation,
            request.feature,
            parent,
            is_regeneration=request.regenerate is not None,
            persisted=not request.temporary,
            page=_int(document.get("page"), parent.page),
            page_bytes=_int(document.get("pageBytes"), self._limits.page_max_bytes),
        )
        return place, annotations

    async def _message(
        self, uid: str, id_: str, message: str, field: str
    ) -> tuple[TreePosition, Json]:
        reference = self._paths.messages(uid, id_).document(message)
        document: Json = (await get(reference)).to_dict() or {}
        position = position_of(message, document.get("page"))
        if document.get("role") not in _ROLES or position.message is None:
            raise MessageUnknown(field=field)
        return position, document


def _question(request: ExecutePrompt) -> Question | None:
    if request.prompt is not None:
        return Question("user", request.prompt, request.context)
    if request.tool_results is not None:
        results = tuple(result.model_dump(by_alias=True) for result in request.tool_results)
        return Question("tool", tool_results=results)
    return None


def _int(value: object, otherwise: int) -> int:
    return value if type(value) is int else otherwise
