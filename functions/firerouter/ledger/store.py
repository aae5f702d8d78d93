"""The ledger's documents: all reads and commits of entries and of the counters that they move.

    generations/{id}                                   the entry (`entry`)
    quotas/{user}/windows/requests-{minute}            {count}
    quotas/{user}/windows/requests-{start}-{feature}   {count}     if the feature has a cap
    quotas/{user}/windows/concurrent                   {count}     not a window: what is running now
    quotas/{user}/windows/usd-{day}                    {nanoUsd}   reserved and spent

    running, past deadlineAt --close--> interrupted    what a killed instance left behind
    ended, costIsEstimate, costDueAt --correct--> costIsEstimate false, reconciledAt
                                     --postpone--> a later costDueAt
                                     --give up--> costGivenUpAt; the estimate stands

This is used by the task that owns a generation (`ledger`), by the reconciler, and by `delivery`,
which stops, follows or claims a generation of another instance. Each commit is guarded by the
version of the entry that it is based on, so no counter is moved twice, even if a commit is applied
twice or two are made at once. Only estimates have a `costDueAt`, so its index contains only the
entries whose cost is still to be requested.
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
    AsyncQuery,
    AsyncWriteBatch,
    FieldFilter,
    Increment,
    LastUpdateOption,
)
from google.cloud.firestore_v1.types import WriteResult

from .. import log
from ..errors import LedgerUnavailable, Restarting
from ..firestore import (
    Conflict,
    Document,
    NotStorable,
    Paths,
    commit,
    content,
    count,
    get,
    get_all,
    mapped,
    query,
    translated,
)
from .entry import RUNNING, Admission, EntryField, Outcome, Reservation, Stop, StoredEntry, epoch
from .limits import LedgerLimits
from .quotas import COUNT, NANO_USD, RUNNING_WINDOW, Counter, day_window


@dataclass(frozen=True, slots=True)
class Created:
    """A created entry: its version, and the new total of each counter that was moved."""

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
            fields: The fields to read, because an entry may have a long result; all by default.
        """
        snapshot = await get(self._paths.generation(id_), fields=fields)
        return StoredEntry.from_snapshot(snapshot) if snapshot.exists else None

    async def read_all(self, ids: Iterable[str], fields: Collection[str]) -> list[StoredEntry]:
        """Return those of several entries that exist, with only these fields."""
        references = [self._paths.generation(id_) for id_ in ids]
        found = await get_all(self._firestore, references, fields=fields)
        return [StoredEntry.from_snapshot(snapshot) for snapshot in found if snapshot.exists]

    async def update(
        self, id_: str, version: datetime, fields: Mapping[str, object], *, within_s: float
    ) -> datetime:
        """Update an entry that still has this version, and return its new one.

        Raises:
            Conflict: Its version has changed. Other FirestoreErrors: see `firestore`.
        """
        batch = self._firestore.batch()
        self._update(batch, id_, version, fields)
        return _version(await commit(batch, within_s))

    async def write_stop(self, stored: StoredEntry, stop: Stop, *, within_s: float) -> None:
        """Write a stop to an entry, unless it has changed since it was read: see `update`."""
        document = {"at": SERVER_TIMESTAMP, **stop.to_document()}
        fields = {EntryField.STOP: document}
        await self.update(stored.id, stored.version, fields, within_s=within_s)

    # -- an admission and the end of it; these raise FirestoreError ----------------------------

    async def create(
        self,
        admission: Admission,
        counters: Sequence[Counter],
        *,
        nonce: str,
        instance: str,
        now: datetime,
    ) -> Created:
        """Create an entry and move its counters, in one commit.

        Raises:
            AlreadyExists: There is an entry with this id, perhaps from this same commit.
        """
        batch = self._firestore.batch()
        document = admission.to_document(
            nonce=nonce, instance=instance, now=now, limits=self._limits
        )
        with mapped():
            batch.create(self._paths.generation(admission.id), document)
        self._move(batch, admission.uid, counters, now, times=+1)
        results = await commit(batch, self._limits.admit_s)
        # each counter's write has one transform: its increment, which returns the new total
        totals = [result.transform_results[0].integer_value for result in results[1:]]
        return Created(_version(results), totals)

    async def take_back(
        self,
        admission: Admission,
        counters: Sequence[Counter],
        *,
        version: datetime,
        admitted_at: datetime,
    ) -> None:
        """Delete an entry that was refused and move its counters back, in one commit."""
        batch = self._firestore.batch()
        guard = LastUpdateOption(version)
        batch.delete(self._paths.generation(admission.id), option=guard)
        self._move(batch, admission.uid, counters, admitted_at, times=-1)
        await commit(batch, self._limits.admit_s)

    async def totals(self, uid: str, counters: Sequence[Counter]) -> list[int]:
        """Return the current value of each counter."""
        references = [self._paths.quota_window(uid, counter.window) for counter in counters]
        documents = map(content, await get_all(self._firestore, references))
        values = [
            document.get(counter.field)
            for document, counter in zip(documents, counters, strict=True)
        ]
        return [value if isinstance(value, int) else 0 for value in values]

    async def end(
        self, held: Reservation, outcome: Outcome, *, now: datetime, within_s: float
    ) -> None:
        """End a running entry and free its reservation, in one commit."""
        await self._end(held, outcome.to_fields(), outcome.cost_nano_usd, now, within_s)

    # -- for the reconciler --------------------------------------------------------------------
    # These raise LedgerUnavailable and FirestoreForbidden.

    async def overdue(self, now: datetime, limit: int) -> list[StoredEntry]:
        """Return running entries that no function can still be working on, the oldest first."""
        running = self._where(FieldFilter(EntryField.STATUS, "==", RUNNING))
        late = running.where(filter=FieldFilter(EntryField.DEADLINE_AT, "<=", now))
        return await self._find(late.order_by(EntryField.DEADLINE_AT).limit(limit))

    async def cost_due(self, now: datetime, limit: int) -> list[StoredEntry]:
        """Return entries whose cost is due to be requested, the longest overdue first."""
        due = self._where(FieldFilter(EntryField.COST_DUE_AT, "<=", now))
        return await self._find(due.order_by(EntryField.COST_DUE_AT).limit(limit))

    async def count_cost_due(self) -> int:
        """Return how many entries wait for their cost, whether it is due now or later."""
        waiting = self._where(FieldFilter(EntryField.COST_DUE_AT, ">", epoch()))
        with translated(LedgerUnavailable, "ledger_away"):
            return await count(waiting)

    async def close(self, stored: StoredEntry, now: datetime) -> bool:
        """End an entry that no instance is running anymore. Return whether this call did it."""
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
        cost_nano_usd = 0 if stored.is_unclaimed else None
        ending = self._end(
            stored.reservation, fields, cost_nano_usd, now, within_s=self._limits.admit_s
        )
        return await _done(ending, stored)

    async def correct(
        self, stored: StoredEntry, usage: Mapping[str, object], cost_nano_usd: int, now: datetime
    ) -> bool:
        """Record what an entry really cost. Return whether this call did it.

        Args:
            stored: The entry.
            usage: The usage that OpenRouter reports, as in a result.
            cost_nano_usd: What OpenRouter charged.
            now: The time of the correction.
        """
        fields: Document = {
            EntryField.USAGE: dict(usage),
            EntryField.COST: cost_nano_usd,
            EntryField.COST_IS_ESTIMATE: False,
            EntryField.COST_DUE_AT: DELETE_FIELD,
            EntryField.RECONCILED_AT: now,
        }
        if stored.result is not None:
            fields[EntryField.RESULT_USAGE] = dict(usage)
        batch = self._firestore.batch()
        self._update(batch, stored.id, stored.version, fields)
        self._spend(batch, stored.reservation, cost_nano_usd - stored.cost_nano_usd)
        return await _done(commit(batch, self._limits.admit_s), stored)

    async def postpone(self, stored: StoredEntry, until: datetime) -> bool:
        """Have the cost requested again at `until`. Return whether this call did it."""
        return await self._mark(stored, {EntryField.COST_DUE_AT: until})

    async def give_up(self, stored: StoredEntry, now: datetime) -> bool:
        """Make the estimate final. Return whether this call did it."""
        fields = {EntryField.COST_DUE_AT: DELETE_FIELD, EntryField.COST_GIVEN_UP_AT: now}
        return await self._mark(stored, fields)

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
        cost_nano_usd: int | None,
        now: datetime,
        within_s: float,
    ) -> None:
        spent = held.nano_usd if cost_nano_usd is None else cost_nano_usd
        fields: Document = {
            **how,
            EntryField.ENDED_AT: now,
            EntryField.COST: spent,
            EntryField.COST_IS_ESTIMATE: cost_nano_usd is None,
            EntryField.QUESTION: DELETE_FIELD,  # it is stored in its conversation
        }
        if cost_nano_usd is None:
            fields[EntryField.COST_DUE_AT] = now
        batch = self._firestore.batch()
        self._update(batch, held.id, held.version, fields)
        if held.uid is not None:
            running = self._paths.quota_window(held.uid, RUNNING_WINDOW)
            batch.set(running, {COUNT: Increment(-1)}, merge=True)
        self._spend(batch, held, spent - held.nano_usd)
        await commit(batch, within_s)

    def _update(
        self, batch: AsyncWriteBatch, id_: str, version: datetime, fields: Mapping[str, object]
    ) -> None:
        guard = LastUpdateOption(version)
        with mapped():  # a value that can't be stored is refused here, before the commit
            batch.update(self._paths.generation(id_), dict(fields), option=guard)

    def _move(
        self,
        batch: AsyncWriteBatch,
        uid: str,
        counters: Sequence[Counter],
        admitted_at: datetime,
        *,
        times: int,
    ) -> None:
        for counter in counters:
            values: Document = {counter.field: Increment(times * counter.by)}
            if counter.ends is not None:
                values[EntryField.EXPIRE_AT] = self._window_expiry(admitted_at)
            batch.set(self._paths.quota_window(uid, counter.window), values, merge=True)

    def _spend(self, batch: AsyncWriteBatch, held: Reservation, nano_usd: int) -> None:
        """Move the spending counter of the day of admission, which may not exist yet."""
        if nano_usd and held.uid is not None:
            expires = self._window_expiry(held.admitted_at)
            moved = {NANO_USD: Increment(nano_usd), EntryField.EXPIRE_AT: expires}
            window = self._paths.quota_window(held.uid, day_window(held.admitted_at))
            batch.set(window, moved, merge=True)

    def _window_expiry(self, admitted_at: datetime) -> datetime:
        return admitted_at + timedelta(days=self._limits.window_ttl_days)


def _version(results: Sequence[WriteResult]) -> datetime:
    """Return the new version of the first document of a commit."""
    return cast("datetime", results[0].update_time)


async def _done(committing: Awaitable[object], stored: StoredEntry) -> bool:
    """Return whether this commit was the one that made the change."""
    with translated(LedgerUnavailable, "ledger_away"):
        try:
            await committing
        except Conflict:
            return False  # already applied, or done by another reconciler or the owner
        except NotStorable as error:
            log.error("entry_refused", generation=stored.id, type=error.cause)
            return False
    return True
