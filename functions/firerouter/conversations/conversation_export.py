"""A conversation as its owner takes it away: page by page, because a long one fits no answer.

    json       every message of every branch, the oldest first
    markdown   the chosen path, from its beginning

A page ends with the message that fills it, and its token says after which one the next page begins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from google.cloud.firestore import AsyncClient, AsyncCollectionReference

from ..callable import encode
from ..contract import (
    ExportConversation,
    Json,
    malformed_page_token,
    page_token,
    read_page_token,
)
from ..firestore import content, get_all, pages
from .limits import ConversationLimits

# the fields that are cut if a message takes several documents
_SPLIT_FIELDS: Final = ("text", "reasoning")
# fields for internal use
_HIDDEN: Final = frozenset({"page", "pageBytes", "leafPage", "parentPage", "parts", "reading"})
Weigh = Callable[..., None]  # `Call.weigh`
_NAMES: Final = {"user": "You", "assistant": "Assistant", "tool": "Tool"}


class ExportReader:
    """Reads conversations to be taken away. One per instance. Its methods raise FirestoreError."""

    def __init__(self, firestore: AsyncClient, *, limits: ConversationLimits) -> None:
        self._firestore = firestore
        self._limits = limits

    async def page(
        self,
        request: ExportConversation,
        head: Json,
        messages: AsyncCollectionReference,
        weigh: Weigh,
    ) -> Json:
        """Return a page of a conversation.

        Args:
            request: What is asked for.
            head: The conversation's document.
            messages: Where its messages are.
            weigh: Is told what was read and what will be sent.

        Raises:
            InvalidArgument: The token is none that an earlier page returned.
        """
        position = [str(part) for part in read_page_token(request)]
        if len(position) > 1:
            raise malformed_page_token()
        after = position[0] if position else None
        markdown = request.format == "markdown"
        if markdown:
            read = self._chosen(head, messages, after, weigh)
        else:
            read = self._all(messages, after)
        found, size, token = dict[str, Json](), 0, None
        async for id_, message in read:
            if size >= self._limits.export_page_bytes:
                token = page_token(request, [*found][-1])
                break
            found[id_] = message
            length = len(encode(visible(message)))
            size += length
            weigh(documents=1 + parts_of(message), size_bytes=length)
        answer: Json = {"conversationId": request.conversation_id, "format": request.format}
        if markdown:
            title = str(head.get("title") or "Conversation") if after is None else None
            answer["markdown"] = to_markdown(found.values(), title)
        else:
            shown = [{"id": key, **visible(message)} for key, message in found.items()]
            answer["conversation"] = {**visible(head), "messages": shown}
        return answer if token is None else {**answer, "nextPageToken": token}

    async def _all(
        self, messages: AsyncCollectionReference, after: str | None
    ) -> AsyncIterator[tuple[str, Json]]:
        """Yield the messages behind one of them, the oldest first."""
        ordered = messages.order_by("createdAt")
        if after is not None:
            (begin,) = await get_all(self._firestore, [messages.document(after)])
            if not begin.exists:
                raise malformed_page_token()
            ordered = ordered.start_after(begin)
        async for page in pages(ordered, self._limits.export_read, within_s=self._limits.export_s):
            for snapshot in page:  # parts have no time, so they are in no page
                whole = await self._whole(messages, snapshot.id, content(snapshot))
                yield snapshot.id, whole

    async def _chosen(
        self, head: Json, messages: AsyncCollectionReference, after: str | None, weigh: Weigh
    ) -> AsyncIterator[tuple[str, Json]]:
        """Yield the messages of the chosen path behind one of them."""
        parents = await self._parents(messages)
        weigh(documents=len(parents))
        path = chosen_path(head, parents)
        if after is not None:
            if after not in path:
                raise malformed_page_token()
            path = path[path.index(after) + 1 :]
        for ids in _batches(path, self._limits.export_read):
            found = await get_all(self._firestore, [messages.document(id_) for id_ in ids])
            for snapshot in found:
                if snapshot.exists:
                    whole = await self._whole(messages, snapshot.id, content(snapshot))
                    yield snapshot.id, whole

    async def _parents(self, messages: AsyncCollectionReference) -> dict[str, Json]:
        """Return what each message follows, which is all that is read of it."""
        parents: dict[str, Json] = {}
        links = messages.select(["parent"])
        async for page in pages(
            links, self._limits.export_links_read, within_s=self._limits.export_s
        ):
            for snapshot in page:
                if "." not in snapshot.id:
                    parents[snapshot.id] = content(snapshot)
            if len(parents) >= self._limits.export_path_max:
                break
        return parents

    async def _whole(self, messages: AsyncCollectionReference, id_: str, message: Json) -> Json:
        """Return a message, joined from its documents: a long one has several."""
        count = parts_of(message)
        if not 0 < count <= self._limits.export_parts_max:
            return message
        names = [f"{id_}.{number}" for number in range(1, count + 1)]
        found = await get_all(self._firestore, [messages.document(name) for name in names])
        parts = {part.id: content(part) for part in found if part.exists}
        return join_messages({id_: message, **parts})[id_]


def parts_of(message: Mapping[str, object]) -> int:
    """Return how many documents a message has beside its first."""
    count = message.get("parts")
    return count if isinstance(count, int) else 0


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for begin in range(0, len(ids), size):
        yield ids[begin : begin + size]


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


def chosen_path(head: Mapping[str, object], messages: Mapping[str, Json]) -> list[str]:
    """Return the ids of the messages of the chosen path, the first one first."""
    found: list[str] = []
    id_ = head.get("leaf")
    while isinstance(id_, str) and id_ in messages and len(found) <= len(messages):
        found.append(id_)
        id_ = messages[id_].get("parent")
    return found[::-1]


def to_markdown(messages: Iterable[Mapping[str, object]], title: str | None) -> str:
    """Return a title, if there is one, then each message under the name of its role."""
    parts = [] if title is None else [f"# {title}"]
    return "\n\n".join([*parts, *map(_in_markdown, messages)]) + "\n"


def _in_markdown(message: Mapping[str, object]) -> str:
    results = [str(result.get("content")) for result in _objects(message.get("toolResults"))]
    files = [str(f.get("name") or "a file") for f in _objects(message.get("attachments"))]
    attached = f"Attached: {', '.join(files)}" if files else None
    images = _objects(message.get("images"))
    made = f"Images: {len(images)}" if images else None
    said = (message.get("context"), message.get("text"), *results, attached, made)
    text = "\n\n".join(str(part) for part in said if part)
    return f"## {_NAMES.get(str(message.get('role')), 'Message')}\n\n{text}"


def _objects(value: object) -> list[Json]:
    return [item for item in (value if isinstance(value, list) else []) if isinstance(item, dict)]


def visible(document: Mapping[str, object]) -> Json:
    """Return what a client may see of a document, times as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
        if name not in _HIDDEN
    }
