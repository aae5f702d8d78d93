"""The books: where the ledger's documents are, and the commits that end an entry and correct it.

    generations/{id}                                   the entry
    quotas/{uid}/windows/requests-{minute}             {count}
    quotas/{uid}/windows/requests-{start}-{feature}    {count}     where the feature has a cap
    quotas/{uid}/windows/concurrent                    {count}     no window: what runs now
    quotas/{uid}/windows/usd-{day}                     {nanoUsd}   reserved and spent

    running, past deadlineAt --close--> interrupted      what a killed instance left
    ended, costIsEstimate, costDueAt --correct--> costIsEstimate false, reconciledAt
                                     --postpone--> a later costDueAt
                                     --give up--> costGivenUpAt; the estimate stands

Both the task that owns a generation (`ledger`) and the one that tidies up (`reconcile`) write here.
Each commit is guarded by the version of the entry that it goes by: applied twice, or by two at
once, it moves no counter twice. Only estimates have a `costDueAt`, so that the index of what there
is to ask holds nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore import (
    DELETE_FIELD,
    AsyncClient,
    AsyncWriteBatch,
    FieldFilter,
    Increment,
)

from .. import limits, log
from ..errors import LedgerUnavailable, Restarting
from ..firestore import AWAY, GUARD_FAILED, NOT_STORABLE, commit, key_of


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an entry holds of its user's counters until it ends.

    uid: None where somebody has spoilt the document: then there is nothing to give back.
    version: the document's update time, the guard of the next commit.
    """

    id: str
    uid: str | None
    admitted_at: datetime
    reserved_nano_usd: int
    version: Any


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt, as the entry keeps it. reason: why it failed, None for the one that answered.

    purpose: of one that was asked beside the answer, for a title or a summary.
    """

    model: str | None
    upstream_id: str | None
    reason: str | None
    key_version: int | None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it was read."""

    held: Reservation
    status: str
    feature: str | None
    ended_at: datetime
    cost_nano_usd: int
    attempts: list[AttemptRecord] = field(default_factory=list)
    keeps_result: bool = False
    place: dict[str, Any] | None = None  # in a conversation, where its answer belongs
    question: dict[str, Any] | None = None  # that may not be written down there yet
    queued: bool = False  # for a task that never came: nothing was asked


