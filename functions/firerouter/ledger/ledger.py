"""The ledger: every generation is a document before OpenRouter is called, settled once after it.

    (none) --admit--> running --settle--> done | stopped | failed | interrupted
       \\--refused: nothing kept, counters given back

Where the entries and the counters are, and what the reconciler does to them, `books` says.

`admit` is one commit: it creates the entry and moves the counters, whose new values the commit
returns, so that a cap needs neither a read nor a transaction and parallel calls can not pass it.

A commit may be sent again by the client library and so be applied twice. Hence each one that moves
a counter carries a guard in the same batch: the entry created (admit), deleted at a known version
(give back) or updated at a known version (settle). The second time the guard fails, and nothing
moves. The entry's nonce tells a second `admit` that the entry it finds is its own.

A note of the attempts moves none and is guarded all the same: it hands its version on to `settle`,
and noted after the reconciler had closed the entry that would let it be ended once more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from google.cloud.firestore import AsyncClient, AsyncWriteBatch, Increment

from .. import limits, log
from ..errors import AlreadyRunning, LedgerUnavailable, RequestIdReused, ResultNotKept
from ..firestore import AWAY, GUARD_FAILED, NOT_STORABLE, AlreadyExists, commit
from .caps import FeatureLimits, UserLimits
from .quotas import Counter, counters, refusal
from .store import LedgerStore, Reservation

Status = Literal["done", "stopped", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Admission:
    """What is asked of `admit`.

    limits, feature_limits: what the user may do, in the app and with this feature.
    reserve_nano_usd: 0 for a free model. test: an admin tries settings that nobody has saved.
    """

    id: str
    uid: str
    feature: str
    revision: int
    model: str
    payload: str
    limits: UserLimits
    reserve_nano_usd: int = 0
    request_id: str | None = None
    feature_limits: FeatureLimits = field(default_factory=FeatureLimits)
    test: bool = False
    place: dict[str, Any] | None = None  # where its answer is written down
    question: dict[str, Any] | None = None  # to be written down there, until it has ended
    continues: bool = False  # it needs no listener: nobody's, until a task claims it
    streams: bool = True  # what is written is sent as it comes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation ended. cost_nano_usd None: OpenRouter did not say, the estimate stands."""

    status: Status
    model: str
    provider: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    cost_nano_usd: int | None = None
    timing: dict[str, Any] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None  # kept for a repetition of the same request


@dataclass(slots=True)
class Entry:
    """An admitted generation, in the hands of the task that owns it."""

    admission: Admission
    nonce: str
    admitted_at: datetime
    version: Any = None  # the document's update time, the guard of the next commit
    attempts: list[dict[str, Any]] = field(default_factory=list)
    note_due: asyncio.TimerHandle | None = None
    noting: asyncio.Task[None] | None = None

    @property
    def counters(self) -> list[Counter]:
        """Those that its admission moves."""
        asked = self.admission
        return counters(
            asked.limits,
            asked.feature,
            asked.feature_limits,
            self.admitted_at,
            asked.reserve_nano_usd,
        )

    @property
    def held(self) -> Reservation:
        """What it holds of the user's counters."""
        asked = self.admission
        reserved = asked.reserve_nano_usd
        return Reservation(asked.id, asked.uid, self.admitted_at, reserved, self.version)


