"""The ledger's documents: all reads and commits of entries and of the counters that they move.

    generations/{id}                                   the entry (`entry`)
    quotas/{user}/windows/{month}, .../concurrent      a user's counters (`quotas`)
    ceilings/{month}/shards/{n}                        what all users have reserved and spent
    instances/{instance}                               {aliveUntil}: its lease (`leases`)

    running, past deadlineAt --close--> interrupted    what a killed instance left behind
    ended, costIsEstimate, costDueAt --correct--> costIsEstimate false, reconciledAt
                                     --postpone--> a later costDueAt
                                     --give up--> costGivenUpAt; the estimate stands

The task that owns a generation (`ledger`), the reconciler, and the code that stops, follows or
claims a generation on another instance (`delivery`) all read and write here. Each commit is guarded
by the version of the entry that it is based on, so no counter moves twice if a commit is applied
twice or two processes race. Only estimates have a `costDueAt`, so its index holds only the costs
still to be looked up. Likewise `rollDueAt`: every write that sets an entry's end, cost or usage
sets it too, so that `reports` counts the change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from google.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    AsyncClient,
    AsyncDocumentReference,
    AsyncQuery,
    FieldFilter,
)
from google.cloud.firestore_v1.types import Value, WriteResult

from .. import log
from ..errors import LedgerUnavailable, Restarting
from ..firestore import (
    Batch,
    Conflict,
    Document,
    NotStorable,
    Paths,
    commit,
    content,
    count,
    get,
    get_all,
    put,
    query,
    translated,
)
from .entry import (
    RUNNING,
    Admission,
    Correction,
    Cost,
    EntryField,
    Outcome,
    Reservation,
    StoredEntry,
    attempt_documents,
    cost_of_all,
    epoch,
)
from .limits import LedgerLimits
from .malformed import count_at, counted
from .quotas import CONCURRENT, FEATURES, MINUTES, Counter, Field, Home, Move, Windows, movements
from .stop_request import Stop

MOVED_HOMES: tuple[Home, ...] = ("month", "concurrent", "project")  # in the order of their writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An admission before it is final: what its commit writes, and what undoing it must revert.

    Attributes:
        admissions: One user's generations that are admitted together: a comparison has several.
        nonce: Identifies the entries' owner.
        windows: Where they are counted.
        counters: The counters that they move.
    """

    admissions: Sequence[Admission]
    nonce: str
    windows: Windows
    counters: Sequence[Counter]

    @property
    def uid(self) -> str:
        return self.admissions[0].uid


@dataclass(frozen=True, slots=True)
class Created:
    """Created entries: their version, and the new total of each counter that they moved."""

    version: datetime
    totals: list[int]


