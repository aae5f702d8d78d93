"""All data that the app has about one user, page by page: what `export_my_data` returns.

    profile -> conversations, with all messages -> cached answers -> generations -> usage -> files

A page ends with the item that fills it, and its token says after which item the next page begins. A
long conversation continues on the next page, under the same id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from google.cloud.firestore import (
    AsyncClient,
    AsyncCollectionReference,
    AsyncQuery,
    FieldFilter,
)

from ..callable import encode
from ..contract import (
    NANO_PER_USD,
    DataExport,
    ExportMyData,
    Json,
    malformed_page_token,
    page_token,
    read_page_token,
)
from ..conversations import join_messages, visible
from ..files import FileStorage, folder_of
from ..firestore import Paths, Snapshot, content, get, is_document_id, pages, query
from ..ledger import EntryField, read_own_limits
from .anonymous_usage import AnonymousUsage
from .erasure import UPLOADS
from .limits import ReportLimits

_ID: Final = "__name__"
SECTIONS: Final = (
    "profile",
    "conversations",
    "cachedAnswers",
    "generations",
    "usage",
    "files",
)
# the fields of an entry that belong to the user: nothing about keys or request ids
_OF_ENTRY: Final = (
    EntryField.FEATURE,
    EntryField.MODEL,
    EntryField.PROVIDER,
    EntryField.STATUS,
    EntryField.ERROR,
    EntryField.FINISH_REASON,
    EntryField.CREATED_AT,
    EntryField.ENDED_AT,
    EntryField.USAGE,
    EntryField.TIMING,
    EntryField.CACHED,
    EntryField.COST,
    EntryField.COST_IS_ESTIMATE,
    EntryField.CONVERSATION_ID,
    EntryField.RESULT_TEXT,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an export: its section, and the position after which the next page begins."""

    section: str
    value: Json
    after: tuple[str, ...] = ()


