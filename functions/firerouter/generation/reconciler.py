"""Closes what killed instances left running, and corrects costs that were not known.

    running, past its deadline   -> interrupted; its place is given back, and its progress is stored
                                    in its conversation as the answer, without OpenRouter
    ended, its cost an estimate  -> GET /generation for each attempt whose cost is an estimate
                                    -> the message in its conversation and the entry are corrected

    its result has expired       -> removed; see `ledger.Retention`

Each attempt is corrected as soon as OpenRouter knows its cost. Until then it is looked up again
later, and given up after a day: then the estimate stands, as it does if OpenRouter never sent an
id. To spare OpenRouter, a run makes only a few requests at once, and none after a 429 or a request
without an answer.

An entry that fails holds up no other: a run moves on, one that was out of time goes on where the
last one on this instance stopped, and Firestore's failure is reported when all else is done.

Running twice does no harm, not even at the same time: see `ledger.store` for the guards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

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
# None: another run was faster, or this run makes no more requests
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
        """`find_file` returns None if Cloud Storage has no file at the path."""
        self._store = store
        self._progress = progress
        self._conversations = conversations
        self._keys = keys
        self._openrouter = openrouter
        self._find_file = find_file
        self._limits = limits
        self._now = now
        self._stopped_at: dict[str, StoredEntry] = {}  # by what was done: the last run's last entry

    async def run(self) -> dict[str, int]:
        """Return `{closed, costed, givenUp, waiting}`.

        These are the numbers of entries that this run closed, corrected and gave up on, and of
        those that still wait for their cost. If OpenRouter or Secret Manager fails, a later run
        tries again.

        Raises:
            LedgerUnavailable: The next scheduled run tries again.
        """
        loop, failures = asyncio.get_running_loop(), list[CallableError]()
        until = loop.time() + self._limits.reconcile_s
        closed = await self._pages("close", self._store.overdue, self._close, until, failures)
        costs = _CostRun(
            store=self._store,
            conversations=self._conversations,
            keys=self._keys,
            openrouter=self._openrouter,
            limits=self._limits,
            now=self._now,
            until=until,
        )
        looked = await self._pages("cost", self._store.cost_due, costs.reconcile, until, failures)
        page = self._limits.results_page
        while loop.time() < until and await self._store.remove_results(self._now(), page):
            pass
        summary = {
            "closed": len(closed),
            "costed": looked.count("costed"),
            "givenUp": looked.count("given_up"),
            "waiting": await self._store.count_cost_due(),
        }
        log.info("reconciled", **summary)
        if failures:
            raise failures[0]
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
        """Return whether recovering its answer has failed for too long to try again."""
        return self._now() - stored.admitted_at > timedelta(seconds=self._limits.rescue_s)

    async def _erase_progress(self, stored: StoredEntry) -> None:
        """Delete the stored progress: its text is in the conversation now, if it belongs to one."""
        try:
            await self._progress.erase(stored.id)
        except FirestoreError as error:
            log.warning("progress_not_deleted", type=error.cause)  # it expires

    async def _recover(self, stored: StoredEntry) -> bool:
        """Store the answer so far in its conversation. Return whether that is done."""
        if stored.place is None or stored.uid is None:
            return True
        try:
            pieces = latest(await self._progress.read(stored.id))
            result: dict[str, str] = {"text": "".join(piece.text for piece in pieces)}
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
        name: str,
        read: Callable[[datetime, int, StoredEntry | None], Awaitable[list[StoredEntry]]],
        work: Callable[[StoredEntry], Awaitable[T | None]],
        until: float,
        failures: list[CallableError],
    ) -> list[T]:
        """Process entries, a few at a time, until none are left or time is up; return the outcomes.

        It begins where the last run stopped, and comes to those before that at its end.

        Args:
            name: What is done, by which the next run finds where this one stopped.
            read: Returns a page of entries, behind one of them.
            work: Processes one.
            until: When time is up, by the loop's clock.
            failures: Firestore's failures are added here: they end what is done, not the run.
        """
        clock, size = asyncio.get_running_loop().time, self._limits.reconcile_page
        after, done = self._stopped_at.pop(name, None), list[T]()
        seen, is_first_round = set[str](), after is not None
        while clock() < until:
            page = await read(self._now(), size, after)
            new = [stored for stored in page if stored.id not in seen]
            turn = _Turn(work, until=until, limits=self._limits)
            outcomes = await turn.take(new)
            seen |= {stored.id for stored in new}
            done += outcomes
            failures += turn.failures
            if turn.stopped_at is not None:
                self._stopped_at[name] = turn.stopped_at
            if turn.failures and len(turn.failures) == len(new):
                break  # Firestore is unavailable
            if len(page) == size:
                after = page[-1]
            elif is_first_round:
                after, is_first_round = None, False
            else:
                break
        return done


class _Turn:
    """One page of entries, which are processed a few at a time."""

    def __init__(
        self,
        work: Callable[[StoredEntry], Awaitable[object]],
        *,
        until: float,
        limits: GenerationLimits,
    ) -> None:
        self.failures: list[CallableError] = []
        self.stopped_at: StoredEntry | None = None  # the last one that was begun in time
        self._work = work
        self._until = until
        self._limits = limits
        self._room = asyncio.Semaphore(limits.reconcile_at_once)

    async def take(self, page: Sequence[StoredEntry]) -> list[Any]:
        """Process these, and return what came of those that were moved.

        Entries that are not started in time are left to the next run. Those that take too long
        after that are cancelled.
        """
        begun: list[StoredEntry] = []
        outcomes = await asyncio.gather(*(self._one(stored, begun) for stored in page))
        if begun and len(begun) < len(page):
            self.stopped_at = begun[-1]
        return [outcome for outcome in outcomes if outcome]

    async def _one(self, stored: StoredEntry, begun: list[StoredEntry]) -> object:
        async with self._room:
            if asyncio.get_running_loop().time() >= self._until:
                return None
            begun.append(stored)
            try:
                async with asyncio.timeout_at(self._until + self._limits.reconcile_end_s):
                    return await self._work(stored)
            except TimeoutError:
                log.warning("reconcile_cut", generation=stored.id)
            except CallableError as error:
                log.error("not_reconciled", generation=stored.id, reason=error.reason)
                self.failures.append(error)
            except Exception as error:  # what is wrong with one entry is no matter of the others
                log.unexpected(error, trace_id="")
                log.error("not_reconciled", generation=stored.id, reason=CallableError.reason)
            return None


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
        """Look up one entry's costs, and record the result."""
        wanted = attempts_to_ask_for(stored)
        if not wanted:
            return "given_up" if await self._store.give_up(stored, self._now()) else None
        if self._over or asyncio.get_running_loop().time() > self._until:
            return None
        reported = await self._reported(stored, wanted)
        now = self._now()
        # the later of the two, because an instance's clock may have been set back in between
        age = now - max(stored.ended_at, stored.admitted_at)
        is_old = age >= timedelta(seconds=self._limits.cost_sought_s)
        # OpenRouter knows most ids within minutes; after that, it is asked less and less often
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

        This comes before the entry: once that is corrected, no run looks at either again.

        Returns:
            Whether that is done, or has failed for too long for the entry to wait for it.
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
        """Return what OpenRouter reports about these attempts, without those it does not know."""
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
        """Look up one attempt, with the key it was made with, or else the one active now."""
        if attempt.upstream_id is None:
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
    """Return the indexes of attempts whose cost is unknown or estimated but can be looked up."""
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
    """Return an entry's attempts, usage and cost, corrected by what OpenRouter reported.

    Args:
        stored: The entry.
        reported: What OpenRouter reported, by the attempt's index.
        due_at: When to look up the others again; None if they are given up.
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
    """Return an attempt with a cost of 0 if its cost is unknown and it cannot have been billed."""
    never_began = attempt.upstream_id is None and attempt.reason not in ANSWERED
    if attempt.cost_nano_usd is None and (never_began or _is_free_helper(attempt)):
        return replace(attempt, cost_nano_usd=0)
    return attempt


def _may_have_others(stored: StoredEntry, attempts: Sequence[AttemptRecord]) -> bool:
    """Return whether something may have been charged that no attempt accounts for.

    An instance that was killed after it noted a failure may have begun another attempt.
    """
    if any(attempt.cost_nano_usd is None for attempt in attempts):
        return True
    own = [attempt for attempt in attempts if not attempt.purpose]
    return stored.status == "interrupted" and (not own or own[-1].reason not in ANSWERED)


def _held_for_later(stored: StoredEntry, attempts: Sequence[AttemptRecord]) -> int:
    """Return what an unrecorded repair, title or summary may have cost.

    A killed instance may have sent such a request just before it would have noted it.
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
    """Return an entry's tokens, in which reported numbers replace the attempts' estimates."""
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
    """Return the larger of the stored and the reported count; either may miss some attempts."""
    return max(_count(usage, name), told or 0) if told is not None or name in usage else None