class LedgerStore:
    """The entries and counters in Firestore. One per instance."""

    def __init__(self, firestore: AsyncClient, *, limits: LedgerLimits | None = None) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._limits = limits or LedgerLimits()

    # -- one entry; these raise FirestoreError -------------------------------------------------

    async def read(self, id_: str, fields: Collection[str] | None = None) -> StoredEntry | None:
        """Return an entry; None if there is none.

        Args:
            id_: The generation's id.
            fields: The fields to read; all by default, but an entry's result may be long.
        """
        snapshot = await get(self._paths.generation(id_), fields=fields)
        return StoredEntry.from_snapshot(snapshot) if snapshot.exists else None

    async def read_all(self, ids: Iterable[str], fields: Collection[str]) -> list[StoredEntry]:
        """Return the entries that exist, with only these fields."""
        references = [self._paths.generation(id_) for id_ in ids]
        found = await get_all(self._firestore, references, fields=fields)
        return [StoredEntry.from_snapshot(snapshot) for snapshot in found if snapshot.exists]

    async def find(self, ids: Sequence[str], fields: Collection[str]) -> list[StoredEntry]:
        """Return those of several entries that exist, for one read if there are none."""
        references = [self._paths.generation(id_) for id_ in ids]
        named = self._where(FieldFilter("__name__", "in", references))
        return [StoredEntry.from_snapshot(one) for one in await query(named.select(fields))]

    async def update(
        self, id_: str, version: datetime, fields: Mapping[str, object], *, within_s: float
    ) -> datetime:
        """Update an entry that still has this version, and return its new one.

        Raises:
            Conflict: Its version has changed. Other FirestoreErrors: see `firestore`.
        """
        batch = Batch(self._firestore)
        batch.update(self._paths.generation(id_), fields, version=version)
        return _version(await commit(batch, within_s))

    async def begin(self, id_: str, version: datetime) -> datetime:
        """Record that an entry no longer waits for others: see `update`."""
        fields = {EntryField.WAITS: DELETE_FIELD}
        return await self.update(id_, version, fields, within_s=self._limits.admit_s)

    async def write_stop(self, stored: StoredEntry, stop: Stop, *, within_s: float) -> None:
        """Write a stop to an entry, unless it has changed since it was read: see `update`."""
        document = {"at": SERVER_TIMESTAMP, **stop.to_document()}
        fields = {EntryField.STOP: document}
        await self.update(stored.id, stored.version, fields, within_s=within_s)

    # -- an admission and the end of it; these raise FirestoreError ----------------------------

    async def create(self, opening: Opening, *, instance: str) -> Created:
        """Create the entries and move their counters, in one commit.

        Raises:
            AlreadyExists: One of the entries exists, perhaps because this commit was sent twice.
        """
        batch = Batch(self._firestore)
        for admission in opening.admissions:
            document = admission.to_document(
                nonce=opening.nonce,
                instance=instance,
                windows=opening.windows,
                limits=self._limits,
            )
            batch.create(self._paths.generation(admission.id), document)
        self._move(batch, opening, times=+1)
        results = await commit(batch, self._limits.admit_s)
        return Created(_version(results), _totals(opening, results[len(opening.admissions) :]))

    async def take_back(self, opening: Opening, versions: Sequence[datetime]) -> list[int]:
        """Delete entries that were refused and move their counters back, in one commit.

        Returns:
            The new total of each counter.
        """
        batch = Batch(self._firestore)
        for admission, version in zip(opening.admissions, versions, strict=True):
            batch.delete(self._paths.generation(admission.id), version=version)
        self._move(batch, opening, times=-1)
        results = await commit(batch, self._limits.admit_s)
        return _totals(opening, results[len(opening.admissions) :])

    async def totals(self, uid: str, windows: Windows, counters: Sequence[Counter]) -> list[int]:
        """Return the current value of each of a user's counters."""
        homes = _homes(counters)
        references = [self._home(home, uid, windows) for home in homes]
        documents = dict(
            zip(homes, map(content, await get_all(self._firestore, references)), strict=True)
        )
        return [count_at(documents[counter.home], *counter.field) for counter in counters]

    async def ceiling_shards(self, windows: Windows) -> dict[int, Document]:
        """Return every document in which the month's spending of the whole app is counted."""
        found = await query(self._paths.ceiling_shards(windows.month))
        return {int(one.id): content(one) for one in found if one.id.isdecimal()}

    # -- places among a user's answers in progress ---------------------------------------------

    async def running_of(self, uid: str) -> list[StoredEntry]:
        """Return a user's running and waiting entries, at most `running_max`."""
        running = self._where(FieldFilter(EntryField.UID, "==", uid)).where(
            filter=FieldFilter(EntryField.STATUS, "==", RUNNING)
        )
        found = await query(running.limit(self._limits.running_max))
        return [StoredEntry.from_snapshot(snapshot) for snapshot in found]

    async def leases(self, instances: Collection[str]) -> dict[str, datetime]:
        """Return when the lease of each instance ends, for those that have one."""
        references = [self._paths.instance(instance) for instance in instances if instance]
        found = await get_all(self._firestore, references) if references else []
        ends = {snapshot.id: content(snapshot).get("aliveUntil") for snapshot in found}
        return {instance: end for instance, end in ends.items() if isinstance(end, datetime)}

    async def renew_lease(self, instance: str, *, now: datetime) -> None:
        """Record that an instance is alive."""
        alive_until = now + timedelta(seconds=self._limits.lease_s)
        document = {"aliveUntil": alive_until, EntryField.EXPIRE_AT: now + timedelta(days=1)}
        await put(self._paths.instance(instance), document, within_s=self._limits.note_s)

    async def free_place(self, stored: StoredEntry) -> bool:
        """Free the place of an entry whose instance is dead. Return whether this call did it."""
        batch = Batch(self._firestore)
        reference = self._paths.generation(stored.id)
        batch.update(reference, {EntryField.FREED: True}, version=stored.version)
        if stored.uid is not None:
            move = Move(frees_place=True)
            self._apply(batch, stored.uid, stored.windows, movements(stored.windows, move))
        return await _done(commit(batch, self._limits.admit_s), stored)

    async def end(
        self, held: Reservation, outcome: Outcome, *, now: datetime, within_s: float
    ) -> None:
        """End a running entry and free what it holds, in one commit."""
        cost = Cost(held.nano_usd, is_estimate=True)
        if outcome.cost_nano_usd is not None:
            cost = Cost(outcome.cost_nano_usd, outcome.cost_is_estimate)
        fields = outcome.to_fields()
        if outcome.result is not None and (ends := outcome.retention.result_ends(now)) is not None:
            fields[EntryField.RESULT_EXPIRE_AT] = ends
        await self._end(held, fields, cost, now, within_s)

    # -- for the reconciler --------------------------------------------------------------------
    # These raise LedgerUnavailable and FirestoreForbidden.

    async def overdue(
        self, now: datetime, limit: int, after: StoredEntry | None = None
    ) -> list[StoredEntry]:
        """Return running entries that no function can still be working on, oldest first.

        Args:
            now: The time.
            limit: How many at most.
            after: The entry after which they begin.
        """
        running = self._where(FieldFilter(EntryField.STATUS, "==", RUNNING))
        late = running.where(filter=FieldFilter(EntryField.DEADLINE_AT, "<=", now))
        ordered = late.order_by(EntryField.DEADLINE_AT)
        if after is not None:
            at = {EntryField.DEADLINE_AT: after.deadline_at, "__name__": after.id}
            ordered = ordered.order_by("__name__").start_after(at)
        return await self._find(ordered.limit(limit))

    async def cost_due(
        self, now: datetime, limit: int, after: StoredEntry | None = None
    ) -> list[StoredEntry]:
        """Return entries whose cost is due to be looked up, the longest overdue first.

        The arguments are those of `overdue`.
        """
        due = self._where(FieldFilter(EntryField.COST_DUE_AT, "<=", now))
        ordered = due.order_by(EntryField.COST_DUE_AT)
        if after is not None:
            at = {EntryField.COST_DUE_AT: after.cost_due_at, "__name__": after.id}
            ordered = ordered.order_by("__name__").start_after(at)
        return await self._find(ordered.limit(limit))

    async def count_cost_due(self) -> int:
        """Return how many entries wait for their cost to be looked up, now or later."""
        waiting = self._where(FieldFilter(EntryField.COST_DUE_AT, ">", epoch()))
        with translated(LedgerUnavailable, "ledger_away"):
            return await count(waiting)

    async def close(self, stored: StoredEntry, now: datetime) -> bool:
        """End an entry that no instance runs anymore. Return whether this call did it."""
        fields: Document = {
            EntryField.STATUS: "interrupted",
            EntryField.ERROR: Restarting.reason,
            EntryField.FINISH_REASON: None,
            EntryField.PROVIDER: None,
            EntryField.USAGE: {},
            EntryField.TIMING: {},
            EntryField.RESULT: None,
        }
        if stored.attempts and stored.attempts[-1].model:
            fields[EntryField.MODEL] = stored.attempts[-1].model
        cost = Cost(0, is_estimate=False)
        if not (stored.is_unclaimed or stored.waits):
            # the attempt that was cut off may have cost as much as was reserved
            known = cost_of_all(stored.attempts).nano_usd
            cost = Cost(known + stored.reserved_nano_usd, is_estimate=True)
        ending = self._end(stored.reservation, fields, cost, now, within_s=self._limits.admit_s)
        return await _done(ending, stored)

    async def correct(self, stored: StoredEntry, correction: Correction, now: datetime) -> bool:
        """Record what an entry really cost. Return whether this call did it."""
        cost, due_at = correction.cost, correction.due_at
        usage = dict(correction.usage)
        fields: Document = {
            EntryField.ATTEMPTS: attempt_documents(correction.attempts),
            EntryField.USAGE: usage,
            EntryField.COST: cost.nano_usd,
            EntryField.COST_IS_ESTIMATE: cost.is_estimate,
            EntryField.COST_DUE_AT: DELETE_FIELD if due_at is None else due_at,
            EntryField.RECONCILED_AT: now,
            EntryField.ROLL_DUE_AT: SERVER_TIMESTAMP,
        }
        if cost.is_estimate and due_at is None:
            fields[EntryField.COST_GIVEN_UP_AT] = now
        if stored.result is not None:
            fields[EntryField.RESULT_USAGE] = usage
        batch = Batch(self._firestore)
        batch.update(self._paths.generation(stored.id), fields, version=stored.version)
        held = stored.reservation
        move = Move(
            nano_usd=cost.nano_usd - stored.cost_nano_usd,
            tokens=_counted_tokens(held, usage) - _counted_tokens(held, stored.usage),
        )
        self._spend(batch, held, move)
        return await _done(commit(batch, self._limits.admit_s), stored)

    async def postpone(self, stored: StoredEntry, until: datetime) -> bool:
        """Have the cost looked up again at `until`. Return whether this call did it."""
        return await self._mark(stored, {EntryField.COST_DUE_AT: until})

    async def give_up(self, stored: StoredEntry, now: datetime) -> bool:
        """Make the estimate final. Return whether this call did it."""
        fields = {EntryField.COST_DUE_AT: DELETE_FIELD, EntryField.COST_GIVEN_UP_AT: now}
        return await self._mark(stored, fields)

    async def remove_results(self, now: datetime, limit: int) -> int:
        """Remove expired results of at most `limit` entries. Return of how many.

        If one of the entries changes in the meantime, nothing is removed: the next run does it.
        """
        old = self._where(FieldFilter(EntryField.RESULT_EXPIRE_AT, "<=", now))
        page = old.order_by(EntryField.RESULT_EXPIRE_AT).select([]).limit(limit)
        with translated(LedgerUnavailable, "ledger_away"):
            found = await query(page)
            batch = Batch(self._firestore)
            gone = {EntryField.RESULT: None, EntryField.RESULT_EXPIRE_AT: DELETE_FIELD}
            for snapshot in found:
                batch.update(snapshot.reference, gone, version=snapshot.update_time)
            if found:
                try:
                    await commit(batch, self._limits.admit_s)
                except Conflict:
                    return 0
        return len(found)

    # -- pieces --------------------------------------------------------------------------------

    def _where(self, filter_: FieldFilter) -> AsyncQuery:
        return self._paths.generations().where(filter=filter_)

    async def _find(self, query_: AsyncQuery) -> list[StoredEntry]:
        with translated(LedgerUnavailable, "ledger_away"):
            return [StoredEntry.from_snapshot(snapshot) for snapshot in await query(query_)]

    async def _mark(self, stored: StoredEntry, fields: Mapping[str, object]) -> bool:
        marking = self.update(stored.id, stored.version, fields, within_s=self._limits.admit_s)
        return await _done(marking, stored)

    async def _end(
        self,
        held: Reservation,
        how: Document,
        cost: Cost,
        now: datetime,
        within_s: float,
    ) -> None:
        fields: Document = {
            **how,
            EntryField.ENDED_AT: now,
            EntryField.COST: cost.nano_usd,
            EntryField.COST_IS_ESTIMATE: cost.is_estimate,
            EntryField.QUESTION: DELETE_FIELD,  # it is in its conversation
            EntryField.ROLL_DUE_AT: SERVER_TIMESTAMP,  # by the one clock that orders all entries
        }
        if cost.is_estimate:
            fields[EntryField.COST_DUE_AT] = now
        batch = Batch(self._firestore)
        batch.update(self._paths.generation(held.id), fields, version=held.version)
        move = Move(
            nano_usd=cost.nano_usd - held.nano_usd,
            tokens=_counted_tokens(held, how.get(EntryField.USAGE)) - held.tokens,
            frees_place=held.holds_place,
        )
        self._spend(batch, held, move)
        await commit(batch, within_s)

    def _move(self, batch: Batch, opening: Opening, *, times: int) -> None:
        """Move the counters of an admission, with one write per document."""
        moved = [(counter.home, counter.field, times * counter.by) for counter in opening.counters]
        removed = opening.windows.passed_minutes(self._limits.minutes_removed)
        self._apply(batch, opening.uid, opening.windows, moved, removed if times > 0 else ())

    def _spend(self, batch: Batch, held: Reservation, move: Move) -> None:
        """Move an entry's counters, in the windows in which it was admitted."""
        if held.uid is not None:
            self._apply(batch, held.uid, held.windows, movements(held.windows, move))

    def _apply(
        self,
        batch: Batch,
        uid: str,
        windows: Windows,
        moved: Sequence[tuple[Home, Field, int]],
        removed: Sequence[str] = (),
    ) -> None:
        for home in MOVED_HOMES:
            increments = {field: by for in_, field, by in moved if in_ == home}
            if not increments:
                continue
            fields: Document = {}
            if home != CONCURRENT:
                fields[EntryField.EXPIRE_AT] = self._window_expiry(windows.at)
            if home == "month" and removed:
                passed = dict.fromkeys(removed, DELETE_FIELD)
                fields[MINUTES] = passed
                if windows.feature is not None:
                    fields[FEATURES] = {windows.feature: {MINUTES: passed}}
            batch.increment(self._home(home, uid, windows), increments, fields)

    def _home(self, home: Home, uid: str, windows: Windows) -> AsyncDocumentReference:
        """Return the document of a group of counters."""
        if home == "project":
            return self._paths.ceiling_shard(windows.month, windows.shard)
        return self._paths.quota_window(uid, windows.month if home == "month" else CONCURRENT)

    def _window_expiry(self, admitted_at: datetime) -> datetime:
        return admitted_at + timedelta(days=self._limits.window_ttl_days)