class PersonalExport:
    """Reads all data of a user. One per instance. Its methods raise FirestoreError."""

    def __init__(
        self,
        firestore: AsyncClient,
        usage: AnonymousUsage,
        files: FileStorage,
        *,
        limits: ReportLimits,
    ) -> None:
        self._paths = Paths(firestore)
        self._usage = usage
        self._files = files
        self._limits = limits

    async def page(self, uid: str, request: ExportMyData, weigh: Callable[..., None]) -> DataExport:
        """Return a page of the user's data, and tell `weigh` what was read and will be sent.

        Raises:
            InvalidArgument: The token does not come from an earlier page.
            StorageUnavailable: Cloud Storage did not answer.
        """
        section, *after = _position(request)
        page: dict[str, list[Json]] = {}
        size = 0
        async for item in self._items(uid, section, after):
            if size >= self._limits.export_page_bytes:
                return _wire(page, page_token(request, section, *after))
            section, after = item.section, [*item.after]
            length = len(encode(item.value))
            size += length
            weigh(documents=1, size_bytes=length)
            _add(page, item)
        return _wire(page, None)

    async def _items(self, uid: str, section: str, after: list[str]) -> AsyncIterator[Item]:
        """Yield the items of a section after a position, then those of all later sections."""
        readers = {
            "profile": self._profile,
            "conversations": self._conversations,
            "cachedAnswers": self._cached_answers,
            "generations": self._generations,
            "usage": self._usage_days,
            "files": self._user_files,
        }
        for name in SECTIONS[SECTIONS.index(section) :]:
            async for item in readers[name](uid, after if name == section else []):
                yield item

    async def _profile(self, uid: str, after: list[str]) -> AsyncIterator[Item]:
        if after:
            return
        preferences = content(await get(self._paths.user(uid)))
        own = read_own_limits(content(await get(self._paths.user_limits(uid))))
        windows = await query(self._paths.quota_windows(uid))
        value: Json = {
            "preferences": visible(preferences),
            "limits": own.limits.model_dump(by_alias=True, exclude_none=True),
            "tier": own.tier,
            "blocked": own.blocked,
            "counters": [
                row for window in windows for row in _counters(window.id, content(window))
            ],
            "exportedAt": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        yield Item("profile", value, ("done",))

    async def _conversations(self, uid: str, after: list[str]) -> AsyncIterator[Item]:
        conversations = self._paths.conversations(uid)
        begun = after[0] if after else None
        if begun is not None:
            async for item in self._messages(uid, begun, after[1:]):
                yield item
        async for head in self._documents(conversations, conversations, begun):
            shown = {"id": head.id, **visible(content(head)), "messages": []}
            yield Item("conversations", shown, (head.id,))
            async for item in self._messages(uid, head.id, []):
                yield item

    async def _messages(self, uid: str, id_: str, after: list[str]) -> AsyncIterator[Item]:
        """Yield a conversation's messages, each joined if it is stored in several documents."""
        messages = self._paths.messages(uid, id_)
        parts: list[Snapshot] = []
        async for snapshot in self._documents(messages, messages, after[0] if after else None):
            if parts and snapshot.id.partition(".")[0] != parts[0].id:
                yield _message(id_, parts)
                parts = []
            parts.append(snapshot)
        if parts:
            yield _message(id_, parts)

    async def _cached_answers(self, uid: str, after: list[str]) -> AsyncIterator[Item]:
        all_ = self._paths.responses()
        own = all_.where(filter=FieldFilter("uid", "==", uid))
        async for snapshot in self._documents(own, all_, after[0] if after else None):
            document = content(snapshot)
            answer, ends = document.get("answer"), document.get("expireAt")
            if isinstance(answer, dict):
                shown = visible({"expireAt": ends, **answer})
                yield Item("cachedAnswers", shown, (snapshot.id,))

    async def _generations(self, uid: str, after: list[str]) -> AsyncIterator[Item]:
        all_ = self._paths.generations()
        own = all_.where(filter=FieldFilter(EntryField.UID, "==", uid)).select(_OF_ENTRY)
        async for snapshot in self._documents(own, all_, after[0] if after else None):
            yield Item("generations", _entry(snapshot), (snapshot.id,))

    async def _usage_days(self, uid: str, after: list[str]) -> AsyncIterator[Item]:
        async for rows in self._usage.rows(uid):
            for row in rows:
                day = AnonymousUsage.day_of(row)
                if after and day <= after[0]:
                    continue
                document = content(row)
                usd = _number(document.get("nanoUsd")) / NANO_PER_USD
                value: Json = {"day": day, "requests": document.get("requests"), "costUsd": usd}
                yield Item("usage", value, (day,))

    async def _user_files(self, uid: str, after: list[str]) -> AsyncIterator[Item]:
        begin = after[0] if after else ""
        while files := await self._files.list(folder_of(uid), self._limits.erase_batch, begin):
            for file in files:
                yield Item("files", file.to_document(), (file.path,))
            begin = files[-1].path

    async def _documents(
        self,
        found_by: AsyncQuery | AsyncCollectionReference,
        collection: AsyncCollectionReference,
        after: str | None,
    ) -> AsyncIterator[Snapshot]:
        """Yield the documents of a query in the order of their ids, after one of them.

        That one may be gone by now.
        """
        if after is not None:
            by_id = found_by.order_by(_ID)
            found_by = by_id.start_after({_ID: collection.document(after)})
        async for page in pages(found_by, self._limits.export_read_max):
            for snapshot in page:
                yield snapshot


def _position(request: ExportMyData) -> list[str]:
    """Return the section that a page begins in, and after which of its items.

    Raises:
        InvalidArgument: The token is none that an earlier page returned.
    """
    match read_page_token(request):
        case []:
            return [SECTIONS[0]]
        case [str(section), *after] if section in SECTIONS:
            ids = [part for part in after if isinstance(part, str)]
            if len(ids) == len(after) and (section == "files" or all(map(is_document_id, ids))):
                return [section, *ids]
    raise malformed_page_token()


def _message(conversation: str, parts: list[Snapshot]) -> Item:
    whole = join_messages({part.id: content(part) for part in parts})
    id_ = parts[0].id
    shown = {"id": id_, **visible(whole.get(id_, {}))}
    return Item(
        "conversations", {"id": conversation, "messages": [shown]}, (conversation, parts[-1].id)
    )


def _add(page: dict[str, list[Json]], item: Item) -> None:
    """Add an item to a page. Messages join their conversation if the page already has it."""
    items = page.setdefault(item.section, [])
    if items and item.section == "conversations" and items[-1]["id"] == item.value["id"]:
        cast(list[object], items[-1]["messages"]).extend(cast(list[object], item.value["messages"]))
    else:
        items.append(item.value)


def _wire(page: dict[str, list[Json]], token: str | None) -> DataExport:
    profile = page.pop("profile", None)
    wire: Json = {**({"profile": profile[0]} if profile else {}), **page}
    if token is not None:
        wire["nextPageToken"] = token
    return cast(DataExport, wire)


def _entry(snapshot: Snapshot) -> Json:
    """Return an entry as its user gets it, with its text unless that is in a conversation."""
    document = content(snapshot)
    place, result = document.pop("place", None), document.pop("result", None)
    cost = document.pop(EntryField.COST, None)
    shown = {"id": snapshot.id, **visible(document)}
    if isinstance(cost, int):
        shown["costUsd"] = cost / NANO_PER_USD
    if isinstance(place, dict):
        shown["conversationId"] = place.get("conversationId")
    elif isinstance(result, dict):
        shown["text"] = result.get("text")
    return shown


def _counters(window: str, document: Json) -> Iterator[Json]:
    """Yield what is used of the limits: the app's, and those of features that have their own."""
    if window.startswith(UPLOADS):
        yield {"period": window.removeprefix(UPLOADS), "uploads": document.get("count")}
        return
    features = _mapping(document.get("features"))
    for feature, counted in (("", document), *features.items()):
        own = {"feature": feature} if feature else {}
        days = _mapping(_mapping(counted).get("days"))
        periods = {f"{window}{day}": of_day for day, of_day in days.items()}
        for period, used in (*periods.items(), (window, _mapping(counted).get("month"))):
            if isinstance(used, dict):
                numbers = {name: n for name, n in used.items() if name != "nanoUsd"}
                usd = _number(used.get("nanoUsd")) / NANO_PER_USD
                yield {"period": period, **own, **numbers, "usd": usd}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
