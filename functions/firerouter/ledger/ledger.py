"""The ledger: every generation gets an entry before OpenRouter is called, settled once after.

    (none) --admit--> running --settle--> done | stopped | failed | interrupted
       \\--refused: the entry is deleted, and the counters are moved back

`admission` says what is admitted, `entry` what a document holds, `store` where the documents are
and what the reconciler does to them.

Each commit that moves a counter carries a guard in the same batch, for the client library may send
it again: the entry is created (admit), deleted at a known version (give back) or updated at a known
version (settle). The second time the guard fails, and nothing moves.

A note of the attempts moves no counter but is guarded as well. Its version is the one that `settle`
uses, so an unguarded note, written after the reconciler closed the entry, would let it end twice.
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
# what is read of an entry in our hands that somebody else has written to
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
            background: Runs what goes on after a caller has been answered.
            instance: This instance's id, by which a stop finds what runs here.
            leases: Keep what runs here alive, for others to see.
            on_refusal: Is told the cap and the feature of each call that a cap refused.
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

        Where a budget leaves less than its worst case, the entry's admission has a smaller reserve:
        see `Admission.is_shortened`.

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
        """Admit what is asked for together, all of it or nothing.

        Returns:
            What came of each. An error: the same request was sent before, and its entry says so.

        Raises:
            CallableError: As `admit`, where all of it is refused.
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
        """Record that an entry that waited for others is asked for now.

        Raises:
            ResultNotKept: It was closed meanwhile.
            LedgerUnavailable, FirestoreForbidden: As `admit`.
        """
        state = entry.state
        with translated(LedgerUnavailable, "admit_failed"):
            while True:
                try:
                    state.version = await self._store.begin(entry.admission.id, state.version)
                except Conflict:  # applied before, or stopped, or closed
                    if not await self._look_again(entry):
                        raise ResultNotKept(previousStatus="interrupted") from None
                else:
                    return

    def begin_to_withdraw(self, entry: OpenEntry, caps: Caps) -> asyncio.Task[None]:
        """Undo an admission of which nothing was asked, in the background; return the task."""
        self._leases.release(entry.admission.id)
        return self.background.start(self._admissions.withdraw(entry, caps))

    def adopt(self, entry: OpenEntry) -> None:
        """Keep an entry's place for it until it is settled, here."""
        self._leases.hold(entry.admission.id)

    def note(self, entry: OpenEntry, attempts: Sequence[AttemptRecord]) -> None:
        """Record the attempts in the background: the reconciler requests costs by their ids.

        This happens a moment later. If the entry is settled by then, that records them instead.
        """
        state = entry.state
        state.attempts = tuple(attempts)
        if state.note_timer is None:
            loop = asyncio.get_running_loop()
            state.note_timer = loop.call_later(self._limits.note_after_s, self._start_note, entry)

    async def note_now(self, entry: OpenEntry, attempts: Sequence[AttemptRecord]) -> None:
        """Record the attempts before another one is made, but do not wait for that for long.

        If the instance is killed in the next one, the reconciler knows that there was one.
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
        """End the entry in the background, once, and return the task that does."""
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
        log.error("settle_failed", generation=entry.admission.id)  # the reconciler does it later

    async def _end(self, entry: OpenEntry, outcome: Outcome) -> bool:
        """End the entry. Return whether it has ended; if not, its version was read again."""
        try:
            await self._store.end(
                entry.reservation, outcome, now=self._now(), within_s=self._limits.settle_s
            )
        except Conflict:  # ended by this commit's first sending or the reconciler, or stopped
            return not await self._look_again(entry)
        return True

    async def _look_again(self, entry: OpenEntry) -> bool:
        """Read what somebody else has written onto our entry. Return whether it still runs.

        Its version is never that of an entry that has ended: it is the guard against a second end.
        """
        stored = await self._store.read(entry.admission.id, _OWN_FIELDS)
        if stored is None or not stored.is_running or stored.nonce != entry.nonce:
            return False
        state = entry.state
        state.version, state.freed = stored.version, stored.freed
        state.texts_erased = stored.texts_erased
        return True