class LedgerStore:
    """The entries and counters in Firestore. Make one an instance."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._firestore = firestore

    def generation(self, id_: str) -> Any:
        return self._firestore.collection("generations").document(id_)

    def window(self, uid: str, name: str) -> Any:
        return self._firestore.document("quotas", key_of(uid), "windows", name)

    async def end(
        self,
        held: Reservation,
        how: dict[str, Any],
        cost: int | None,
        now: datetime,
        within_s: float,
    ) -> None:
        """End a running entry and free what it holds, in one commit. Raises what `commit` raises.

        cost: in nano dollars; None, no word of it: what was reserved stands as the estimate.
        """
        spent = held.reserved_nano_usd if cost is None else cost
        end = {**how, "endedAt": now, "costNanoUsd": spent, "costIsEstimate": cost is None}
        end["question"] = DELETE_FIELD  # it is in its conversation
        if cost is None:
            end["costDueAt"] = now
        batch = self._firestore.batch()
        self._update(batch, held, end)
        if held.uid is not None:
            running = self.window(held.uid, "concurrent")
            batch.set(running, {"count": Increment(-1)}, merge=True)
        self._spend(batch, held, spent - held.reserved_nano_usd)
        await commit(batch, within_s)

    # -- what the reconciler finds, and what becomes of it; all raise LedgerUnavailable -----------

    async def overdue(self, now: datetime, most: int) -> list[StoredEntry]:
        """Entries that still run though no function can: the oldest first."""
        running = self._entries.where(filter=FieldFilter("status", "==", "running"))
        late = running.where(filter=FieldFilter("deadlineAt", "<=", now))
        return await self._read(late.order_by("deadlineAt").limit(most))

    async def due(self, now: datetime, most: int) -> list[StoredEntry]:
        """Entries whose cost is to be asked for: the one that waits longest first."""
        due = self._entries.where(filter=FieldFilter("costDueAt", "<=", now))
        return await self._read(due.order_by("costDueAt").limit(most))

    async def waiting(self) -> int:
        """How many entries there are whose cost is still asked for, now or later."""
        ever = datetime.fromtimestamp(0, UTC)
        sought = self._entries.where(filter=FieldFilter("costDueAt", ">", ever))
        try:
            ((counted,),) = await sought.count().get(retry=None, timeout=limits.READ_S)
        except AWAY as error:
            raise _unavailable(error) from None
        return int(counted.value)

    async def close(self, stored: StoredEntry, now: datetime) -> bool:
        """End what nobody runs any more. Whether it was still to be ended."""
        how: dict[str, Any] = {
            "status": "interrupted",
            "error": Restarting.reason,
            "finishReason": None,
            "provider": None,
            "usage": {},
            "timing": {},
            "result": None,
        }
        if stored.attempts and stored.attempts[-1].model:
            how["model"] = stored.attempts[-1].model
        cost = 0 if stored.queued else None
        return await _guarded(self.end(stored.held, how, cost, now, limits.ADMIT_S), stored)

    async def correct(
        self, stored: StoredEntry, usage: dict[str, Any], cost: int, now: datetime
    ) -> bool:
        """Enter what it really cost, in nano dollars. usage: as a result has it."""
        corrected = {
            "usage": usage,
            "costNanoUsd": cost,
            "costIsEstimate": False,
            "costDueAt": DELETE_FIELD,
            "reconciledAt": now,
        }
        if stored.keeps_result:
            corrected["result.usage"] = usage
        batch = self._firestore.batch()
        self._update(batch, stored.held, corrected)
        self._spend(batch, stored.held, cost - stored.cost_nano_usd)
        return await _guarded(commit(batch, limits.ADMIT_S), stored)

    async def postpone(self, stored: StoredEntry, until: datetime) -> bool:
        """Ask again then."""
        return await self._note(stored, {"costDueAt": until})

    async def give_up(self, stored: StoredEntry, now: datetime) -> bool:
        """Ask no more: the estimate stands."""
        return await self._note(stored, {"costDueAt": DELETE_FIELD, "costGivenUpAt": now})

    # -- pieces --------------------------------------------------------------------------------

    @property
    def _entries(self) -> Any:
        return self._firestore.collection("generations")

    async def _read(self, query: Any) -> list[StoredEntry]:
        try:
            found = await query.get(retry=None, timeout=limits.READ_S)
        except AWAY as error:
            raise _unavailable(error) from None
        return [_stored(snapshot) for snapshot in found]

    async def _note(self, stored: StoredEntry, fields: dict[str, Any]) -> bool:
        batch = self._firestore.batch()
        self._update(batch, stored.held, fields)
        return await _guarded(commit(batch, limits.ADMIT_S), stored)

    def _update(self, batch: AsyncWriteBatch, held: Reservation, fields: dict[str, Any]) -> None:
        guard = self._firestore.write_option(last_update_time=held.version)
        batch.update(self.generation(held.id), fields, option=guard)

    def _spend(self, batch: AsyncWriteBatch, held: Reservation, nano_usd: int) -> None:
        """Move the counter of the day it was admitted in, which this may be the first to write."""
        if nano_usd and held.uid is not None:
            expires = held.admitted_at + timedelta(days=limits.WINDOW_TTL_DAYS)
            moved = {"nanoUsd": Increment(nano_usd), "expireAt": expires}
            batch.set(self.window(held.uid, day_window(held.admitted_at)), moved, merge=True)


def day_window(at: datetime) -> str:
    """The name of the counter of what is spent in a day."""
    return f"usd-{at:%Y%m%d}"


async def _guarded(committing: Any, stored: StoredEntry) -> bool:
    """Whether this commit was the one that did it."""
    try:
        await committing
    except GUARD_FAILED:
        return False  # by its own first sending, by the other reconciler, or by the owner
    except NOT_STORABLE as error:
        log.error("entry_refused", generation=stored.held.id, type=type(error).__name__)
        return False
    except AWAY as error:
        raise _unavailable(error) from None
    return True


def _unavailable(error: BaseException) -> LedgerUnavailable:
    log.error("ledger_away", type=type(error).__name__)
    return LedgerUnavailable()


def _stored(snapshot: Any) -> StoredEntry:
    """Whatever is odd in a document is left out: one that is spoilt is ended as well."""
    document = snapshot.to_dict() or {}
    uid, feature, attempts = (document.get(name) for name in ("uid", "feature", "attempts"))
    admitted_at = _time(document.get("createdAt")) or snapshot.create_time
    return StoredEntry(
        held=Reservation(
            id=snapshot.id,
            uid=uid if isinstance(uid, str) and uid else None,
            admitted_at=admitted_at,
            reserved_nano_usd=_whole(document.get("reservedNanoUsd")) or 0,
            version=snapshot.update_time,
        ),
        status=str(document.get("status")),
        feature=feature if isinstance(feature, str) else None,
        ended_at=_time(document.get("endedAt")) or admitted_at,
        cost_nano_usd=_whole(document.get("costNanoUsd")) or 0,
        attempts=[_tried(attempt) for attempt in attempts] if isinstance(attempts, list) else [],
        keeps_result=isinstance(document.get("result"), dict),
        place=place if isinstance(place := document.get("place"), dict) else None,
        question=asked if isinstance(asked := document.get("question"), dict) else None,
        queued=document.get("continues") is True and not document.get("instance"),
    )


def _tried(attempt: Any) -> AttemptRecord:
    of = attempt if isinstance(attempt, dict) else {}
    model, id_, reason, purpose = (
        value if isinstance(value := of.get(name), str) and value else None
        for name in ("model", "upstreamId", "reason", "purpose")
    )
    return AttemptRecord(model, id_, reason, _whole(of.get("keyVersion")), purpose)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None