class Ledger:
    """Keeps the entries and counters in Firestore. Make one an instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        instance: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """instance: its id, under which a stop finds what runs here."""
        self._firestore = firestore
        self._instance = instance
        self._books = LedgerStore(firestore)
        self._now = now
        self._background: set[asyncio.Task[Any]] = set()

    async def admit(self, admission: Admission) -> Entry | dict[str, Any]:
        """Enter a generation; or the stored result of the same request, answered before.

        Raises QuotaExceeded, AlreadyRunning, RequestIdReused, ResultNotKept, LedgerUnavailable.
        """
        entry = Entry(admission, secrets.token_hex(8), self._now())
        batch = self._firestore.batch()
        batch.create(self._generation(admission.id), _document(entry, self._instance))
        moved = self._count(batch, entry, +1)
        try:
            results = await commit(batch, limits.ADMIT_S)
            entry.version = results[0].update_time
            # each counter's write has one transform: its increment, and so its new value
            totals = [result.transform_results[0].integer_value for result in results[1:]]
        except AlreadyExists:
            stored = await self._existing(entry)
            if stored is not None:
                return stored
            totals = await self._totals(entry, moved)  # our own commit, applied twice
        except AWAY as error:
            log.error("admit_failed", type=type(error).__name__)
            self._later(self._undo(entry))  # it may have been applied for all that we know
            raise LedgerUnavailable from None
        refused = refusal(moved, totals, self._now())
        if refused is not None:
            await self._give_back(entry)
            raise refused
        return entry

    def note(self, entry: Entry, attempts: list[dict[str, Any]]) -> None:
        """Write down the attempts, off the caller's path: a reconciler asks by their ids.

        A moment later, and not at all when the entry is settled by then, which writes them too.
        """
        entry.attempts = attempts
        if entry.note_due is None:
            loop = asyncio.get_running_loop()
            entry.note_due = loop.call_later(limits.NOTE_AFTER_S, self._start_note, entry)

    async def settle(self, entry: Entry, outcome: Outcome) -> None:
        """End the entry and free its reservation, once. Waits no longer than a result should.

        What Firestore does not take in that time is tried on in the background.
        """
        task = self._later(self._settle(entry, outcome))
        await asyncio.wait({task}, timeout=limits.SETTLE_BEFORE_RESULT_S)

    async def drain(self) -> None:
        """Wait for what is still being written."""
        while self._background:
            await asyncio.wait(self._background)

    # -- the commits ---------------------------------------------------------------------------

    def _count(self, batch: AsyncWriteBatch, entry: Entry, times: int) -> list[Counter]:
        """Move the counters of an admission so many times."""
        expires = entry.admitted_at + timedelta(days=limits.WINDOW_TTL_DAYS)
        for counter in (moved := entry.counters):
            values: dict[str, Any] = {counter.field: Increment(times * counter.by)}
            if counter.ends is not None:
                values["expireAt"] = expires
            batch.set(self._window(entry, counter.window), values, merge=True)
        return moved

    async def _give_back(self, entry: Entry) -> None:
        batch = self._firestore.batch()
        guard = self._firestore.write_option(last_update_time=entry.version)
        batch.delete(self._generation(entry.admission.id), option=guard)
        self._count(batch, entry, -1)
        try:
            await commit(batch, limits.ADMIT_S)
        except GUARD_FAILED:
            if not await self._ended(entry):  # else applied before
                await self._give_back(entry)  # somebody wrote a stop on it
        except AWAY as error:
            log.error("give_back_failed", type=type(error).__name__)
            self._later(self._undo(entry))

    async def _undo(self, entry: Entry) -> None:
        """Give back an admission of which it is not known whether it was made.

        What lands after the last look is left to the reconciler.
        """
        for pause_s in (0.5, 2.0, 8.0):
            await asyncio.sleep(pause_s)
            try:
                snapshot = await self._read(entry.admission.id)
            except AWAY:
                continue
            document = snapshot.to_dict() or {}
            if document.get("nonce") == entry.nonce and document.get("status") == "running":
                entry.version = snapshot.update_time
                await self._give_back(entry)
                return
            # not there: the commit may yet land

    def _start_note(self, entry: Entry) -> None:
        entry.note_due = None
        entry.noting = self._later(self._note(entry, entry.noting))

    async def _note(self, entry: Entry, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        batch = self._firestore.batch()
        guard = self._firestore.write_option(last_update_time=entry.version)
        noted = {"attempts": entry.attempts}
        batch.update(self._generation(entry.admission.id), noted, option=guard)
        try:
            results = await commit(batch, limits.READ_S)
        except GUARD_FAILED:
            await self._ended(entry)  # noted by this commit's first sending, or nobody's any more
        except AWAY as error:
            log.warning("note_failed", type=type(error).__name__)
        else:
            entry.version = results[0].update_time

    async def _settle(self, entry: Entry, outcome: Outcome) -> None:
        if entry.note_due is not None:
            entry.note_due.cancel()
        if entry.noting is not None:
            await asyncio.wait({entry.noting})
        kept = outcome.result
        deadline = asyncio.get_running_loop().time() + limits.SETTLE_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                await self._commit_end(entry, outcome, kept)
                return
            except NOT_STORABLE as error:
                if kept is None:
                    log.error("settle_refused", type=type(error).__name__)
                    break
                kept = None  # the books come before the keepsake
            except GUARD_FAILED:
                if await self._ended(entry):
                    return  # before: by this commit's first sending, or by the reconciler
            except AWAY as error:
                log.warning("settle_delayed", type=type(error).__name__)
                await asyncio.sleep(0.5)
        log.error("settle_failed", generation=entry.admission.id)  # left to the reconciler

    async def _commit_end(
        self, entry: Entry, outcome: Outcome, kept: dict[str, Any] | None
    ) -> None:
        how = {
            "status": outcome.status,
            "model": outcome.model,
            "provider": outcome.provider,
            "finishReason": outcome.finish_reason,
            "error": outcome.error,
            "usage": outcome.usage,
            "timing": outcome.timing,
            "attempts": outcome.attempts,
            "result": kept,
        }
        cost = outcome.cost_nano_usd
        await self._books.end(entry.held, how, cost, self._now(), limits.SETTLE_S)

    # -- reading -------------------------------------------------------------------------------

    async def _existing(self, entry: Entry) -> dict[str, Any] | None:
        """The stored result of the entry that is there already; None when it is our own."""
        try:
            snapshot = await self._read(entry.admission.id)
        except AWAY:
            raise LedgerUnavailable from None
        if not snapshot.exists:  # refused, and given back just now: asking again is worth it
            raise AlreadyRunning(retry_after_seconds=1)
        document = snapshot.to_dict() or {}
        if document.get("nonce") == entry.nonce:
            entry.version = snapshot.update_time
            return None
        if document.get("payload") != entry.admission.payload:
            raise RequestIdReused
        if document.get("status") == "running":
            raise AlreadyRunning(retry_after_seconds=2, generationId=entry.admission.id)
        result = document.get("result")
        if not isinstance(result, dict):
            raise ResultNotKept(previousStatus=document.get("status"))
        return result

    async def _ended(self, entry: Entry) -> bool:
        """Whether the entry has ended or gone; if not, its version is taken anew.

        Never that of an end: it is the guard against a second one.
        """
        try:
            snapshot = await self._read(entry.admission.id)
        except AWAY:
            return False
        document = snapshot.to_dict() or {}
        if document.get("status") != "running" or document.get("nonce") != entry.nonce:
            return True
        entry.version = snapshot.update_time
        return False

    async def _totals(self, entry: Entry, moved: list[Counter]) -> list[int]:
        totals: list[int] = []
        for counter in moved:
            reference = self._window(entry, counter.window)
            try:
                snapshot = await reference.get(retry=None, timeout=limits.READ_S)
            except AWAY:
                self._later(self._undo(entry))
                raise LedgerUnavailable from None
            totals.append((snapshot.to_dict() or {}).get(counter.field, 0))
        return totals

    async def _read(self, id_: str) -> Any:
        return await self._generation(id_).get(retry=None, timeout=limits.READ_S)

    def _generation(self, id_: str) -> Any:
        return self._books.generation(id_)

    def _window(self, entry: Entry, name: str) -> Any:
        return self._books.window(entry.admission.uid, name)

    def _later(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._background.add(task)  # the event loop itself holds tasks weakly
        task.add_done_callback(self._background.discard)
        return task


def deadline(begins: datetime) -> datetime:
    """When an instance that began it then can not run it any more."""
    return begins + timedelta(seconds=limits.TOTAL_S + limits.SETTLE_S)


def _document(entry: Entry, instance: str) -> dict[str, Any]:
    admission, now = entry.admission, entry.admitted_at
    late = now + timedelta(seconds=limits.QUEUED_MAX_S) if admission.continues else deadline(now)
    return {
        "uid": admission.uid,
        "requestId": admission.request_id,
        "payload": admission.payload,
        "nonce": entry.nonce,
        "instance": "" if admission.continues else instance,
        "feature": admission.feature,
        "revision": admission.revision,
        "model": admission.model,
        "status": "running",
        "createdAt": now,
        "deadlineAt": late,
        "expireAt": now + timedelta(days=limits.GENERATION_TTL_DAYS),
        "reservedNanoUsd": admission.reserve_nano_usd,
        "attempts": [],
        "test": admission.test,
        "place": admission.place,
        **({"question": admission.question} if admission.question else {}),
        **({"continues": True} if admission.continues else {}),
        **({} if admission.streams else {"streams": False}),
    }
