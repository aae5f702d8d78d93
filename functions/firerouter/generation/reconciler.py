"""Closes what killed instances left running, and corrects costs that were not known.

    running, past its deadline   -> interrupted, with the reservation as its estimated cost; its
                                    progress is stored in the conversation as the answer
    ended, its cost an estimate  -> GET /generation, by each attempt's id     -> corrected

A cost is requested again later if OpenRouter does not know an id yet, or is unavailable, and given
up after a day: then the estimate stands. It is given up at once if an attempt that may have been
charged has no id. OpenRouter gets a few requests at a time, and no more in this run after it has
returned 429 or not answered.

Running twice does no harm, not even at the same time: see `ledger.store` for the guards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeVar

from .. import log
from ..callable import CallableError
from ..contract import Json
from ..conversations import ConversationStore
from ..delivery import Progress, latest
from ..errors import (
    FreeDailyLimit,
    KeyInvalid,
    KeyStoreDisabled,
    KeyStoreForbidden,
    RateLimited,
    Restarting,
    Unavailable,
    UpstreamBusy,
    UpstreamForbidden,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ..firestore import FirestoreError
from ..keys import KeyPool, Secret
from ..ledger import AttemptRecord, LedgerStore, StoredEntry
from ..models import is_free
from ..openrouter import OpenRouter, Usage, total
from .limits import GenerationLimits

T = TypeVar("T")
# None: another run was first, or this run requests no more
CostOutcome = Literal["costed", "waiting", "given_up"] | None

# after one of these, this run requests nothing more
NOT_NOW: Final = (
    Unavailable,
    KeyStoreDisabled,
    KeyStoreForbidden,
    RateLimited,
    FreeDailyLimit,
    UpstreamBusy,
    UpstreamTimeout,
    UpstreamUnreachable,
)


class Reconciler:
    """The use case `reconcile_generations`. One per instance."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        progress: Progress,
        conversations: ConversationStore,
        keys: KeyPool,
        openrouter: OpenRouter,
        find_file: Callable[[str], Awaitable[object | None]],
        limits: GenerationLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`find_file` returns None for a path at which Cloud Storage has no file."""
        self._store = store
        self._progress = progress
        self._conversations = conversations
        self._keys = keys
        self._openrouter = openrouter
        self._find_file = find_file
        self._limits = limits
        self._now = now

    async def run(self) -> dict[str, int]:
        """Return `{closed, costed, givenUp, waiting}`.

        These are the numbers of entries that this run closed, corrected and gave up, and of those
        that still wait for their cost. If OpenRouter or Secret Manager fails, a later run retries.

        Raises:
            LedgerUnavailable: The next scheduled run tries again.
        """
        until = asyncio.get_running_loop().time() + self._limits.reconcile_s
        closed = await self._pages(self._store.overdue, self._close, until)
        costs = _CostRun(
            store=self._store,
            keys=self._keys,
            openrouter=self._openrouter,
            limits=self._limits,
            now=self._now,
            until=until,
        )
        looked = await self._pages(self._store.cost_due, costs.reconcile, until)
        summary = {
            "closed": len(closed),
            "costed": looked.count("costed"),
            "givenUp": looked.count("given_up"),
            "waiting": await self._store.count_cost_due(),
        }
        log.info("reconciled", **summary)
        return summary

    # -- what a killed instance left ---------------------------------------------------------------

    async def _close(self, stored: StoredEntry) -> bool:
        if not await self._recover(stored) and not self._is_hopeless(stored):
            return False
        closed = await self._store.close(stored, self._now())
        if closed:
            log.warning("generation_closed", generation=stored.id)
            await self._erase_progress(stored)
        return closed

    def _is_hopeless(self, stored: StoredEntry) -> bool:
        """Return whether recovering its answer has failed for so long that it is given up."""
        return self._now() - stored.admitted_at > timedelta(seconds=self._limits.rescue_s)

    async def _erase_progress(self, stored: StoredEntry) -> None:
        """Delete the stored progress: its text is in the conversation now, or belongs to none."""
        try:
            await self._progress.erase(stored.id)
        except FirestoreError as error:
            log.warning("progress_not_deleted", type=error.cause)  # it expires

    async def _recover(self, stored: StoredEntry) -> bool:
        """Store what there is of the answer in its conversation. Return whether that is done."""
        if stored.place is None or stored.uid is None:
            return True
        try:
            pieces = latest(await self._progress.read(stored.id))
            result: dict[str, str] = {
                "text": "".join(piece.text for piece in pieces),
                "finishReason": "stopped",
            }
            if reasoning := "".join(piece.reasoning for piece in pieces):
                result["reasoning"] = reasoning
            await self._conversations.recover_answer(
                stored.uid,
                stored.place.to_document(),
                result,
                Restarting.reason,
                lambda: self._question(stored),
            )
        except CallableError as error:
            log.error("answer_not_rescued", generation=stored.id, reason=error.reason)
            return False
        return True

    async def _question(self, stored: StoredEntry) -> Json | None:
        """Return the question without files that were sent with the call but never stored."""
        question = stored.question
        files = question.get("attachments") if question else None
        if question is None or not isinstance(files, list):
            return question
        found = [file for file in files if await self._find_file(file["path"]) is not None]
        return {**question, "attachments": found}

    # -- page by page ------------------------------------------------------------------------------

    async def _pages(
        self,
        read: Callable[[datetime, int], Awaitable[list[StoredEntry]]],
        work: Callable[[StoredEntry], Awaitable[T]],
        until: float,
    ) -> list[T]:
        """Process entries, a few at a time, until none are left or time is up; return the outcomes.

        Entries that were not started by then are left to the next run. Those that take too long
        after that are cancelled.
        """
        room = asyncio.Semaphore(self._limits.reconcile_at_once)
        done: list[T] = []

        async def in_turn(stored: StoredEntry) -> T | None:
            async with room:
                if asyncio.get_running_loop().time() >= until:
                    return None
                try:
                    async with asyncio.timeout_at(until + self._limits.reconcile_end_s):
                        return await work(stored)
                except TimeoutError:
                    log.warning("reconcile_cut", generation=stored.id)
                    return None

        while asyncio.get_running_loop().time() < until:
            page = await read(self._now(), self._limits.reconcile_page)
            moved: list[T] = []
            for outcome in await asyncio.gather(*map(in_turn, page), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome  # Firestore is unavailable: the next run tries again
                if outcome:
                    moved.append(outcome)
            done += moved
            if len(page) < self._limits.reconcile_page or not moved:
                break
        return done


class _CostRun:
    """One run's requests for what generations really cost."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        keys: KeyPool,
        openrouter: OpenRouter,
        limits: GenerationLimits,
        now: Callable[[], datetime],
        until: float,
    ) -> None:
        self._store = store
        self._keys = keys
        self._openrouter = openrouter
        self._limits = limits
        self._now = now
        self._until = until  # by the loop's clock
        self._over = False
        self._useless_versions: set[int] = set()  # versions that can't be read, or are refused

    async def reconcile(self, stored: StoredEntry) -> CostOutcome:
        """Request one entry's cost, and record the outcome."""
        attempts = billed_attempts(stored)
        if attempts is None:
            return "given_up" if await self._store.give_up(stored, self._now()) else None
        if self._over or asyncio.get_running_loop().time() > self._until:
            return None
        usages = await self._usages(attempts, stored.feature)
        now = self._now()
        cost = total(usages).cost_nano_usd if usages else None
        if usages and cost is not None:
            own = [u for u, attempt in zip(usages, attempts, strict=True) if not attempt.purpose]
            corrected = await self._store.correct(stored, total(own).to_wire(), cost, now)
            return "costed" if corrected else None
        age = now - stored.ended_at
        if age >= timedelta(seconds=self._limits.cost_sought_s):
            log.warning("cost_given_up", generation=stored.id)
            return "given_up" if await self._store.give_up(stored, now) else None
        # most ids become known within minutes; the others are requested less and less often
        pause = max(timedelta(seconds=self._limits.cost_pause_s), age / 2)
        return "waiting" if await self._store.postpone(stored, now + pause) else None

    async def _usages(
        self, attempts: Sequence[AttemptRecord], feature: str | None
    ) -> list[Usage] | None:
        """Return the usage of each attempt; None unless OpenRouter reports all of them."""
        found = []
        try:
            for attempt in attempts:
                usage = await self._usage(attempt, feature)
                if usage is None:
                    return None
                found.append(usage)
        except CallableError as error:
            log.warning("cost_not_told", reason=error.reason)
            self._over = self._over or isinstance(error, NOT_NOW)
            return None
        return found

    async def _usage(self, attempt: AttemptRecord, feature: str | None) -> Usage | None:
        """Use the key that the attempt was made with, or else the one that is active now."""
        if attempt.upstream_id is None:  # there is nothing to look up
            return None
        key = await self._key_of(attempt)
        if key is not None:
            try:
                return await self._openrouter.generation_usage(attempt.upstream_id, key)
            except (KeyInvalid, UpstreamForbidden):
                self._forget_key(attempt)
        current = await self._keys.slot(feature).get()
        return await self._openrouter.generation_usage(attempt.upstream_id, current)

    async def _key_of(self, attempt: AttemptRecord) -> Secret | None:
        version = attempt.key_version
        if version is None or version in self._useless_versions:
            return None
        try:
            return await self._keys.read(version)
        except CallableError:  # disabled since, or Secret Manager is unavailable
            self._forget_key(attempt)
            return None

    def _forget_key(self, attempt: AttemptRecord) -> None:
        if attempt.key_version is not None:
            self._useless_versions.add(attempt.key_version)


def billed_attempts(stored: StoredEntry) -> list[AttemptRecord] | None:
    """Return the attempts to look up; None if one without an id may have been charged.

    An attempt that failed without an id never began, and OpenRouter does not charge for it. But an
    attempt that was stopped, or killed with its instance, before its id arrived may have been
    charged. Likewise, if an instance was killed after a failure was noted, another attempt may have
    followed.
    """
    attempts = [a for a in stored.attempts if not (a.purpose and is_free(a.model or ""))]
    own = [a for a in attempts if not a.purpose]
    interrupted = stored.status == "interrupted"
    if interrupted and (not own or own[-1].reason not in {None, "stopped"}):
        return None
    if any(a.upstream_id is None and a.reason in {None, "stopped"} for a in attempts):
        return None
    return [attempt for attempt in attempts if attempt.upstream_id is not None]
