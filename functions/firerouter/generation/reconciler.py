"""Closes what killed instances left running, and corrects costs that were not known.

    running, past its deadline   -> interrupted, its place given back, its progress stored in its
                                    conversation as the answer: no OpenRouter needed
    ended, its cost an estimate  -> GET /generation, by the id of each attempt whose cost is one
                                    -> the message in its conversation, and the entry, corrected

    its result kept long enough  -> removed; see `ledger.Retention`

Each attempt is corrected as soon as OpenRouter knows it. One that it does not know yet, or cannot
be asked for, is asked for again later, and given up after a day: then the estimate stands. So it
does where no id ever came. OpenRouter is asked politely: a few at once, and no more in this run
after it said 429 or did not answer.

Running twice does no harm, not even at the same time: see `ledger.store` for the guards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
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
from ..ledger import AttemptRecord, Correction, Cost, LedgerStore, StoredEntry, cost_of_all
from ..models import is_free
from ..openrouter import OpenRouter, Usage, total
from .limits import GenerationLimits
from .prices import ANSWERED, usage_of

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
            conversations=self._conversations,
            keys=self._keys,
            openrouter=self._openrouter,
            limits=self._limits,
            now=self._now,
            until=until,
        )
        looked = await self._pages(self._store.cost_due, costs.reconcile, until)
        while await self._store.remove_results(self._now(), self._limits.results_page):
            if asyncio.get_running_loop().time() >= until:
                break
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
        conversations: ConversationStore,
        keys: KeyPool,
        openrouter: OpenRouter,
        limits: GenerationLimits,
        now: Callable[[], datetime],
        until: float,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._keys = keys
        self._openrouter = openrouter
        self._limits = limits
        self._now = now
        self._until = until  # by the loop's clock
        self._over = False
        self._useless_versions: set[int] = set()  # versions that can't be read, or are refused

    async def reconcile(self, stored: StoredEntry) -> CostOutcome:
        """Ask for one entry's costs, and enter what came of it."""
        wanted = attempts_to_ask_for(stored)
        if not wanted:
            return "given_up" if await self._store.give_up(stored, self._now()) else None
        if self._over or asyncio.get_running_loop().time() > self._until:
            return None
        reported = await self._reported(stored, wanted)
        now = self._now()
        # by the later of the two, for an instance's clock may have been stepped back in between
        age = now - max(stored.ended_at, stored.admitted_at)
        is_old = age >= timedelta(seconds=self._limits.cost_sought_s)
        # an id that is not known yet mostly is in minutes; one that is not then is asked less often
        pause = max(timedelta(seconds=self._limits.cost_pause_s), age / 2)
        due_at = None if is_old or len(reported) == len(wanted) else now + pause
        outcome: CostOutcome = "waiting"
        correction = correct_costs(stored, reported, due_at) if reported else None
        if correction is not None and await self._correct_message(stored, correction.usage, now):
            changed = await self._correct(stored, correction, now)
            if due_at is None:
                outcome = "given_up" if correction.cost.is_estimate else "costed"
        elif correction is not None:
            changed = await self._store.postpone(stored, now + pause)
        elif due_at is None:
            outcome, changed = "given_up", await self._store.give_up(stored, now)
        else:
            changed = await self._store.postpone(stored, due_at)
        if changed and outcome == "given_up":
            log.warning("cost_given_up", generation=stored.id)
        return outcome if changed else None

    async def _correct_message(
        self, stored: StoredEntry, usage: Mapping[str, object], now: datetime
    ) -> bool:
        """Correct the answer's message, if there is one.

        It comes before the entry: once that is corrected, nobody looks at either again.

        Returns:
            Whether that is done, or has failed for so long that the entry does not wait for it.
        """
        uid, place = stored.uid, stored.place
        if uid is None or place is None or place.message_id is None:
            return True
        conversation, message = place.conversation_id, place.message_id
        try:
            await self._conversations.correct_usage(uid, conversation, message, usage)
        except CallableError as error:
            log.error("usage_not_corrected", generation=stored.id, reason=error.reason)
            return now - stored.admitted_at > timedelta(seconds=self._limits.rescue_s)
        return True

    async def _correct(self, stored: StoredEntry, correction: Correction, now: datetime) -> bool:
        for before, attempt in zip(stored.attempts, correction.attempts, strict=True):
            if before.is_suspect and before.is_estimate and not attempt.is_estimate:
                told = {"reported": attempt.cost_nano_usd, "held": before.cost_nano_usd}
                log.warning("suspect_cost_looked_up", generation=stored.id, **told)
        return await self._store.correct(stored, correction, now)

    async def _reported(self, stored: StoredEntry, wanted: Sequence[int]) -> dict[int, Usage]:
        """Return what OpenRouter says of these attempts, as far as it does."""
        found: dict[int, Usage] = {}
        for index in wanted:
            try:
                usage = await self._usage(stored.attempts[index], stored.feature)
            except CallableError as error:
                log.warning("cost_not_told", reason=error.reason)
                self._over = self._over or isinstance(error, NOT_NOW)
                if self._over:
                    break
                continue
            if usage is not None and usage.cost_nano_usd is not None:
                found[index] = usage
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


