"""The roll-ups' documents, and the one commit that counts a page of entries in them.

    usage/{day}                sums                          of all entries admitted that day
                               refusals.{feature}.{cap}      see `refusal_counts`
    usage/{day}/cells/{cell}   feature, model, revision, tier, sums
    usage/{day}/users/{user}   uid, requests, nanoUsd, cells.{cell}: {feature, ..., sums}
    usage/cursor               rolledTo: a `rollDueAt`, before which nothing is left to count
                               completeAt: when there was last nothing left to count

    an entry, ended or corrected: rollDueAt
        --roll--> rolled: what was counted of it; without rollDueAt

Each entry records what was counted of it. A page of entries is counted by one commit, which moves
the sums by the difference between what the entries hold now and what was counted of them before. It
guards each entry by the version that was read: if it is applied twice, if two processes race, or if
an entry is corrected in the meantime, it fails as a whole and moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from google.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    AsyncClient,
    AsyncDocumentReference,
    FieldFilter,
)

from ..firestore import Batch, Paths, Snapshot, commit, content, get, query
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
    nonzero,
    of_cell,
)

ROLLED_TO: Final = "rolledTo"
COMPLETE_AT: Final = "completeAt"
REFUSALS: Final = "refusals"
SUMS: Final = "sums"
UID: Final = "uid"
CELLS: Final = "cells"
_OF_USER: Final = (REQUESTS, NANO_USD)  # a user's totals, to sort users by


@dataclass(frozen=True, slots=True)
class DueEntry:
    """An entry that has not been counted, or has changed since.

    Attributes:
        id: The generation's id.
        version: The document's update time, the guard of the commit that counts it.
        due_at: Its `rollDueAt`, by which entries are sorted.
        counted: What was counted of it before.
        contribution: What has to be counted of it now. While it runs, nothing changes: its end
            makes it due again.
    """

    id: str
    version: datetime
    due_at: datetime
    counted: Contribution | None
    contribution: Contribution | None

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> DueEntry:
        document = content(snapshot)
        due_at = document.get(EntryField.ROLL_DUE_AT)
        assert isinstance(due_at, datetime)  # the query is ordered by it
        counted = Contribution.from_document(document.get(EntryField.ROLLED))
        contribution = contribution_of(document, snapshot.create_time)
        is_running = document.get(EntryField.STATUS) == RUNNING
        return cls(
            id=snapshot.id,
            version=snapshot.update_time,
            due_at=due_at,
            counted=counted,
            contribution=counted if is_running else contribution,
        )


@dataclass(slots=True)
class Movement:
    """How much a page of entries changes the sums of each document."""

    days: dict[str, Sums] = field(default_factory=dict)
    cells: dict[tuple[str, Cell], Sums] = field(default_factory=dict)
    users: dict[tuple[str, str | None], dict[Cell, Sums]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[DueEntry], increments_max: int) -> tuple[Movement, int]:
        """Return what entries change, and how many of them fit into one commit.

        No document gets more than `increments_max` increments.
        """
        movement = cls()
        for number, entry in enumerate(entries):
            if number and not movement.has_room(entry, increments_max):
                return movement, number
            if entry.counted is not None:
                movement.add(entry.counted, times=-1)
            if entry.contribution is not None:
                movement.add(entry.contribution, times=+1)
        return movement, len(entries)

    def add(self, contribution: Contribution, *, times: int) -> None:
        day, cell = contribution.day, contribution.cell
        user = self.users.setdefault((day, contribution.uid), {})
        add(self.days.setdefault(day, {}), contribution.sums, times=times)
        for sums in (self.cells.setdefault((day, cell), {}), user.setdefault(cell, {})):
            add(sums, of_cell(contribution.sums), times=times)

    def has_room(self, entry: DueEntry, increments_max: int) -> bool:
        for contribution in (entry.counted, entry.contribution):
            if contribution is None:
                continue
            day, more = contribution.day, len(contribution.sums)
            user = self.users.get((day, contribution.uid), {})
            held = (
                len(self.days.get(day, {})),
                sum(len(sums) for sums in user.values()) + len(_OF_USER),
            )
            if max(held) + 2 * more > increments_max:  # it may subtract as many numbers as it adds
                return False
        return True


class UsageStore:
    """The roll-ups in Firestore. One per instance. Its methods raise FirestoreError."""

    def __init__(self, firestore: AsyncClient, *, limits: ReportLimits | None = None) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._limits = limits or ReportLimits()

    async def cursor(self) -> datetime | None:
        """Return the `rollDueAt` from which on entries may be left to count; None if unknown.

        It keeps the query fast: without it, the query would scan the index entries of all that was
        counted lately, which stay in the index for a while after they were deleted.
        """
        rolled_to = content(await get(self._paths.usage_cursor())).get(ROLLED_TO)
        if not isinstance(rolled_to, datetime):
            return None
        return rolled_to - timedelta(seconds=self._limits.roll_overlap_s)

    async def due(self, since: datetime | None, limit: int) -> list[DueEntry]:
        """Return entries that are due to be counted, the longest overdue first.

        Args:
            since: The earliest `rollDueAt` to read; None for all.
            limit: The maximum number of entries.
        """
        waiting = self._paths.generations().order_by(EntryField.ROLL_DUE_AT)
        if since is not None:
            waiting = waiting.where(filter=FieldFilter(EntryField.ROLL_DUE_AT, ">=", since))
        page = waiting.select([*COUNTED_FIELDS, EntryField.ROLL_DUE_AT]).limit(limit)
        found = await query(page, within_s=self._limits.roll_read_s)
        return [DueEntry.from_snapshot(snapshot) for snapshot in found]

    async def roll(self, entries: Sequence[DueEntry]) -> Sequence[DueEntry]:
        """Count entries in one commit. Return those that fit into it, from the first on.

        Raises:
            Conflict: One of them has changed since it was read. Nothing was counted.
            NotStorable: Firestore can't store one of the sums. Nothing was counted.
        """
        movement, fitting = Movement.of(entries, self._limits.roll_increments_max)
        counted = entries[:fitting]
        batch = Batch(self._firestore)
        for entry in counted:
            fields: dict[str, object] = {EntryField.ROLL_DUE_AT: DELETE_FIELD}
            if entry.contribution is not None:
                fields[EntryField.ROLLED] = entry.contribution.to_document()
            batch.update(self._paths.generation(entry.id), fields, version=entry.version)
        self.move(batch, movement)
        batch.set(self._paths.usage_cursor(), {ROLLED_TO: counted[-1].due_at}, merge=True)
        await commit(batch, self._limits.roll_commit_s)
        return counted

    async def leave_out(self, entry: DueEntry) -> None:
        """Skip an entry that cannot be counted. `scripts/usage --check` reports it."""
        batch = Batch(self._firestore)
        fields = {EntryField.ROLL_DUE_AT: DELETE_FIELD}
        batch.update(self._paths.generation(entry.id), fields, version=entry.version)
        await commit(batch, self._limits.roll_commit_s)

    async def note_complete(self) -> None:
        """Record that nothing is left to count."""
        batch = Batch(self._firestore)
        batch.set(self._paths.usage_cursor(), {COMPLETE_AT: SERVER_TIMESTAMP}, merge=True)
        await commit(batch, self._limits.roll_commit_s)

    def move(self, batch: Batch, movement: Movement) -> None:
        """Add the changes of all documents to a batch."""
        for day, sums in movement.days.items():
            increment(batch, self._paths.usage(day), {(SUMS, *path): n for path, n in sums.items()})
        for (day, cell), sums in movement.cells.items():
            increment(
                batch,
                self._paths.usage_cells(day).document(cell.id),
                {(SUMS, *path): number for path, number in sums.items()},
                cell.to_document(),
            )
        for (day, uid), cells in movement.users.items():
            increments: Sums = {}
            named: dict[str, object] = {}
            for cell, sums in cells.items():
                add(increments, {path: sums.get(path, 0) for path in _OF_USER})
                own = (CELLS, cell.id)
                named[cell.id] = cell.to_document()
                increments |= {(*own, SUMS, *path): number for path, number in sums.items()}
            fields = {UID: uid, CELLS: named}
            increment(batch, self._paths.usage_user(day, uid), increments, fields)


def increment(
    batch: Batch,
    reference: AsyncDocumentReference,
    sums: Sums,
    fields: Mapping[str, object] | None = None,
) -> None:
    """Add to a batch: increments of a document's sums and, if any is not 0, these fields."""
    if moved := nonzero(sums):
        batch.increment(reference, moved, fields or {})
