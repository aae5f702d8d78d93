"""The callables for a user's own conversations: rename, switch branches, delete, export.

Clients list and read them live, through their own Firestore SDK.
"""

from __future__ import annotations

from ..callable import Call
from ..contract import DeleteConversation, ExportConversation, Json, UpdateConversation, parse
from ..errors import HistoryUnavailable
from ..firestore import translated
from ..users import Caller
from .conversation_export import ExportReader
from .deletion import ConversationDeletion
from .store import EVENT, ConversationStore


class ConversationCallables:
    """The callables `update_conversation`, `delete_conversation` and `export_conversation`."""

    def __init__(
        self,
        conversations: ConversationStore,
        deletion: ConversationDeletion,
        export: ExportReader,
    ) -> None:
        self._conversations = conversations
        self._deletion = deletion
        self._export = export

    async def update(self, call: Call[Caller]) -> Json:
        """Change the title, the end of the chosen path, or both.

        Returns `{conversationId, title?, messageId?}`.

        Raises:
            ConversationUnknown, MessageUnknown: There is no such conversation, or message.
            HistoryUnavailable: Firestore did not answer.
        """
        request = parse(UpdateConversation, call.data)
        await self._conversations.update(
            call.caller.uid, request.conversation_id, title=request.title, leaf=request.message_id
        )
        return request.model_dump(by_alias=True, exclude_none=True)

    async def delete(self, call: Call[Caller]) -> Json:
        """Delete a conversation with all that it holds. A deletion that was cut off resumes when it
        is called again.

        Returns `{conversationId, deleted: true}`.

        Raises:
            ConversationUnknown: There is no such conversation.
            HistoryUnavailable, StorageUnavailable: It could not be deleted completely.
        """
        request = parse(DeleteConversation, call.data)
        await self._deletion.delete(call.caller.uid, request.conversation_id)
        return {"conversationId": request.conversation_id, "deleted": True}

    async def export(self, call: Call[Caller]) -> Json:
        """Export every message and branch as JSON, or the chosen path as Markdown, page by page.

        Returns `{conversationId, format, conversation, nextPageToken?}`, or the same with
        `markdown` in place of `conversation`.

        Raises:
            InvalidArgument: The token is none that an earlier page returned.
            ConversationUnknown: There is no such conversation.
            HistoryUnavailable: Firestore did not answer.
        """
        request, uid = parse(ExportConversation, call.data), call.caller.uid
        id_ = request.conversation_id
        with translated(HistoryUnavailable, EVENT):
            head = await self._conversations.read(uid, id_)
            messages = self._conversations.reference(uid, id_).collection("messages")
            return await self._export.page(request, head, messages, call.weigh)
