"""The ledger: every generation gets an entry before OpenRouter is called, settled once after.

    (none) --admit--> running --settle--> done | stopped | failed | interrupted
       \\--refused: the entry is deleted, and the counters are moved back

`entry` documents the fields of an entry, `store` the paths and what the reconciler does.

`admit` is one commit: it creates the entry and moves the counters. The commit returns their new
totals, so a cap requires neither a read nor a transaction, and parallel calls can't exceed it.

The client library may send a commit twice, and both may be applied. So each commit that moves a
counter has a guard in the same batch: the entry is created (admit), deleted at a known version
(give back) or updated at a known version (settle). The second time, the guard fails, and nothing is
moved. The entry's nonce shows a second `admit` that the entry it finds is its own.

A note of the attempts moves no counter but is guarded as well. Its version is the one that `settle`
uses, so an unguarded note, written after the reconciler closed the entry, would let it end twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .. import log
from ..background import BackgroundTasks
from ..errors import AlreadyRunning, LedgerUnavailable, RequestIdReused, ResultNotKept
from ..firestore import (
    AlreadyExists,
    Conflict,
    Document,
    FirestoreError,
    Forbidden,
    NotStorable,
    Unavailable,
    translated,
)
from .caps import Caps
from .entry import (
    Admission,
    AttemptRecord,
    EntryField,
    EntryState,
    OpenEntry,
    Outcome,
    attempt_documents,
)
from .limits import LedgerLimits
from .quotas import Counter, counters, refusal
from .store import LedgerStore


@dataclass(frozen=True, slots=True)
class Admitted:
    """A new generation, which the caller owns from now on."""

    entry: OpenEntry


@dataclass(frozen=True, slots=True)
class Answered:
    """The stored result of the same request, which was answered before."""

    result: Document


@dataclass(frozen=True, slots=True)
class _Opening:
    """An admission in progress: what its commit writes, and so what undoing it takes."""

    admission: Admission
    nonce: str
    at: datetime
    counters: Sequence[Counter]

    def entry(self, version: datetime) -> OpenEntry:
        return OpenEntry(self.admission, self.nonce, self.at, EntryState(version))


class Ledger:
    """Admits generations, notes their attempts, and settles them. One per instance."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        background: BackgroundTasks,
        instance: str = "",
        limits: LedgerLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make the ledger of an instance.

        Args:
            store: The entries and counters.
            background: Runs work that continues after the response.
            instance: This instance's id, by which stops find the generations that run here.
            limits: How long each step may take.
            now: The clock.
        """
        self._store = store
        self._background = background
        self._instance = instance
        self._limits = limits or LedgerLimits()
        self._now = now

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered:
        """Record a generation and count it, unless the same request was answered before.

        Raises:
            QuotaExceeded: A cap has no room for it.
            AlreadyRunning: The same request is being answered on another instance.
            RequestIdReused: A different request has this id.
            ResultNotKept: The same request has ended, and its result is not stored.
            LedgerUnavailable: Firestore did not answer, so nothing may be sent to OpenRouter.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        now = self._now()
        moved = counters(
            caps,
            feature=admission.feature.id,
            reserve_nano_usd=admission.reserve_nano_usd,
            now=now,
        )
        opening = _Opening(admission, secrets.token_hex(8), now, moved)
        with translated(LedgerUnavailable, "admit_failed"):
            try:
                opened = await self._open(opening)
            except Unavailable:
                self._background.start(self._undo(opening))  # the commit may have been applied
                raise
        if isinstance(opened, Answered):
            return opened
        entry, totals = opened
        refused = refusal(moved, totals, self._now())
        if refused is not None:
            await self._give_back(opening, entry.state.version)
            raise refused
        return Admitted(entry)

    def note(self, entry: OpenEntry, attempts: Sequence[AttemptRecord]) -> None:
        """Record the attempts in the background: the reconciler requests costs by their ids.

        This happens a moment later. If the entry is settled by then, that records them instead.
        """
        state = entry.state
        state.attempts = tuple(attempts)
        if state.note_timer is None:
            loop = asyncio.get_running_loop()
            state.note_timer = loop.call_later(self._limits.note_after_s, self._start_note, entry)

    async def settle(self, entry: OpenEntry, outcome: Outcome) -> None:
        """End the entry and free its reservation, once.

        This does not delay a result for long: if Firestore takes longer, settling continues in the
        background.
        """
        settling = self._background.start(self._settle(entry, outcome))
        await asyncio.wait({settling}, timeout=self._limits.settle_before_result_s)

    # -- admission -----------------------------------------------------------------------------

    async def _open(self, opening: _Opening) -> tuple[OpenEntry, Sequence[int]] | Answered:
        """Create the entry, and return it with the new totals of its counters."""
        admission = opening.admission
        try:
            created = await self._store.create(
                admission,
                opening.counters,
                nonce=opening.nonce,
                instance=self._instance,
                now=opening.at,
            )
        except AlreadyExists:
            found = await self._find_existing(opening)
            if isinstance(found, Answered):
                return found
            # our own commit, applied twice
            return found, await self._store.totals(admission.uid, opening.counters)
        return opening.entry(created.version), created.totals

    async def _find_existing(self, opening: _Opening) -> OpenEntry | Answered:
        """Return what it means for this request that its entry already exists."""
        admission = opening.admission
        stored = await self._store.read(admission.id)
        if stored is None:  # it was refused and deleted just now, so a retry may be admitted
            raise AlreadyRunning(retry_after_seconds=1)
        if stored.nonce == opening.nonce:
            return opening.entry(stored.version)
        if stored.payload != admission.request.payload:
            raise RequestIdReused
        if stored.is_running:
            raise AlreadyRunning(retry_after_seconds=2, generationId=admission.id)
        if stored.result is None:
            raise ResultNotKept(previousStatus=stored.status)
        return Answered(stored.result)

    async def _give_back(self, opening: _Opening, version: datetime | None) -> None:
        """Undo an admission, at once or, if Firestore is unavailable, in the background."""
        try:
            while version is not None:
                try:
                    await self._store.take_back(
                        opening.admission,
                        opening.counters,
                        version=version,
                        admitted_at=opening.at,
                    )
                    return
                except Conflict:  # already applied, or a stop was written to the entry
                    version = await self._running_version(opening.admission.id, opening.nonce)
        except FirestoreError as error:
            log.error("give_back_failed", type=error.cause)
            if isinstance(error, Unavailable):  # otherwise the reconciler has to do it
                self._background.start(self._undo(opening))

    async def _undo(self, opening: _Opening) -> None:
        """Undo an admission whose commit may or may not have been applied.

        If it is applied after the last check, the reconciler closes the entry.
        """
        for pause_s in self._limits.undo_pauses_s:
            await asyncio.sleep(pause_s)
            try:
                version = await self._running_version(opening.admission.id, opening.nonce)
            except Unavailable:
                continue
            if version is not None:  # otherwise the commit may still be applied
                await self._give_back(opening, version)
                return

    # -- notes and the end ---------------------------------------------------------------------

    def _start_note(self, entry: OpenEntry) -> None:
        entry.state.note_timer = None
        entry.state.noting = self._background.start(self._note(entry, entry.state.noting))

    async def _note(self, entry: OpenEntry, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        id_, state = entry.admission.id, entry.state
        fields = {EntryField.ATTEMPTS: attempt_documents(state.attempts)}
        try:
            try:
                state.version = await self._store.update(
                    id_, state.version, fields, within_s=self._limits.note_s
                )
            except Conflict:  # this commit was already applied, or the entry was stopped or closed
                version = await self._running_version(id_, entry.nonce)
                state.version = version or state.version
        except FirestoreError as error:
            log.warning("note_failed", type=error.cause)

    async def _settle(self, entry: OpenEntry, outcome: Outcome) -> None:
        state = entry.state
        if state.note_timer is not None:
            state.note_timer.cancel()
        if state.noting is not None:
            await asyncio.wait({state.noting})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.settle_s
        while loop.time() < deadline:
            try:
                if await self._end(entry, outcome):
                    return
            except NotStorable as error:
                if outcome.result is None:
                    log.error("settle_refused", type=error.cause)
                    break
                outcome = replace(outcome, result=None)  # settling matters more than the result
            except Forbidden as error:
                log.error("settle_refused", type=error.cause)
                break
            except Unavailable as error:
                log.warning("settle_delayed", type=error.cause)
                await asyncio.sleep(self._limits.settle_pause_s)
        log.error("settle_failed", generation=entry.admission.id)  # the reconciler does it later

    async def _end(self, entry: OpenEntry, outcome: Outcome) -> bool:
        """End the entry. Return whether it has ended; if not, its version was read again."""
        try:
            await self._store.end(
                entry.reservation, outcome, now=self._now(), within_s=self._limits.settle_s
            )
        except Conflict:  # already applied, ended by the reconciler, or stopped
            version = await self._running_version(entry.admission.id, entry.nonce)
            entry.state.version = version or entry.state.version
            return version is None
        return True

    async def _running_version(self, id_: str, nonce: str) -> datetime | None:
        """Return the version of our entry while it is running; None if it has ended or is gone.

        An ended entry's version must never be used, because the guard prevents a second end.
        """
        stored = await self._store.read(id_, (EntryField.STATUS, EntryField.NONCE))
        ours = stored is not None and stored.is_running and stored.nonce == nonce
        return stored.version if stored is not None and ours else None
