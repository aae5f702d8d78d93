"""Deletes a user's ledger entries and takes the user out of the roll-ups, but keeps the totals.

    generations/{id}                   deleted; its contribution moves to `%erased`, counted or not
    usage/{day}/users/{user}           what is left, from entries that have expired, moves there too
    usage/{day}/users/%erased          the same fields as a user's, for all erased users;
                                       keys.{name}.{key}: sums of deleted entries that users and
                                       cells do not have, only days

The sums of days and cells do not change: each commit takes as much from the user as it adds to
`%erased`, and deletes what it has moved. It is guarded by the versions that were read, so nothing
moves twice if it is applied twice, if two processes race, or while the ledger is being counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from google.cloud.firestore import DELETE_FIELD, AsyncClient, FieldFilter

from ..firestore import (
    ERASED_USER,
    Batch,
    Conflict,
    Document,
    Paths,
    Snapshot,
    commit,
    content,
    get_all,
    pages,
)
from ..ledger import RUNNING, EntryField
from .limits import ReportLimits
from .sums import (
    COUNTED_FIELDS,
    NANO_USD,
    REQUESTS,
    Cell,
    Contribution,
    Sums,
    add,
    contribution_of,
    day_alone,
    flatten,
)
from .usage_store import CELLS, SUMS, Movement, UsageStore, increment

KEYS = "keys"


@dataclass(frozen=True, slots=True)
class EndedEntry:
    """An entry that has ended and can be deleted.

    Attributes:
        id: The generation's id.
        version: The document's update time, the guard of the commit that deletes it.
        admitted_at: When it was admitted, if that is known.
        counted: What has been counted of it so far.
        contribution: What has to be counted of it in all.
    """

    id: str
    version: datetime
    admitted_at: datetime | None
    counted: Contribution | None
    contribution: Contribution | None

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> EndedEntry | None:
        """Return the entry; None if it is running or gone."""
        document = content(snapshot)
        if not snapshot.exists or document.get(EntryField.STATUS) == RUNNING:
            return None
        return cls(
            id=snapshot.id,
            version=snapshot.update_time,
            admitted_at=snapshot.create_time,
            counted=Contribution.from_document(document.get(EntryField.ROLLED)),
            contribution=contribution_of(document, snapshot.create_time),
        )


class AnonymousUsage:
    """Makes usage anonymous. One per instance. Its methods raise FirestoreError."""

    def __init__(
        self, firestore: AsyncClient, usage: UsageStore, *, limits: ReportLimits | None = None
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._usage = usage
        self._limits = limits or ReportLimits()

    async def entries(self, uid: str) -> AsyncIterator[list[EndedEntry]]:
        """Yield the user's entries that have ended, a page at a time."""
        own = self._paths.generations().where(filter=FieldFilter(EntryField.UID, "==", uid))
        found = pages(own.select(COUNTED_FIELDS), self._limits.erase_page_entries)
        async for page in found:
            ended = [one for one in map(EndedEntry.from_snapshot, page) if one is not None]
            if ended:
                yield ended

    async def reread(self, entries: Sequence[EndedEntry]) -> list[EndedEntry]:
        """Read the entries again; leave out those that are gone."""
        references = [self._paths.generation(entry.id) for entry in entries]
        found = await get_all(self._firestore, references, fields=COUNTED_FIELDS)
        return [one for one in map(EndedEntry.from_snapshot, found) if one is not None]

    async def delete(self, entries: Sequence[EndedEntry]) -> None:
        """Delete a page of entries and count them under `%erased`, in one commit.

        Raises:
            Conflict: One of them has changed since it was read. Nothing was written.
        """
        movement, keys = Movement(), dict[str, Sums]()
        batch = Batch(self._firestore)
        for entry in entries:
            batch.delete(self._paths.generation(entry.id), version=entry.version)
            if entry.counted is not None:
                movement.add(entry.counted, times=-1)
            if (final := entry.contribution) is not None:
                movement.add(replace(final, uid=ERASED_USER), times=+1)
                add(keys.setdefault(final.day, {}), day_alone(final.sums))
        self._usage.move(batch, movement)
        for day, sums in keys.items():
            by = {(KEYS, *path): number for path, number in sums.items()}
            increment(batch, self._paths.usage_user(day, ERASED_USER), by)
        await commit(batch, self._limits.roll_commit_s)

    async def rows(self, uid: str) -> AsyncIterator[list[Snapshot]]:
        """Yield the user's documents in the roll-ups of all days, a few days at a time."""
        days = pages(self._paths.usage_days().select([]), self._limits.erase_days_at_once)
        async for page in days:
            own = [self._paths.usage_user(day.id, uid) for day in page if day.id.isdecimal()]
            found = await get_all(self._firestore, own) if own else []
            if existing := [row for row in found if row.exists]:
                yield existing

    @staticmethod
    def day_of(row: Snapshot) -> str:
        """Return the day of a document `usage/{day}/users/{user}`."""
        return str(row.reference.path.split("/")[1])

    async def fold(self, row: Snapshot) -> None:
        """Move the contents of a user's document of a day to `%erased`, and delete it.

        A document with many cells takes several commits. If another run or the roll-up changes it
        first, it is read again.

        Raises:
            Conflict: It was changed before each attempt.
        """
        for _ in range(self._limits.erase_tries):
            try:
                while row.exists:
                    await self._fold_cells(row)
                    (row,) = await get_all(self._firestore, [row.reference])
            except Conflict:
                (row,) = await get_all(self._firestore, [row.reference])
            else:
                return
        raise Conflict("changed again and again")

    async def _fold_cells(self, row: Snapshot) -> None:
        """Move as many of its cells as fit into one commit."""
        day = self.day_of(row)
        cells = content(row).get(CELLS)
        left = dict(cells) if isinstance(cells, dict) else {}
        movement = Movement()
        taken: Document = {}
        moved: dict[Cell, Sums] = {}
        count = 0
        for name, document in left.items():
            sums = _sums_of(document)
            if taken and count + len(sums) > self._limits.roll_increments_max:
                break
            count += len(sums)
            taken[name] = DELETE_FIELD
            add(moved.setdefault(Cell.from_document(_mapping(document)), {}), sums)
        movement.users[day, ERASED_USER] = moved
        batch = Batch(self._firestore)
        if len(taken) == len(left):
            batch.delete(row.reference, version=row.update_time)
        else:
            rest = [_sums_of(cell) for name, cell in left.items() if name not in taken]
            totals = {
                path[0]: sum(sums.get(path, 0) for sums in rest) for path in (REQUESTS, NANO_USD)
            }
            fields = {f"{CELLS}.{name}": gone for name, gone in taken.items()}
            batch.update(row.reference, {**fields, **totals}, version=row.update_time)
        self._usage.move(batch, movement)
        await commit(batch, self._limits.roll_commit_s)


def _sums_of(cell: object) -> Sums:
    """Return the sums of a cell of a user's document."""
    return flatten(_mapping(cell).get(SUMS))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
