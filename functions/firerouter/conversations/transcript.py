"""Reads the transcript of a conversation: the pages from which a model is sent its messages."""

from __future__ import annotations

from collections.abc import Mapping

from google.cloud.firestore import AsyncDocumentReference

from ..contract import Json
from ..firestore import get
from .tree import extras_of


class FirestoreTranscript:
    """The transcript of one conversation. Its methods raise FirestoreError."""

    def __init__(self, conversation: AsyncDocumentReference) -> None:
        self._pages = conversation.collection("transcript")
        self._messages = conversation.collection("messages")

    async def page(self, number: int) -> Mapping[str, object]:
        """Return what a page has of each message, by ID."""
        document = (await get(self._pages.document(str(number)))).to_dict() or {}
        messages = document.get("messages")
        return messages if isinstance(messages, dict) else {}

    async def whole(self, message_id: str, item: Json) -> Json:
        """Return what a page would have of a message that is too long for one."""
        document = await self._document(message_id)
        count = document.get("parts")
        numbers = range(1, (count if isinstance(count, int) else 0) + 1)
        parts = [await self._document(f"{message_id}.{number}") for number in numbers]
        text = "".join(str(part.get("text", "")) for part in (document, *parts))
        sent = "\n\n".join(str(text) for text in (document.get("context"), text) if text)
        return {**item, **extras_of(document), "text": sent}

    async def _document(self, id_: str) -> Json:
        return (await get(self._messages.document(id_))).to_dict() or {}
