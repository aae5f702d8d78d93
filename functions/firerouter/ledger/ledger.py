"""The ledger: every generation is an entry before OpenRouter is called, settled once after it.

    (none) --admit--> running --settle--> done | stopped | failed | interrupted
       \\--refused: nothing is left, and the counters are moved back

`entry` says what a document holds, `store` where the documents are and what the reconciler does to
them.

`admit` is one commit: it creates the entry and moves the counters, whose new totals the commit
returns, so that a cap needs neither a read nor a transaction, and parallel calls cannot exceed it.

The client library may send a commit again, so that it is applied twice. So each commit that moves a
counter carries a guard in the same batch: the entry is created (admit), deleted at a known version
(give back) or updated at a known version (settle). The second time the guard fails, and nothing
moves. The entry's nonce tells a second `admit` that the entry it finds is its own.

A note of the attempts moves no counter and is guarded all the same. It hands its version on to
`settle`, and a note that came after the reconciler had closed the entry would let it end twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

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
    StoredEntry,
    attempt_documents,
)
from .limits import LedgerLimits
from .quotas import Counter, counters, refusal
from .store import LedgerStore

# what is read of an entry in our hands that somebody else has written to
_OWN_FIELDS: Final = (EntryField.STATUS, EntryField.NONCE, EntryField.TEXTS_ERASED)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A new generation, which the caller owns from now on."""

    entry: OpenEntry


@dataclass(frozen=True, slots=True)
class Answered:
    """The same request was answered before: its stored result."""

    result: Document


@dataclass(frozen=True, slots=True)
class _Opening:
    """An admission on its way: what its one commit writes, and so what undoes it."""

    admission: Admission
    nonce: str
    at: datetime
    counters: Sequence[Counter]

    def entry(self, version: datetime) -> OpenEntry:
        return OpenEntry(self.admission, self.nonce, self.at, EntryState(version))


class Ledger:
    """Admits generations, notes what they do, and settles them. One per instance."""

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
            background: Runs what goes on after a caller has been answered.
            instance: This instance's id, by which a stop finds what runs here.
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
            AlreadyRunning: The same request is being answered elsewhere.
            RequestIdReused: Another request has this id.
            ResultNotKept: The same request has ended, and its result is not stored.
            LedgerUnavailable: Firestore did not answer. Nothing may be sent to OpenRouter.
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
                self._background.start(self._undo(opening))  # it may have been applied
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
        """Record the attempts, off the caller's path: the reconciler asks for costs by their ids.

        It happens a moment later, and not at all if the entry is settled by then, which records
        them too.
        """
        state = entry.state
        state.attempts = tuple(attempts)
        if state.note_timer is None:
            loop = asyncio.get_running_loop()
            state.note_timer = loop.call_later(self._limits.note_after_s, self._start_note, entry)

    async def settle(self, entry: OpenEntry, outcome: Outcome) -> None:
        """End the entry and free its reservation, once.

        It waits no longer than a result should. What Firestore does not take in that time is tried
        again in the background.
        """
        settling = self._background.start(self._settle(entry, outcome))
        await asyncio.wait({settling}, timeout=self._limits.settle_before_result_s)

    # -- admission -----------------------------------------------------------------------------

    async def _open(self, opening: _Opening) -> tuple[OpenEntry, Sequence[int]] | Answered:
        """Create the entry. Return it with the new totals of its counters."""
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
        """Return what the entry that exists already means for the same request."""
        admission = opening.admission
        stored = await self._store.read(admission.id)
        if stored is None:  # refused, and given back just now: a retry may be admitted
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
        """Undo an admission: at once if Firestore allows it, else in the background."""
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
                except Conflict:  # it was applied before, or somebody wrote a stop on the entry
                    version = await self._running_version(opening.admission.id, opening.nonce)
        except FirestoreError as error:
            log.error("give_back_failed", type=error.cause)
            if isinstance(error, Unavailable):  # else it is left to the reconciler
                self._background.start(self._undo(opening))

    async def _undo(self, opening: _Opening) -> None:
        """Give back an admission of which it is not known whether it was made.

        What lands after the last look is left to the reconciler.
        """
        for pause_s in self._limits.undo_pauses_s:
            await asyncio.sleep(pause_s)
            try:
                version = await self._running_version(opening.admission.id, opening.nonce)
            except Unavailable:
                continue
            if version is not None:  # else the commit may yet land
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
            except Conflict:  # noted by this commit's first sending, stopped, or closed
                await self._look_again(entry)
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
            if state.texts_erased:
                outcome = outcome.without_texts()
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
        log.error("settle_failed", generation=entry.admission.id)  # left to the reconciler

    async def _end(self, entry: OpenEntry, outcome: Outcome) -> bool:
        """End the entry. Return whether it has ended; if not, its version was read anew."""
        try:
            await self._store.end(
                entry.reservation, outcome, now=self._now(), within_s=self._limits.settle_s
            )
        except Conflict:  # ended by this commit's first sending or the reconciler, or stopped
            return not await self._look_again(entry)
        return True

    async def _look_again(self, entry: OpenEntry) -> bool:
        """Read what somebody else has written onto our entry. Return whether it still runs."""
        stored = await self._running_entry(entry.admission.id, entry.nonce)
        if stored is not None:
            entry.state.version = stored.version
            entry.state.texts_erased = stored.texts_erased
        return stored is not None

    async def _running_version(self, id_: str, nonce: str) -> datetime | None:
        """Return the version of our entry while it runs; None once it has ended or gone.

        It is never that of an entry that has ended, for it is the guard against a second end.
        """
        stored = await self._running_entry(id_, nonce)
        return stored.version if stored is not None else None

    async def _running_entry(self, id_: str, nonce: str) -> StoredEntry | None:
        stored = await self._store.read(id_, _OWN_FIELDS)
        ours = stored is not None and stored.is_running and stored.nonce == nonce
        return stored if ours else None
