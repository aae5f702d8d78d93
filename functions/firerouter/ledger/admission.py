"""Admission: generations are recorded and counted before OpenRouter is called, or refused.

    create the entries, move the counters -> compare the new totals, which the commit returns
        -> admitted
        -> over a cap: take everything back, and
             - try again if it fits now: calls that were then refused had been counted as well
             - try again with fewer tokens, if what is left of a budget has room for those
             - try again without places that a dead instance still held
             - else refuse, and remember that: the next call is refused before it is counted

Generations that belong together, such as those of a comparison, are admitted by one commit: all or
none. No cap needs a read, except the app's ceiling when the app comes near it (`ceilings`).

The client library may send a commit twice. The guard is that the entry must not exist yet; if it
does, its nonce says whether it is our own.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .. import log
from ..background import BackgroundTasks
from ..callable import CallableError
from ..contract import NANO_PER_USD
from ..errors import (
    AlreadyRunning,
    LedgerUnavailable,
    QuotaExceeded,
    RequestIdReused,
    ResultNotKept,
)
from ..firestore import (
    AlreadyExists,
    Conflict,
    Document,
    FirestoreError,
    Unavailable,
    translated,
)
from .allowance import Allowance
from .caps import Caps
from .ceilings import Ceilings
from .entry import Admission, EntryField, EntryState, OpenEntry, StoredEntry
from .known_refusals import KnownRefusals
from .limits import LedgerLimits
from .quotas import Counter, Windows, counters, first_over, has_limits, refusal
from .reserve import lower
from .store import LedgerStore, Opening


@dataclass(frozen=True, slots=True)
class Admitted:
    """A new generation, which the caller owns from now on.

    Attributes:
        entry: Its entry.
        remaining: What is left of its user's limits, after all that it may cost.
    """

    entry: OpenEntry
    remaining: Allowance


@dataclass(frozen=True, slots=True)
class Answered:
    """The same request was answered before: its stored result."""

    result: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class _Excess:
    """Why an admission was taken back, and what is left without it.

    Attributes:
        opening: The admission.
        counter: The counter whose cap was exceeded.
        most: The cap, in the counter's unit.
        project: What the whole app has used, if it is the app's ceiling that was exceeded.
        totals: The totals of the counters without the admission.
        is_known: Whether the totals come from Firestore; otherwise they are calculated.
    """

    opening: Opening
    counter: Counter
    most: float
    project: int | None
    totals: Sequence[int]
    is_known: bool

    @property
    def used(self) -> int:
        """The total of the exceeded counter."""
        if self.project is not None:
            return self.project
        return self.totals[self.opening.counters.index(self.counter)]

    @property
    def fits(self) -> bool:
        """Whether there is room for the admission now."""
        fits = self.used + self.counter.by <= self.most
        return fits and self.is_known and first_over(self.opening.counters, self._with_it) is None

    @property
    def is_disturbed(self) -> bool:
        """Whether the totals include calls that may yet be refused, so more may be left."""
        running = [
            total
            for counter, total in zip(self.opening.counters, self.totals, strict=True)
            if counter.cap == "concurrent"
        ]
        return self.is_known and (self.project is not None or any(running))

    @property
    def left(self) -> tuple[int, int | None]:
        """What is left of the tightest budget, in nano dollars, and of the tightest token limit."""
        left: dict[str, list[float]] = {"usd": [], "tokens": []}
        for counter, total in zip(self.opening.counters, self.totals, strict=True):
            if counter.unit in left and counter.max is not None:
                left[counter.unit].append(counter.max_total - total)
        if self.project is not None:
            left["usd"].append(self.most - self.project)
        tokens = left["tokens"]
        return int(min(left["usd"], default=0)), int(min(tokens)) if tokens else None

    def refusal(self, now: datetime, running: Sequence[str]) -> QuotaExceeded:
        counter = self.counter
        if counter.max is None:
            counter = replace(counter, max=self.most / NANO_PER_USD)
        return refusal(counter, used=self.used, now=now, running=running)

    @property
    def _with_it(self) -> list[int]:
        pairs = zip(self.opening.counters, self.totals, strict=True)
        return [total + counter.by for counter, total in pairs]


class Admissions:
    """Admits generations. One per instance."""

    def __init__(
        self,
        store: LedgerStore,
        ceilings: Ceilings,
        *,
        background: BackgroundTasks,
        instance: str,
        limits: LedgerLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._ceilings = ceilings
        self._background = background
        self._instance = instance
        self._limits = limits
        self._now = now
        self._refusals = KnownRefusals(limits=limits, now=now)

    def check(self, uid: str, feature: str, caps: Caps) -> None:
        """Check, before anything is read for a request, whether it is known to be refused.

        Raises:
            QuotaExceeded: It is, whatever it asks for.
        """
        if not self._refusals.knows(uid):
            return
        windows = Windows(at=self._now(), feature=feature if has_limits(caps.feature) else None)
        self._refusals.check(uid, feature, counters(caps, windows, [], requests=1))

    def note_end(self, uid: str) -> None:
        """Note that an answer of this user's has ended, and freed what it held."""
        self._refusals.forget_freed(uid)

    async def admit(
        self, admissions: Sequence[Admission], caps: Caps
    ) -> list[Admitted | Answered | CallableError]:
        """Record and count generations that belong together.

        Returns:
            The outcome of each: an error only where the same request was sent before.

        Raises:
            QuotaExceeded: A cap has no room for all of it.
            LedgerUnavailable: Firestore did not answer. Nothing may be sent to OpenRouter.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        await self._check_known(admissions, caps)
        wanted, freed = _shorten(admissions, *_whole_budgets(caps)) or list(admissions), False
        running: list[str] = []
        tries = 0
        while isinstance(excess := await self._open(wanted, caps), _Excess):
            tries += 1
            if tries == self._limits.admit_tries:
                break
            if excess.is_disturbed and not excess.fits:
                excess = await self._undisturbed(excess)
            if excess.fits:
                await asyncio.sleep(self._pause_s(tries))
            elif shorter := _shorten(wanted, *excess.left):
                wanted = shorter
            elif excess.counter.unit == "answers" and not freed:
                freed, running = True, await self._free_places(wanted[0].uid)
            else:
                break
        else:
            return excess
        self._note(excess, running)
        raise excess.refusal(self._now(), running)

    async def _check_known(self, admissions: Sequence[Admission], caps: Caps) -> None:
        """Raises QuotaExceeded if that is known, and the same request was not sent before."""
        first = admissions[0]
        if not self._refusals.knows(first.uid):
            return
        counted = self._counters(admissions, caps, self._windows(first, caps))
        try:
            self._refusals.check(first.uid, first.feature.id, counted)
        except QuotaExceeded:
            with translated(LedgerUnavailable, "admit_failed"):
                if first.request.request_id is None or not await self._store.read_all(
                    [first.id], (EntryField.STATUS,)
                ):
                    raise

    def _note(self, excess: _Excess, running: Sequence[str]) -> None:
        first = excess.opening.admissions[0]
        if excess.is_known and excess.project is None:
            # no more than the cap: others that are refused at the same time are counted for a while
            total = min(excess.used, int(excess.most))
            self._refusals.note(
                first.uid, first.feature.id, excess.counter, total=total, running=running
            )

    async def _undisturbed(self, excess: _Excess) -> _Excess:
        """Wait until the counters have room or stop changing, and return what is left then.

        Calls that are refused are counted for a moment, which is no reason to refuse this one.
        """
        with translated(LedgerUnavailable, "admit_failed"):
            for look in range(1, self._limits.admit_tries):
                await asyncio.sleep(self._pause_s(look))
                totals, project = await self._totals(excess.opening), excess.project
                if project is not None:
                    windows, field = excess.opening.windows, excess.counter.field
                    project = await self._ceilings.total(windows, field)
                moved = (totals, project) != (excess.totals, excess.project)
                excess = replace(excess, totals=totals, project=project)
                if excess.fits or not moved:
                    break
        return excess

    def _pause_s(self, tries: int) -> float:
        return random.uniform(0.5, 1) * tries * self._limits.admit_pause_s  # noqa: S311

    # -- one try -----------------------------------------------------------------------------------

    async def _open(
        self, admissions: Sequence[Admission], caps: Caps
    ) -> list[Admitted | Answered | CallableError] | _Excess:
        """Create the entries; take them back if they exceed a cap."""
        shard = self._ceilings.choose_shard()
        windows = self._windows(admissions[0], caps, shard)
        opening = Opening(
            admissions=admissions,
            nonce=secrets.token_hex(8),
            windows=windows,
            counters=self._counters(admissions, caps, windows),
        )
        with translated(LedgerUnavailable, "admit_failed"):
            try:
                created = await self._create(opening, caps)
            except (Unavailable, asyncio.CancelledError):
                self._background.start(self._undo(opening))  # the commit may have been applied
                raise
            if isinstance(created, list):
                return created
            versions, totals = created
            try:
                excess = await self._excess(opening, caps, totals)
            except (FirestoreError, asyncio.CancelledError):
                self._background.start(self._undo(opening))
                raise
        if excess is None:
            remaining = Allowance.of(opening.counters, totals)
            return [
                Admitted(_entry(admission, opening, version), remaining)
                for admission, version in zip(admissions, versions, strict=True)
            ]
        counter, total, most = excess
        after = await self._give_back(opening, versions)
        pairs = zip(opening.counters, totals, strict=True)
        return _Excess(
            opening=opening,
            counter=counter,
            most=most,
            project=total - counter.by if counter.home == "project" else None,
            totals=after or [value - counter.by for counter, value in pairs],
            is_known=after is not None,
        )

    def _windows(self, admission: Admission, caps: Caps, shard: int = 0) -> Windows:
        feature = admission.feature.id if has_limits(caps.feature) else None
        return Windows(at=self._now(), shard=shard, feature=feature)

    def _counters(
        self, admissions: Sequence[Admission], caps: Caps, windows: Windows
    ) -> tuple[Counter, ...]:
        return counters(
            caps,
            windows,
            [one.reserve for one in admissions if not one.is_cached],
            requests=len(admissions),
            places=sum(one.takes_place for one in admissions),
        )

    async def _excess(
        self, opening: Opening, caps: Caps, totals: Sequence[int]
    ) -> tuple[Counter, int, float] | None:
        """Return the first exceeded cap, the new total, and the cap in the counter's unit."""
        over = first_over(opening.counters, totals)
        if over is not None:
            counter, by = over
            return counter, int(counter.max_total) + by, counter.max_total
        counted = {
            counter.cap: (counter, total)
            for counter, total in zip(opening.counters, totals, strict=True)
            if counter.home == "project"
        }
        if not counted:
            return None
        return await self._ceilings.excess(caps.ceiling, opening.windows, counted)

    async def _create(
        self, opening: Opening, caps: Caps
    ) -> tuple[list[datetime], list[int]] | list[Admitted | Answered | CallableError]:
        """Create the entries. Return their versions and the new totals of the counters."""
        try:
            created = await self._store.create(opening, instance=self._instance)
        except AlreadyExists:
            ours = [await self._our_version(opening, one) for one in opening.admissions]
            versions = [version for version in ours if version is not None]
            if len(versions) == len(ours):  # our own commit, applied twice
                return versions, await self._totals(opening)
            return await self._admit_each(opening, caps)
        return [created.version] * len(opening.admissions), created.totals

    async def _totals(self, opening: Opening) -> list[int]:
        return await self._store.totals(opening.uid, opening.windows, opening.counters)

    async def _our_version(self, opening: Opening, admission: Admission) -> datetime | None:
        stored = await self._store.read(admission.id, (EntryField.NONCE,))
        return stored.version if stored is not None and stored.nonce == opening.nonce else None

    async def _admit_each(
        self, opening: Opening, caps: Caps
    ) -> list[Admitted | Answered | CallableError]:
        """Return what each entry that exists already means; admit those that have none."""
        found: list[Admitted | Answered | CallableError] = []
        for admission in opening.admissions:
            try:
                stored = await self._store.read(admission.id)
                if stored is not None:
                    found.append(_same_request(admission, stored))
                elif len(opening.admissions) == 1:  # it was refused and has just been taken back
                    raise AlreadyRunning(retry_after_seconds=1)
                else:
                    found += await self.admit([admission], caps)
            except CallableError as error:
                found.append(error)
        return found

    # -- taking back -------------------------------------------------------------------------------

    async def withdraw(self, entry: OpenEntry, caps: Caps) -> None:
        """Undo one admission whose request was not sent: it does not count as a request either."""
        one = entry.admission
        places = int(one.takes_place)
        moved = counters(caps, entry.windows, [one.reserve], requests=1, places=places)
        opening = Opening(
            admissions=[one], nonce=entry.nonce, windows=entry.windows, counters=moved
        )
        await self._give_back(opening, [entry.state.version])

    async def _give_back(self, opening: Opening, versions: Sequence[datetime]) -> list[int] | None:
        """Undo an admission: at once if Firestore answers, else in the background.

        Returns:
            The new totals of the counters; None if they are not known.
        """
        known: list[datetime] | None = list(versions)
        try:
            while known is not None:
                try:
                    return await self._store.take_back(opening, known)
                except Conflict:  # it was applied already, or a stop was written to an entry
                    known = await self._running_versions(opening)
        except FirestoreError as error:
            log.error("give_back_failed", type=error.cause)
            if isinstance(error, Unavailable):  # else it is left to the reconciler
                self._background.start(self._undo(opening))
        except asyncio.CancelledError:
            self._background.start(self._undo(opening))
            raise
        return None

    async def _undo(self, opening: Opening) -> None:
        """Undo an admission whose commit may or may not have been applied.

        If it is applied after the last look, the reconciler closes it.
        """
        for pause_s in self._limits.undo_pauses_s:
            await asyncio.sleep(pause_s)
            try:
                versions = await self._running_versions(opening)
            except Unavailable:
                continue
            if versions is not None:  # else the commit may yet be applied
                await self._give_back(opening, versions)
                return

    async def _running_versions(self, opening: Opening) -> list[datetime] | None:
        """Return the versions of our entries; None unless all of them exist and are running."""
        versions = []
        for admission in opening.admissions:
            stored = await self._store.read(admission.id, (EntryField.STATUS, EntryField.NONCE))
            if stored is None or not stored.is_running or stored.nonce != opening.nonce:
                return None
            versions.append(stored.version)
        return versions

    # -- places that dead instances hold -----------------------------------------------------------

    async def _free_places(self, uid: str) -> list[str]:
        """Give back the places of entries whose instances are dead.

        Returns:
            The generations of the user that still run, or wait for their task.
        """
        with translated(LedgerUnavailable, "admit_failed"):
            entries = await self._store.running_of(uid)
            leases = await self._store.leases({one.instance for one in entries if one.instance})
            now, running = self._now(), []
            for stored in entries:
                if stored.waits:
                    continue  # it has no place
                if stored.is_alive(now, leases.get(stored.instance or "")):
                    running.append(stored.id)
                elif stored.reservation.holds_place and await self._store.free_place(stored):
                    log.warning("place_freed", generation=stored.id)
        return running


