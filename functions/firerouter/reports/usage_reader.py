"""Reads the roll-ups for a report, up to a maximum number of documents.

A report reads `usage/{day}` for each of its days, and all `cells` or `users` of these if its groups
and filters need them: see `usage_store` for what they hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from google.cloud.firestore import AsyncClient, AsyncQuery, Query

from ..firestore import Document, Paths, Snapshot, content, get, get_all, query
from .limits import ReportLimits
from .sums import NANO_USD, REQUESTS, Cell, CellUsage, Sums, flatten
from .usage_store import CELLS, COMPLETE_AT, REFUSALS, SUMS, UID

T = TypeVar("T")
Measure = Literal["nanoUsd", "requests"]  # what users' documents can be sorted by


@dataclass(frozen=True, slots=True)
class DayUsage:
    """`usage/{day}`.

    Attributes:
        day: `20260714`.
        sums: The sums of all entries admitted that day.
        refusals: The number of refused calls, by feature and cap.
    """

    day: str
    sums: Sums
    refusals: Sums


@dataclass(frozen=True, slots=True)
class UserUsage:
    """The totals of a user on a day."""

    day: str
    uid: str
    requests: int
    nano_usd: int

    def by(self, measure: Measure) -> int:
        return self.nano_usd if measure == "nanoUsd" else self.requests


class TooManyDocuments(Exception):
    """The report would read more documents than it may."""


class UsageReader:
    """Reads for one report. Its methods raise TooManyDocuments, FirestoreError."""

    def __init__(self, firestore: AsyncClient, *, limits: ReportLimits) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._limits = limits
        self._left = limits.report_documents_max

    async def counted_up_to(self) -> datetime | None:
        """Return when the ledger was last counted to its end."""
        at = content(await get(self._paths.usage_cursor())).get(COMPLETE_AT)
        return at if isinstance(at, datetime) else None

    async def days(self, days: Sequence[str]) -> list[DayUsage]:
        """Return the days that have any data."""
        references = [self._paths.usage(day) for day in days]
        self._take(len(references))
        found = await get_all(self._firestore, references, within_s=self._limits.report_read_s)
        return [
            DayUsage(
                day=snapshot.id,
                sums=flatten(content(snapshot).get(SUMS)),
                refusals=flatten(content(snapshot).get(REFUSALS)),
            )
            for snapshot in found
            if snapshot.exists
        ]

    async def cells(self, days: Sequence[str]) -> AsyncIterator[CellUsage]:
        """Yield the cells of each day, for all users together."""

        async def of_day(day: str) -> list[CellUsage]:
            found = await self._all(self._paths.usage_cells(day).limit(self._limit()))
            return [
                CellUsage(day, Cell.from_document(document), flatten(document.get(SUMS)))
                for document in map(content, found)
            ]

        for some in _chunks(days, self._limits.report_reads_at_once):
            for usage in await self._each(some, of_day):
                yield usage

    async def user_cells(self, days: Iterable[str]) -> AsyncIterator[CellUsage]:
        """Yield the cells of each user, one day at a time, because there may be many."""
        for day in days:
            for snapshot in await self._all(self._paths.usage_users(day).limit(self._limit())):
                for usage in _cells_of(day, content(snapshot)):
                    yield usage

    async def cells_of(self, uids: Sequence[str], days: Iterable[str]) -> AsyncIterator[CellUsage]:
        """Yield the cells of these users; "" stands for entries that name no user."""
        for day in days:
            for document in await self._users(day, uids):
                for usage in _cells_of(day, document):
                    yield usage

    async def totals_of(self, uids: Mapping[str, Sequence[str]]) -> list[UserUsage]:
        """Return users' totals; `uids` has the users to look up, by day."""

        async def of_day(day: str) -> list[UserUsage]:
            fields = (UID, *REQUESTS, *NANO_USD)
            return [_total(day, document) for document in await self._users(day, uids[day], fields)]

        return await self._each(list(uids), of_day)

    async def top(self, days: Sequence[str], measure: Measure, limit: int) -> list[UserUsage]:
        """Return the top users of each day, highest first."""

        async def of_day(day: str) -> list[UserUsage]:
            users, highest = self._paths.usage_users(day), Query.DESCENDING
            if measure == "nanoUsd":
                ordered = users.order_by("nanoUsd", direction=highest)
            else:
                ordered = users.order_by("requests", direction=highest)
            wanted = ordered.select([UID, *REQUESTS, *NANO_USD]).limit(limit)
            return [_total(day, content(snapshot)) for snapshot in await self._all(wanted)]

        return await self._each(days, of_day)

    async def _users(
        self, day: str, uids: Sequence[str], fields: Sequence[str] | None = None
    ) -> Iterator[Document]:
        self._take(len(uids))
        references = [self._paths.usage_user(day, uid or None) for uid in uids]
        found = await get_all(
            self._firestore, references, fields=fields, within_s=self._limits.report_read_s
        )
        return (content(snapshot) for snapshot in found if snapshot.exists)

    async def _all(self, query_: AsyncQuery) -> list[Snapshot]:
        found = await query(query_, within_s=self._limits.report_read_s)
        self._take(len(found))
        return found

    async def _each(
        self, days: Sequence[str], read: Callable[[str], Awaitable[list[T]]]
    ) -> list[T]:
        """Read each day, a few days at once, and return the results."""
        found: list[T] = []
        for some in _chunks(days, self._limits.report_reads_at_once):
            for of_day in await asyncio.gather(*map(read, some)):
                found += of_day
        return found

    def _limit(self) -> int:
        """Return a limit for a query: one more than is allowed, so that an excess is noticed."""
        return self._left + 1

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooManyDocuments


def _chunks(days: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (days[at : at + size] for at in range(0, len(days), size))


def _cells_of(day: str, document: Mapping[str, object]) -> Iterator[CellUsage]:
    cells = document.get(CELLS)
    for cell in cells.values() if isinstance(cells, dict) else ():
        sums = flatten(cell.get(SUMS))
        yield CellUsage(day, Cell.from_document(cell), sums, _uid(document))


def _total(day: str, document: Mapping[str, object]) -> UserUsage:
    sums = flatten({name: document.get(name) for name in (*REQUESTS, *NANO_USD)})
    return UserUsage(day, _uid(document), sums.get(REQUESTS, 0), sums.get(NANO_USD, 0))


def _uid(document: Mapping[str, object]) -> str:
    uid = document.get(UID)
    return uid if isinstance(uid, str) else ""
