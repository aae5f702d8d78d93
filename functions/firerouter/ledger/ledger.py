"""The ledger: every generation gets an entry before OpenRouter is called, settled once after.

    (none) --admit--> running --settle--> done | stopped | failed | interrupted
       \\--refused: the entry is deleted, and the counters are moved back

`admission` decides what is admitted, `entry` defines the document, and `store` reads and writes the
documents, also for the reconciler.

Each commit that moves a counter carries a guard, because the client library may send a commit
twice: the entry is created (admit), deleted at a known version (give back) or updated at a known
version (settle). The second time, the guard fails and nothing moves.

A note of the attempts moves no counter, but it is guarded as well: `settle` uses the version that
the note returns, so an unguarded note on an entry that the reconciler had closed would let the
entry end twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from .. import log
from ..background import BackgroundTasks
from ..callable import CallableError
from ..errors import LedgerUnavailable, QuotaExceeded, ResultNotKept
from ..firestore import (
    Conflict,
    FirestoreError,
    Forbidden,
    NotStorable,
    Unavailable,
    translated,
)
from .admission import Admissions, Admitted, Answered
from .caps import Caps
from .ceilings import Ceilings
from .entry import Admission, AttemptRecord, EntryField, OpenEntry, Outcome, attempt_documents
from .leases import Leases
from .limits import LedgerLimits
from .store import LedgerStore

OnRefusal = Callable[[str, str], None]  # the cap, and the feature that was called
# the fields to read of our own entry after another process has written to it
_OWN_FIELDS: Final = (
    EntryField.STATUS,
    EntryField.NONCE,
    EntryField.FREED,
    EntryField.TEXTS_ERASED,
)


def _ignore(cap: str, feature: str) -> None:
    """Count nothing."""


class Ledger:
    """Admits generations, notes their attempts, and settles them. One per instance."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        background: BackgroundTasks,
        instance: str = "",
        leases: Leases | None = None,
        on_refusal: OnRefusal = _ignore,
        limits: LedgerLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make the ledger of an instance.

        Args:
            store: The entries and counters.
            background: Runs what continues after a caller has been answered.
            instance: This instance's id, by which a stop finds what runs here.
            leases: Tell other instances that what runs here is alive.
            on_refusal: Called with the cap and the feature of each call that a cap refuses.
            limits: How long each step may take.
            now: The clock.
        """
        self._store = store
        self.background = background
        self._limits = limits or LedgerLimits()
        self._now = now
        self._leases = leases or Leases(
            store, instance=instance, background=background, limits=self._limits, now=now
        )
        self._admissions = Admissions(
            store,
            Ceilings(store, limits=self._limits),
            background=background,
            instance=instance,
            limits=self._limits,
            now=now,
        )
        self._on_refusal = on_refusal

    async def admit(self, admission: Admission, caps: Caps) -> Admitted | Answered:
        """Record a generation and count it, unless the same request was answered before.

        If a budget has less left than the generation's worst case, the entry's admission has a
        smaller reserve: see `Admission.is_shortened`.

        Raises:
            QuotaExceeded: A cap has no room for it.
            AlreadyRunning: The same request is being answered on another instance.
            RequestIdReused: A different request has this id.
            ResultNotKept: The same request has ended, and its result is not stored.
            LedgerUnavailable: Firestore did not answer, so nothing may be sent to OpenRouter.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        (outcome,) = await self.admit_all([admission], caps)
        if isinstance(outcome, CallableError):
            raise outcome
        return outcome

    def check(self, uid: str, feature: str, caps: Caps) -> None:
        """Check a request, before anything is read for it: see `Admissions.check`.

        Raises:
            QuotaExceeded: It is known to exceed a cap.
        """
        try:
            self._admissions.check(uid, feature, caps)
        except QuotaExceeded as error:
            self._on_refusal(str(error.details["limit"]), feature)
            raise

    async def admit_all(
        self, admissions: Sequence[Admission], caps: Caps
    ) -> list[Admitted | Answered | CallableError]:
        """Admit generations that belong together: all or none.

        Returns:
            The outcome of each: an error only where the same request was sent before.

        Raises:
            CallableError: As `admit`, if they are refused together.
        """
        try:
            outcomes = await self._admissions.admit(admissions, caps)
        except QuotaExceeded as error:
            self._on_refusal(str(error.details["limit"]), admissions[0].feature.id)
            raise
        for outcome in outcomes:
            if isinstance(outcome, Admitted):
                self.adopt(outcome.entry)
        return outcomes

    async def begin(self, entry: OpenEntry) -> None:
        """Record that the request of an entry that waited for others is about to be sent.

        Raises:
            ResultNotKept: The entry was closed in the meantime.
            LedgerUnavailable, FirestoreForbidden: As `admit`.
        """
        state = entry.state
        with translated(LedgerUnavailable, "admit_failed"):
            while True:
                try:
                    state.version = await self._store.begin(entry.admission.id, state.version)
                except Conflict:  # it was applied already, or the entry was stopped or closed
                    if not await self._look_again(entry):
                        raise ResultNotKept(previousStatus="interrupted") from None
                else:
                    return

    def begin_to_withdraw(self, entry: OpenEntry, caps: Caps) -> asyncio.Task[None]:
        """Undo an admission whose request was not sent, in the background; return the task."""
        self._leases.release(entry.admission.id)
        return self.background.start(self._admissions.withdraw(entry, caps))

    def adopt(self, entry: OpenEntry) -> None:
        """Keep an entry's lease until this instance has settled it."""
        self._leases.hold(entry.admission.id)

    def let_go(self, entry: OpenEntry) -> None:
        """Keep an entry's place no longer: another instance is to claim it."""
        self._leases.release(entry.admission.id)

    def note(self, entry: OpenEntry, attempts: Sequence[AttemptRecord]) -> None:
        """Record the attempts in the background: the reconciler looks up costs by their ids.

        The write is delayed a moment. If the entry is settled by then, settling records them.
        """
        state = entry.state
        state.attempts = tuple(attempts)
        if state.note_timer is None:
            loop = asyncio.get_running_loop()
            state.note_timer = loop.call_later(self._limits.note_after_s, self._start_note, entry)

    async def note_now(self, entry: OpenEntry, attempts: Sequence[AttemptRecord]) -> None:
        """Record the attempts before the next one is made; wait only briefly.

        If the instance is killed during the next one, the reconciler knows about these.
        """
        state = entry.state
        state.attempts = tuple(attempts)
        if state.note_timer is not None:
            state.note_timer.cancel()
        self._start_note(entry)
        if state.noting is not None:
            await asyncio.wait({state.noting}, timeout=self._limits.note_before_retry_s)

    async def settle(self, entry: OpenEntry, outcome: Outcome) -> None:
        """End the entry and free its reservation, once.

        This does not delay a result for long: if Firestore takes longer, or the task is cancelled,
        settling continues in the background.
        """
        settling = self.begin_to_settle(entry, outcome)
        await asyncio.wait({settling}, timeout=self._limits.settle_before_result_s)

    def begin_to_settle(self, entry: OpenEntry, outcome: Outcome) -> asyncio.Task[None]:
        """End the entry once, in the background, and return the task that does it."""
        self._leases.release(entry.admission.id)
        return self.background.start(self._settle(entry, outcome))

    # -- notes and the end ---------------------------------------------------------------------

    def _start_note(self, entry: OpenEntry) -> None:
        entry.state.note_timer = None
        entry.state.noting = self.background.start(self._note(entry, entry.state.noting))

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
            except Conflict:  # the commit was sent twice, or the entry was stopped or closed
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
                    self._admissions.note_end(entry.admission.uid)
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
        log.error("settle_failed", generation=entry.admission.id)  # the reconciler closes it later

    async def _end(self, entry: OpenEntry, outcome: Outcome) -> bool:
        """End the entry. Return whether it has ended; if not, its version was re-read."""
        try:
            await self._store.end(
                entry.reservation, outcome, now=self._now(), within_s=self._limits.settle_s
            )
        except Conflict:  # the commit was sent twice, or the entry was closed or stopped
            return not await self._look_again(entry)
        return True

    async def _look_again(self, entry: OpenEntry) -> bool:
        """Read what another process has written to our entry. Return whether it still runs.

        The version of an ended entry is never taken over: that would let the entry end twice.
        """
        stored = await self._store.read(entry.admission.id, _OWN_FIELDS)
        if stored is None or not stored.is_running or stored.nonce != entry.nonce:
            return False
        state = entry.state
        state.version, state.freed = stored.version, stored.freed
        state.texts_erased = stored.texts_erased
        return True