def tokens_of(usage: object) -> int:
    """Return the total tokens in a result's usage."""
    count = usage.get("totalTokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and count > 0 else 0


def _counted_tokens(held: Reservation, usage: object) -> int:
    """Return how many of a result's tokens count for its user."""
    return tokens_of(usage) if held.counts_tokens else 0


def _homes(counters: Sequence[Counter]) -> list[Home]:
    used = {counter.home for counter in counters}
    return [home for home in MOVED_HOMES if home in used]


def _totals(opening: Opening, results: Sequence[WriteResult]) -> list[int]:
    """Return the counters' new totals: a write's results are in the order of its increments."""
    values = {
        home: iter(WriteResult.pb(result).transform_results)
        for home, result in zip(_homes(opening.counters), results, strict=True)
    }
    return [_total(next(values[counter.home])) for counter in opening.counters]


def _total(value: Value) -> int:
    """Return the new total of a counter, which has a fraction if it was typed by hand."""
    return counted(value.integer_value or value.double_value)


def _version(results: Sequence[WriteResult]) -> datetime:
    """Return the version of the documents that a commit wrote."""
    return cast("datetime", results[0].update_time)


async def _done(committing: Awaitable[object], stored: StoredEntry) -> bool:
    """Return whether this commit made the change."""
    with translated(LedgerUnavailable, "ledger_away"):
        try:
            await committing
        except Conflict:
            return False  # already applied, or done by another reconciler or the owner
        except NotStorable as error:
            log.error("entry_refused", generation=stored.id, type=error.cause)
            return False
    return True