def attempts_to_ask_for(stored: StoredEntry) -> list[int]:
    """Return which attempts OpenRouter is to be asked for: those whose cost it can still say."""
    return [
        index
        for index, attempt in enumerate(stored.attempts)
        if attempt.upstream_id is not None
        and (attempt.is_estimate or attempt.cost_nano_usd is None)
        and not _is_free_helper(attempt)
    ]


def correct_costs(
    stored: StoredEntry, reported: Mapping[int, Usage], due_at: datetime | None
) -> Correction:
    """Return an entry's attempts, usage and cost with what OpenRouter says of some attempts.

    Args:
        stored: The entry.
        reported: What it says, by the attempt's index.
        due_at: When the others are asked for again, if they are.
    """
    attempts = [
        _corrected(attempt, reported[index]) if index in reported else _without_charge(attempt)
        for index, attempt in enumerate(stored.attempts)
    ]
    held = _held_beside(stored)
    if not _may_have_others(stored, attempts):
        held = min(held, _held_for_later(stored, attempts))
    cost = cost_of_all(attempts)
    cost = Cost(cost.nano_usd + held, cost.is_estimate or held > 0)
    usage = usage_of(_tokens(stored, reported), attempts, cost)
    return Correction(attempts=attempts, usage=usage, cost=cost, due_at=due_at)


def _corrected(attempt: AttemptRecord, usage: Usage) -> AttemptRecord:
    return replace(
        attempt,
        cost_nano_usd=usage.cost_nano_usd,
        byok_nano_usd=usage.byok_nano_usd,
        is_estimate=False,
        prompt_tokens=None,
        completion_tokens=None,
    )


def _without_charge(attempt: AttemptRecord) -> AttemptRecord:
    """Return an attempt whose cost is not known, if it never began, as one that cost nothing."""
    never_began = attempt.upstream_id is None and attempt.reason not in ANSWERED
    if attempt.cost_nano_usd is None and (never_began or _is_free_helper(attempt)):
        return replace(attempt, cost_nano_usd=0)
    return attempt


def _may_have_others(stored: StoredEntry, attempts: Sequence[AttemptRecord]) -> bool:
    """Return whether something may have been charged that no attempt has the cost of.

    An instance that was killed after a failure was noted may have begun another attempt.
    """
    if any(attempt.cost_nano_usd is None for attempt in attempts):
        return True
    own = [attempt for attempt in attempts if not attempt.purpose]
    return stored.status == "interrupted" and (not own or own[-1].reason not in ANSWERED)


def _held_for_later(stored: StoredEntry, attempts: Sequence[AttemptRecord]) -> int:
    """Return what a repair, a title or a summary may have cost that was not recorded.

    An instance that was killed may just have made such a request, half a second before the note.
    """
    if stored.status != "interrupted":
        return 0
    answers = sum(not a.purpose and a.reason in ANSWERED for a in attempts)
    purposes = len({a.purpose for a in attempts if a.purpose and not _is_free_helper(a)})
    return stored.later.nano_usd if answers - 1 + purposes < stored.later.count else 0


def _held_beside(stored: StoredEntry) -> int:
    """Return how much of an entry's cost belongs to no attempt whose cost is known."""
    return max(0, stored.cost_nano_usd - cost_of_all(stored.attempts).nano_usd)


def _is_free_helper(attempt: AttemptRecord) -> bool:
    return attempt.purpose is not None and is_free(attempt.model or "")


def _tokens(stored: StoredEntry, reported: Mapping[int, Usage]) -> dict[str, object]:
    """Return an entry's tokens with what was reported of some attempts in place of estimates."""
    own = [index for index in reported if not stored.attempts[index].purpose]
    told = total(reported[index] for index in own)
    known = any(attempt.cost_nano_usd is not None for attempt in stored.attempts)
    before = stored.usage if stored.usage and known else {}
    guessed = [stored.attempts[index] for index in own]
    prompt = sum(attempt.prompt_tokens or 0 for attempt in guessed)
    completion = sum(attempt.completion_tokens or 0 for attempt in guessed)
    return Usage(
        max(0, _count(before, "promptTokens") - prompt) + told.prompt_tokens,
        max(0, _count(before, "completionTokens") - completion) + told.completion_tokens,
        _more(before, "reasoningTokens", told.reasoning_tokens),
        _more(before, "cachedTokens", told.cached_tokens),
        cache_write_tokens=_more(before, "cacheWriteTokens", told.cache_write_tokens),
    ).to_wire()


def _count(usage: Mapping[str, object], name: str) -> int:
    count = usage.get(name)
    return count if isinstance(count, int) and count > 0 else 0


def _more(usage: Mapping[str, object], name: str, told: int | None) -> int | None:
    """Return the larger of two counts, of which the one before may have been of fewer attempts."""
    return max(_count(usage, name), told or 0) if told is not None or name in usage else None
