"""A user's own conversations: renamed, led along another path, deleted, taken away.

Listing and reading them is the client's, live, through its own Firestore SDK.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .. import limits
from ..callable import Call
from ..contract import DeleteConversation, ExportConversation, UpdateConversation, parse
from ..firestore import AWAY
from ..users import Caller
from .deletion import ConversationDeletion
from .store import ConversationStore, away
from .tree import Document


class ConversationCallables:
    """The use cases `update_conversation`, `delete_conversation` and `export_conversation`."""

    def __init__(self, conversations: ConversationStore, removals: ConversationDeletion) -> None:
        self._conversations = conversations
        self._removals = removals

    async def update(self, call: Call[Caller]) -> dict[str, Any]:
        """Another title, another end of the chosen path, or both. `{conversationId, title?,
        messageId?}`. Raises ConversationUnknown, MessageUnknown, HistoryUnavailable."""
        asked = parse(UpdateConversation, call.data)
        await self._conversations.update(
            call.caller.uid, asked.conversation_id, title=asked.title, leaf=asked.message_id
        )
        return asked.model_dump(by_alias=True, exclude_none=True)

    async def delete(self, call: Call[Caller]) -> dict[str, Any]:
        """A conversation with all that it holds; what was cut off half-way goes on when it is
        called again. `{conversationId, deleted: true}`.

        Raises ConversationUnknown, HistoryUnavailable, StorageUnavailable.
        """
        asked = parse(DeleteConversation, call.data)
        await self._removals.delete(call.caller.uid, asked.conversation_id)
        return {"conversationId": asked.conversation_id, "deleted": True}

    async def export(self, call: Call[Caller]) -> dict[str, Any]:
        """`{conversationId, format, conversation}` with every message and branch as JSON, or
        `{..., markdown}`, the chosen path alone. Raises ConversationUnknown, HistoryUnavailable."""
        asked = parse(ExportConversation, call.data)
        uid, id_ = call.caller.uid, asked.conversation_id
        head, messages = await self._all(uid, id_)
        told = {"conversationId": id_, "format": asked.format}
        if asked.format == "markdown":
            return {**told, "markdown": markdown(head, messages)}
        shown = [{"id": key, **_told(value)} for key, value in messages.items()]
        return {**told, "conversation": {**_told(head), "messages": shown}}

    async def _all(self, uid: str, id_: str) -> tuple[Document, dict[str, Document]]:
        """(the conversation, its messages by id, whole and the oldest first).

        Raises ConversationUnknown, HistoryUnavailable.
        """
        collection = self._conversations.conversation(uid, id_).collection("messages")
        try:
            head = await self._conversations.read(uid, id_)
            found = await collection.get(retry=None, timeout=limits.CONVERSATION_READ_S)
        except AWAY as error:
            raise away(error) from None
        documents = {snapshot.id: snapshot.to_dict() or {} for snapshot in found}
        messages = {i: d for i, d in documents.items() if d.get("role") != "part"}
        for part in sorted(
            (d for d in documents.values() if d.get("role") == "part"), key=lambda d: d["number"]
        ):
            whole = messages.get(part["of"], {})
            for name in ("text", "reasoning"):
                if name in part:
                    whole[name] = whole.get(name, "") + part[name]
        return head, dict(sorted(messages.items(), key=lambda item: str(item[1].get("createdAt"))))


def path(head: dict[str, Any], messages: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of the chosen path, the first one first."""
    found: list[dict[str, Any]] = []
    id_ = head.get("leaf")
    while isinstance(id_, str) and id_ in messages and len(found) <= len(messages):
        found.append(messages[id_])
        id_ = messages[id_].get("parent")
    return found[::-1]


def markdown(head: dict[str, Any], messages: dict[str, dict[str, Any]]) -> str:
    """A title, then each turn under the name of its role."""
    names = {"user": "You", "assistant": "Assistant", "tool": "Tool"}
    parts = [f"# {head.get('title') or 'Conversation'}"]
    for message in path(head, messages):
        results = [str(result.get("content")) for result in message.get("toolResults") or ()]
        files = ", ".join(file.get("name") or "a file" for file in message.get("attachments", ()))
        attached = f"Attached: {files}" if files else None
        drawn = f"Images: {len(images)}" if (images := message.get("images")) else None
        said = (message.get("context"), message.get("text"), *results, attached, drawn)
        text = "\n\n".join(t for t in said if t)
        parts.append(f"## {names.get(str(message.get('role')), 'Message')}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _told(document: dict[str, Any]) -> dict[str, Any]:
    """What a client may see of a document, times as text."""
    hidden = {"page", "pageBytes", "leafPage", "parentPage", "parts", "reading"}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
        if name not in hidden
    }