def _entry(admission: Admission, opening: Opening, version: datetime) -> OpenEntry:
    state = EntryState(version, freed=admission.follows)
    return OpenEntry(admission, opening.nonce, opening.windows, state)


def _same_request(admission: Admission, stored: StoredEntry) -> Answered:
    """Return the stored result for a request that was sent before. Raises if there is none."""
    if stored.payload != admission.request.payload:
        raise RequestIdReused
    if stored.is_running:
        raise AlreadyRunning(retry_after_seconds=2, generationId=admission.id)
    if stored.result is None:
        raise ResultNotKept(previousStatus=stored.status)
    return Answered(stored.result)


def _whole_budgets(caps: Caps) -> tuple[int, int | None]:
    """Return the tightest whole budget, in nano dollars, and the tightest whole token limit."""
    user, feature, ceiling = caps.user, caps.feature, caps.ceiling
    budgets = (
        user.usd_per_day,
        user.usd_per_month,
        feature.usd_per_day,
        feature.usd_per_month,
        ceiling.usd_per_day,
        ceiling.usd_per_month,
    )
    nano_usd = min(int(usd * NANO_PER_USD) for usd in budgets if usd is not None)
    tokens = [most for most in (user.tokens_per_day, feature.tokens_per_day) if most is not None]
    return nano_usd, min(tokens, default=None)


def _shorten(
    admissions: Sequence[Admission], nano_usd: int, tokens: int | None
) -> list[Admission] | None:
    """Return the admissions with shorter answers, which fit into what is left.

    None if they fit already, or cannot be made to fit.
    """
    reserves = [admission.reserve for admission in admissions]
    fits_money = sum(reserve.nano_usd for reserve in reserves) <= nano_usd
    fits_tokens = tokens is None or sum(reserve.tokens for reserve in reserves) <= tokens
    if fits_money and fits_tokens:
        return None
    shorter = lower(reserves, nano_usd=nano_usd, tokens=tokens)
    if shorter is None:
        return None
    return [
        admission
        if reserve is admission.reserve
        else replace(admission, reserve=reserve, is_shortened=True)
        for admission, reserve in zip(admissions, shorter, strict=True)
    ]
