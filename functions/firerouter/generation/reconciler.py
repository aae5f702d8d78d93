"""Tidies up after what nobody could: closes what a killed instance left, asks for real costs.

    running, past its deadline   -> interrupted, what it held given back, what was kept of its
                                    answer written down in its conversation: no OpenRouter needed
    ended, its cost an estimate  -> GET /generation, by each attempt's id     -> corrected

The second is asked a while later again while OpenRouter does not know an id yet, or is away, and
given up after a day: then the estimate stands. Nothing is asked where no id ever came. OpenRouter
is asked politely: a few at once, and no more in this run after it said 429 or did not answer.

Running twice is no harm, nor are two at once: see `ledger.store` for the guards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from .. import limits, log
from ..callable import CallableError
from ..conversations import ConversationStore
from ..delivery import Progress, latest
from ..errors import (
    FreeDailyLimit,
    KeyInvalid,
    RateLimited,
    Restarting,
    Unavailable,
    UpstreamBusy,
    UpstreamForbidden,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ..firestore import FirestoreError
from ..keys import Keys, Secret
from ..ledger import AttemptRecord, LedgerStore, StoredEntry
from ..models import is_free
from ..openrouter import OpenRouter, Usage, total

T = TypeVar("T")
Found = Literal["costed", "waiting", "given_up"] | None  # None: somebody else was first

# after one of these nothing more is asked in this run
NOT_NOW: Final = (
    Unavailable,
    RateLimited,
    FreeDailyLimit,
    UpstreamBusy,
    UpstreamTimeout,
    UpstreamUnreachable,
)


class Reconciler:
    """The use case `reconcile_generations`."""

    def __init__(
        self,
        *,
        store: LedgerStore,
        progress: Progress,
        conversations: ConversationStore,
        keys: Keys,
        openrouter: OpenRouter,
        look: Callable[[str], Awaitable[object | None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """look: whether there is such a file in Cloud Storage."""
        self._look = look
        self._store = store
        self._progress = progress
        self._conversations = conversations
        self._keys = keys
        self._openrouter = openrouter
        self._now = now

    async def run(self) -> dict[str, Any]:
        """Answers `{closed, costed, givenUp, waiting}`: how many entries were closed, corrected
        and given up by this run, and how many still wait for their cost.

        Raises LedgerUnavailable; what OpenRouter or Secret Manager fail to say is left for later.
        """
        until = asyncio.get_running_loop().time() + limits.RECONCILE_S
        closed = await _pages(self._store.overdue, self._close, self._now, until)
        costs = _Costs(self._store, self._keys, self._openrouter, self._now, until)
        looked = await _pages(self._store.cost_due, costs.look, self._now, until)
        summary = {
            "closed": len(closed),
            "costed": looked.count("costed"),
            "givenUp": looked.count("given_up"),
            "waiting": await self._store.count_cost_due(),
        }
        log.info("reconciled", **summary)
        return summary

    async def _close(self, stored: StoredEntry) -> bool:
        if not await self._rescue(stored) and not self._is_hopeless(stored):
            return False
        closed = await self._store.close(stored, self._now())
        if closed:
            log.warning("generation_closed", generation=stored.id)
            await self._erase(stored)
        return closed

    def _is_hopeless(self, stored: StoredEntry) -> bool:
        """Whether its answer could not be rescued for so long that it is closed without it."""
        return self._now() - stored.admitted_at > timedelta(seconds=limits.RESCUE_S)

    async def _erase(self, stored: StoredEntry) -> None:
        """What was kept of it has its place in the conversation now, or none."""
        try:
            await self._progress.erase(stored.id)
        except FirestoreError as error:
            log.warning("progress_not_deleted", type=error.cause)  # it expires

    async def _rescue(self, stored: StoredEntry) -> bool:
        """Write down in its conversation what is kept of the answer. Whether that is done with."""
        if stored.place is None or stored.uid is None:
            return True
        try:
            pieces = latest(await self._progress.read(stored.id))
            result = {"text": "".join(piece.text for piece in pieces), "finishReason": "stopped"}
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

    async def _question(self, stored: StoredEntry) -> dict[str, Any] | None:
        """Without the files that came with the call and were not stored any more."""
        question = stored.question
        files = question.get("attachments") if question else None
        if question is None or not isinstance(files, list):
            return question
        kept = [file for file in files if await self._look(file["path"]) is not None]
        return {**question, "attachments": kept}


class _Costs:
    """The looks of one run at what generations really cost."""

    def __init__(
        self,
        store: LedgerStore,
        keys: Keys,
        openrouter: OpenRouter,
        now: Callable[[], datetime],
        until: float,
    ) -> None:
        self._store = store
        self._keys = keys
        self._openrouter = openrouter
        self._now = now
        self._until = until  # by the loop's clock
        self._over = False
        self._useless: set[int] = set()  # versions that can not be read, or are refused

    async def look(self, stored: StoredEntry) -> Found:
        """Ask for one, and enter what came of it."""
        asked = billed(stored)
        if asked is None:
            return "given_up" if await self._store.give_up(stored, self._now()) else None
        if self._over or asyncio.get_running_loop().time() > self._until:
            return None
        usages = await self._usages(asked, stored.feature)
        now = self._now()
        cost = total(usages).cost_nano_usd if usages else None
        if usages and cost is not None:
            own = [u for u, tried in zip(usages, asked, strict=True) if not tried.purpose]
            corrected = await self._store.correct(stored, total(own).to_wire(), cost, now)
            return "costed" if corrected else None
        age = now - stored.ended_at
        if age >= timedelta(seconds=limits.COST_SOUGHT_S):
            log.warning("cost_given_up", generation=stored.id)
            return "given_up" if await self._store.give_up(stored, now) else None
        # an id that is not known yet mostly is in minutes; one that is not then is asked less often
        pause = max(timedelta(seconds=limits.COST_PAUSE_S), age / 2)
        return "waiting" if await self._store.postpone(stored, now + pause) else None

    async def _usages(
        self, asked: Sequence[AttemptRecord], feature: str | None
    ) -> list[Usage] | None:
        """Of each attempt; None where OpenRouter does not say of all."""
        found = []
        try:
            for attempt in asked:
                usage = await self._ask(attempt, feature)
                if usage is None:
                    return None
                found.append(usage)
        except CallableError as error:
            log.warning("cost_not_told", reason=error.reason)
            self._over = self._over or isinstance(error, NOT_NOW)
            return None
        return found

    async def _ask(self, attempt: AttemptRecord, feature: str | None) -> Usage | None:
        """With the key that the attempt was made with, else the one that serves now."""
        assert attempt.upstream_id is not None, "only what has an id is asked for"
        key = await self._key_of(attempt)
        if key is not None:
            try:
                return await self._openrouter.generation_usage(attempt.upstream_id, key)
            except (KeyInvalid, UpstreamForbidden):
                self._forget(attempt)
        serving = await self._keys.of(feature).get()
        return await self._openrouter.generation_usage(attempt.upstream_id, serving)

    async def _key_of(self, attempt: AttemptRecord) -> Secret | None:
        version = attempt.key_version
        if version is None or version in self._useless:
            return None
        try:
            return await self._keys.read(version)
        except CallableError:  # disabled since, or the vault is away
            self._forget(attempt)
            return None

    def _forget(self, attempt: AttemptRecord) -> None:
        if attempt.key_version is not None:
            self._useless.add(attempt.key_version)


def billed(stored: StoredEntry) -> list[AttemptRecord] | None:
    """The attempts to ask for; None where some may have cost that nobody can ask for.

    One that failed with no id never began, and OpenRouter does not charge for those. But one that
    was sent when its id had not come yet may have: it was stopped, or died with its instance. So
    does what was killed after a failure that was noted: another attempt may have followed it.
    """
    attempts = [a for a in stored.attempts if not (a.purpose and is_free(a.model or ""))]
    own = [a for a in attempts if not a.purpose]
    interrupted = stored.status == "interrupted"
    if interrupted and (not own or own[-1].reason not in {None, "stopped"}):
        return None
    if any(a.upstream_id is None and a.reason in {None, "stopped"} for a in attempts):
        return None
    return [attempt for attempt in attempts if attempt.upstream_id is not None]


async def _pages(
    read: Callable[[datetime, int], Awaitable[list[StoredEntry]]],
    work: Callable[[StoredEntry], Awaitable[T]],
    now: Callable[[], datetime],
    until: float,
) -> list[T]:
    """What came of each entry, page by page, a few at once, until none is left or time is up.

    What is not begun by then is left for the next run; what takes too long then, is ended.
    """
    room = asyncio.Semaphore(limits.RECONCILE_AT_ONCE)
    done: list[T] = []

    async def in_turn(stored: StoredEntry) -> T | None:
        async with room:
            if asyncio.get_running_loop().time() >= until:
                return None
            try:
                async with asyncio.timeout_at(until + limits.RECONCILE_END_S):
                    return await work(stored)
            except TimeoutError:
                log.warning("reconcile_cut", generation=stored.id)
                return None

    while asyncio.get_running_loop().time() < until:
        page = await read(now(), limits.RECONCILE_PAGE)
        moved: list[T] = []
        for result in await asyncio.gather(*map(in_turn, page), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result  # Firestore is away: the schedule comes again
            if result:
                moved.append(result)
        done += moved
        if len(page) < limits.RECONCILE_PAGE or not moved:
            break
    return done
