"""The callables for a user's own conversations: rename, switch branches, delete, export.

Clients list and read them live, through their own Firestore SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..callable import Call
from ..contract import DeleteConversation, ExportConversation, Json, UpdateConversation, parse
from ..errors import HistoryUnavailable
from ..firestore import query, translated
from ..users import Caller
from .deletion import ConversationDeletion
from .limits import ConversationLimits
from .store import EVENT, ConversationStore

# the fields that are cut if a message takes several documents
_SPLIT_FIELDS = ("text", "reasoning")
# fields for internal use
_HIDDEN = frozenset({"page", "pageBytes", "leafPage", "parentPage", "parts", "reading"})
_NAMES = {"user": "You", "assistant": "Assistant", "tool": "Tool"}


class ConversationCallables:
    """The callables `update_conversation`, `delete_conversation` and `export_conversation`."""

    def __init__(
        self,
        conversations: ConversationStore,
        deletion: ConversationDeletion,
        *,
        limits: ConversationLimits,
    ) -> None:
        self._conversations = conversations
        self._deletion = deletion
        self._limits = limits

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
        """Export every message and branch as JSON, or the chosen path as Markdown.

        Returns `{conversationId, format, conversation}` or `{conversationId, format, markdown}`.

        Raises:
            ConversationUnknown: There is no such conversation.
            HistoryUnavailable: Firestore did not answer.
        """
        request = parse(ExportConversation, call.data)
        id_ = request.conversation_id
        head, messages = await self._read(call.caller.uid, id_)
        answer: Json = {"conversationId": id_, "format": request.format}
        if request.format == "markdown":
            return {**answer, "markdown": to_markdown(head, messages)}
        shown = [{"id": key, **visible(message)} for key, message in messages.items()]
        return {**answer, "conversation": {**visible(head), "messages": shown}}

    async def _read(self, uid: str, id_: str) -> tuple[Json, dict[str, Json]]:
        """Return the conversation's document, and its whole messages by ID, the oldest first."""
        messages = self._conversations.reference(uid, id_).collection("messages")
        with translated(HistoryUnavailable, EVENT):
            head = await self._conversations.read(uid, id_)
            found = await query(messages, within_s=self._limits.export_s)
        return head, join_messages({snapshot.id: snapshot.to_dict() or {} for snapshot in found})


def join_messages(documents: Mapping[str, Json]) -> dict[str, Json]:
    """Return messages by ID, each joined from its documents: a long one has several."""
    messages = {id_: {**d} for id_, d in documents.items() if d.get("role") != "part"}
    parts = [document for document in documents.values() if document.get("role") == "part"]
    for part in sorted(parts, key=lambda document: int(str(document["number"]))):
        whole = messages.get(str(part["of"]))
        for name in _SPLIT_FIELDS:
            if whole is not None and name in part:
                whole[name] = f"{whole.get(name, '')}{part[name]}"
    return dict(sorted(messages.items(), key=lambda item: str(item[1].get("createdAt"))))


def chosen_path(head: Mapping[str, object], messages: Mapping[str, Json]) -> list[Json]:
    """Return the messages of the chosen path, the first one first."""
    found: list[Json] = []
    id_ = head.get("leaf")
    while isinstance(id_, str) and id_ in messages and len(found) <= len(messages):
        found.append(messages[id_])
        id_ = messages[id_].get("parent")
    return found[::-1]


def to_markdown(head: Mapping[str, object], messages: Mapping[str, Json]) -> str:
    """Return a title, then each message of the chosen path under the name of its role."""
    parts = [f"# {head.get('title') or 'Conversation'}"]
    for message in chosen_path(head, messages):
        results = [str(result.get("content")) for result in _objects(message.get("toolResults"))]
        files = [str(f.get("name") or "a file") for f in _objects(message.get("attachments"))]
        attached = f"Attached: {', '.join(files)}" if files else None
        images = _objects(message.get("images"))
        made = f"Images: {len(images)}" if images else None
        said = (message.get("context"), message.get("text"), *results, attached, made)
        text = "\n\n".join(str(part) for part in said if part)
        parts.append(f"## {_NAMES.get(str(message.get('role')), 'Message')}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _objects(value: object) -> list[Json]:
    return [item for item in (value if isinstance(value, list) else []) if isinstance(item, dict)]


def visible(document: Mapping[str, object]) -> Json:
    """Return what a client may see of a document, times as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
        if name not in _HIDDEN
    }
