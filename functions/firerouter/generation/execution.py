"""One prompt through one feature. Read `_generate` first, top to bottom.

    settings -> prepare -> ledger.admit -> a cached answer, or OpenRouter -> frames
        -> ledger.settle -> result

Whatever happens after `admit` (an answer, a failure, a disconnect, a shutdown) ends in `settled`:
the connection to OpenRouter is closed, and the entry is settled once.

The task of the first call owns the generation. If the same request arrives again on the same
instance, it joins the listeners. When the last listener has left, the generation is stopped.

If the feature lets answers continue without a listener, the path forks after `admit`:

    callable    -> handover.enqueue -> follow the progress until there is a result
    task queue  -> handover.claim -> prepare -> a cached answer, or OpenRouter, then as above
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import cast

from .. import log
from ..callable import Call, CallableError
from ..contract import ROOT, ExecutePrompt, PromptResult, ResumeGeneration, from_stored, parse
from ..conversations import ConversationStore
from ..delivery import Claim, Follower, Handover, Progress, QueuedRequest, StopSignals
from ..errors import AlreadyRunning, ConversationUnknown, RequestIdReused, Restarting
from ..features import AppSettingsStore, Feature
from ..files import Attachments, FileLimits, split_annotations
from ..ledger import (
    NOTHING,
    Admission,
    Admitted,
    Caps,
    ConversationLink,
    FeatureUse,
    Ledger,
    OpenEntry,
    Payer,
    Place,
    RequestKey,
    generation_id,
)
from ..openrouter import Interrupted
from ..users import Caller
from .active import ActiveGeneration, HandedOver, Origin, origin_of
from .answer import AdmittedGeneration, Answerer, AnswerOutcome, AnswerRun
from .cache import CachedAnswer, ResponseCache, is_cacheable, saved_nano_usd
from .exits import Ending, settled, to_its_end, unforeseen, unsent
from .joint_admission import Admitter, FollowingPart, JointPart
from .limits import GenerationLimits
from .preparation import PreparedRequest, RequestBuilder
from .result import conclude
from .user_caps import UserCaps


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a request is admitted.

    Attributes:
        admitter: Admits it: the ledger, or its part of a joint admission.
        caps: The limits that apply to it.
        payer: Who called.
    """

    admitter: Admitter
    caps: Caps
    payer: Payer


class PromptExecution:
    """The use case `execute_prompt`. One per instance."""

    def __init__(
        self,
        *,
        app_settings: AppSettingsStore,
        builder: RequestBuilder,
        answerer: Answerer,
        attachments: Attachments,
        conversations: ConversationStore,
        ledger: Ledger,
        handover: Handover,
        progress: Progress,
        follower: Follower,
        cache: ResponseCache,
        stops: StopSignals,
        user_caps: UserCaps,
        limits: GenerationLimits,
        file_limits: FileLimits,
    ) -> None:
        self._app_settings = app_settings
        self._builder = builder
        self._answerer = answerer
        self._attachments = attachments
        self._conversations = conversations
        self._ledger = ledger
        self._handover = handover
        self._progress = progress
        self._follower = follower
        self._cache = cache
        self._stops = stops
        self._user_caps = user_caps
        self._limits = limits
        self._file_limits = file_limits
        self._active: dict[str, ActiveGeneration] = {}
        self._goes_down = False

    async def execute_prompt(self, call: Call[Caller]) -> PromptResult:
        """Return the result of a prompt, or of an earlier one that is resumed.

        Raises:
            CallableError: See docs/reference/execute_prompt.md.
        """
        data = call.data
        if isinstance(data, dict) and data.get("resume") is not None:
            resumed = parse(ResumeGeneration, data).resume
            return await self._resume(await self.origin_of(call), resumed)
        request = parse(ExecutePrompt, data)
        return await self.run(await self.origin_of(call), request)

    async def origin_of(self, call: Call[Caller]) -> Origin:
        """Return where a call comes from whose data were parsed."""
        return await origin_of(call, self._ledger.background)

    async def run(
        self,
        origin: Origin,
        request: ExecutePrompt,
        override: Feature | None = None,
        *,
        admission: JointPart | FollowingPart | None = None,
    ) -> PromptResult:
        """Run a request that has been parsed, or join the same one if it is running.

        Args:
            origin: Where it comes from, and where its frames go.
            request: What to run.
            override: The feature that answers in place of the stored one.
            admission: Its part of a joint admission, unless it is admitted alone.

        Raises:
            CallableError: As `execute_prompt`.
        """
        id_ = generation_id(origin.uid, request.request_id)
        if (active := self._active.get(id_)) is not None:
            if active.payload != origin.payload:
                raise RequestIdReused
            if admission is not None:
                admission.leave()  # the running one was admitted before
            return await self._join(active, origin)
        if self._goes_down:
            raise Restarting
        active = ActiveGeneration(
            id_, origin.uid, origin.payload, origin.trace_id, total_s=self._limits.total_s
        )
        active.listeners.add(origin.listener)
        work = self._generate(active, origin, request, override, admission or self._ledger)
        outcome = await self._own(active, work)
        return await self._result(outcome, origin, id_)

    async def deliver(self, id_: str) -> dict[str, object]:
        """Answer a queued request; its entry has the result. Do nothing if it is delivered twice.

        Raises:
            LedgerUnavailable: The queue should deliver it again.
        """
        if (active := self._active.get(id_)) is not None:
            await asyncio.wait({active.outcome})  # the call that queued it is about to end
        claim = await self._claim(id_)
        if claim is None:
            return {}
        admission = claim.entry.admission
        active = ActiveGeneration(
            id_,
            admission.uid,
            admission.request.payload,
            trace_id="",
            total_s=self._limits.total_s,
            needs_listener=False,
        )
        if claim.is_stopped:
            active.stop()
        with suppress(CallableError):  # the entry records it
            await self._own(active, self._continue(active, claim.entry))
        return {}

    def interrupt(self) -> None:
        """End what is running, while there is time to settle it, and start nothing more."""
        self._goes_down = True
        for active in self._active.values():
            active.interrupt()

    # -- who runs it, and who joins ----------------------------------------------------------------

    async def _resume(self, origin: Origin, id_: str) -> PromptResult:
        active = self._active.get(id_)
        if active is None or active.uid != origin.uid:
            return await self._follower.resume(origin.listener, origin.uid, id_)
        return await self._join(active, origin)

    async def _join(self, active: ActiveGeneration, origin: Origin) -> PromptResult:
        if len(active.listeners) >= self._limits.listeners_max:
            raise AlreadyRunning(retry_after_seconds=2, generationId=active.id)
        active.listeners.add(origin.listener)
        return await self._result(await asyncio.shield(active.outcome), origin, active.id)

    async def _result(
        self, outcome: PromptResult | HandedOver, origin: Origin, id_: str
    ) -> PromptResult:
        if isinstance(outcome, HandedOver):  # it needs no listener, so this call only follows it
            return await self._follower.follow(origin.listener, origin.uid, id_)
        return outcome

    async def _own(
        self, active: ActiveGeneration, work: Awaitable[PromptResult | HandedOver]
    ) -> PromptResult | HandedOver:
        """Do the work, registered so that others can join or stop it."""
        self._active[active.id] = active
        try:
            with self._stops.register(active.id, active.uid, active.stop):
                outcome = await work
        except BaseException as error:
            failure = error if isinstance(error, CallableError) else Restarting()
            active.outcome.set_exception(failure)
            active.outcome.exception()  # mark it as retrieved: there may be no other waiter
            raise
        else:
            active.outcome.set_result(outcome)
            return outcome
        finally:
            del self._active[active.id]
            self._attachments.release(active.id)

    # -- from the request to the settled entry -----------------------------------------------------

    async def _generate(
        self,
        active: ActiveGeneration,
        origin: Origin,
        request: ExecutePrompt,
        override: Feature | None,
        admitter: Admitter,
    ) -> PromptResult | HandedOver:
        feature, app = await asyncio.gather(
            self._builder.feature(request, active.uid, override), self._app_settings.get()
        )
        active.deadline.cap_total(feature.settings.total_s)
        caps, payer = await self._user_caps.of(origin.caller, app, feature)
        if request.request_id is None:  # else it may have been answered before
            self._ledger.check(origin.uid, feature.id, caps)
        prepared = await self._builder.prepare(request, feature, app, active.uid, active.id)
        origin.release()  # its files count by themselves from now on
        await prepared.upstream.keys.get()  # so that a missing key fails before anything is counted
        with self._cache.making(prepared.cache_id) as same:
            # a part of a joint admission must not wait: it would hold up the others (see `cache`)
            if same is not None and not isinstance(admitter, JointPart):
                await self._wait_for(same, active)
            return await self._run(active, request, prepared, Terms(admitter, caps, payer))

    async def _wait_for(self, same: asyncio.Future[None], active: ActiveGeneration) -> None:
        """Wait until the same request has been answered, or this one is stopped."""
        with suppress(Interrupted), active.deadline.guard():
            await asyncio.wait({same})

    async def _run(
        self,
        active: ActiveGeneration,
        request: ExecutePrompt,
        prepared: PreparedRequest,
        terms: Terms,
    ) -> PromptResult | HandedOver:
        """Admit a prepared request and answer it."""
        cached = await self._cache.get(prepared.cache_id)
        # a cached answer takes no time, so it needs no queue
        continues = prepared.may_continue and cached is None
        try:
            admitted = await terms.admitter.admit(
                _admission(active, prepared, terms.payer, cached, continues=continues), terms.caps
            )
        except AlreadyRunning as elsewhere:
            if continues and "generationId" in elsewhere.details:
                return HandedOver()
            raise
        if not isinstance(admitted, Admitted):
            return cast(
                PromptResult, from_stored(admitted.result)
            )  # the same request was answered before
        async with self._unsent(active, admitted.entry):
            prepared = _as_admitted(prepared, admitted.entry)
            writer = self._conversations.writer(prepared.thread) if prepared.thread else None
            generation = AdmittedGeneration(
                active, prepared, admitted.entry, cached, writer, admitted.remaining
            )
            if continues and not active.stop_requested:
                return await self._hand_over(generation, request)
            run = self._answerer.start(generation)
        return await self._answer(generation, run)

    async def _hand_over(
        self, generation: AdmittedGeneration, request: ExecutePrompt
    ) -> HandedOver:
        """Queue the request as it arrived. The task again drops what its model does not support."""
        active, prepared, writer = generation.active, generation.prepared, generation.writer
        if writer is not None and not (
            writer.thread.place.is_new or writer.thread.place.is_regeneration
        ):
            # fix its place now: another message may be stored before the task runs
            parent = writer.thread.place.parent.message or ROOT
            request = request.model_copy(update={"parent_message_id": parent})
        await self._answerer.write_question(prepared, writer)
        written = writer.written_question() if writer else None
        queued = QueuedRequest(request, prepared.feature, active.trace_id, written)
        await self._handover.enqueue(active.id, queued)
        self._ledger.let_go(generation.entry)
        return HandedOver()

    async def _claim(self, id_: str) -> Claim | None:
        """Claim a queued generation. If this task is cancelled meanwhile, end the entry."""
        claimed: list[Claim] = []

        async def claim() -> None:
            if (one := await self._handover.claim(id_)) is not None:
                self._ledger.adopt(one.entry)
                claimed.append(one)

        try:
            await to_its_end(claim())
        except asyncio.CancelledError:
            for one in claimed:
                await self._ledger.settle(one.entry, unsent(one.entry))
            raise
        return claimed[0] if claimed else None

    async def _continue(self, active: ActiveGeneration, entry: OpenEntry) -> PromptResult:
        """Continue a generation that was handed over, from where `_generate` left off."""
        async with self._unsent(active, entry):
            if entry.state.texts_erased:  # and the queued request with them
                raise ConversationUnknown(field="conversationId")
            queued = await self._handover.take_request(active.id)
            active.trace_id = queued.trace_id
            active.deadline.cap_total(queued.feature.settings.total_s)
            app = await self._app_settings.get()
            prepared = await self._builder.prepare(
                queued.request, queued.feature, app, active.uid, active.id
            )
            prepared = _as_admitted(prepared, entry)
            writer = None
            if prepared.thread is not None:
                writer = self._conversations.writer(prepared.thread, queued.question_state)
            cached = await self._cache.get(prepared.cache_id)
            generation = AdmittedGeneration(active, prepared, entry, cached, writer)
            run = self._answerer.start(generation)
        return await self._answer(generation, run)

    @asynccontextmanager
    async def _unsent(self, active: ActiveGeneration, entry: OpenEntry) -> AsyncIterator[None]:
        """While entered, nothing has been sent to OpenRouter: any error settles the entry unbilled.

        Raises:
            CallableError: The error that its caller gets.
        """
        try:
            yield
        except Exception as error:
            failure = (
                error if isinstance(error, CallableError) else unforeseen(error, active.trace_id)
            )
            await self._ledger.settle(entry, unsent(entry, failure))
            failure.details["generationId"] = active.id
            raise failure from None
        except BaseException:  # the task was cancelled
            await self._ledger.settle(entry, unsent(entry))
            raise

    async def _answer(self, generation: AdmittedGeneration, run: AnswerRun) -> PromptResult:
        """Answer an admitted generation, and settle it however it ends."""
        return await settled(
            run.stream(),
            lambda ending: self._settle(generation, run, ending),
            trace_id=generation.active.trace_id,
        )

    async def _settle(
        self, generation: AdmittedGeneration, run: AnswerRun, ending: Ending
    ) -> PromptResult | CallableError:
        """Store the answer, its costs and its files, and return what the caller gets."""
        active, prepared = generation.active, generation.prepared
        end = conclude(generation, run, ending, self._limits)
        ending, answered, outcome = end.ending, end.answered, end.outcome
        # before the entry ends, so that whoever deletes the conversation finds what was stored
        stored, cache_id = True, None
        if generation.writer is not None or prepared.cache_id is not None:
            stored, cache_id = await asyncio.gather(
                self._store_answer(generation, answered, end.result, ending),
                self._cache_answer(generation, ending, end.result),
            )
        if generation.texts_erased:
            outcome = outcome.without_texts()
        else:
            outcome = replace(outcome, cache_id=prepared.cache_id if answered.cached else cache_id)
        works = [self._ledger.settle(generation.entry, outcome)]
        if self._progress.is_known(active.id):
            works.append(self._progress.forget(active.id, delete=stored))
        if generation.writer is not None:
            works.append(run.keep_images())
        await (asyncio.gather(*works) if len(works) > 1 else works[0])
        if cache_id is not None and generation.texts_erased:
            await self._cache.delete(cache_id)
        if ending.failure is None:
            return end.told
        ending.failure.details["generationId"] = active.id
        if outcome.cost_nano_usd != 0:  # what it generated is billed nevertheless
            ending.failure.details["usage"] = end.told["usage"]
        thread = prepared.thread
        if end.told["text"] and not (thread is not None and thread.place.persisted):
            ending.failure.details["text"] = end.told["text"]  # nobody else has it
        return ending.failure

    async def _store_answer(
        self,
        generation: AdmittedGeneration,
        answered: AnswerOutcome,
        result: PromptResult,
        ending: Ending,
    ) -> bool:
        """Store the answer in its conversation, before its entry says that it has ended.

        Returns:
            Whether it is stored, or belongs to no conversation.
        """
        writer = generation.writer
        if writer is None:
            return True
        try:
            return await writer.write_answer(
                result,
                ending.status,
                ending.failure.reason if ending.failure else None,
                annotations=split_annotations(
                    writer.thread.place.answer_id, list(answered.annotations), self._file_limits
                ),
                summary=answered.summary,
            )
        except Exception as error:
            log.unexpected(error, generation.active.trace_id)
            return False

    async def _cache_answer(
        self, generation: AdmittedGeneration, ending: Ending, result: PromptResult
    ) -> str | None:
        """Cache the answer for identical requests, if the feature wants that. Return its id."""
        prepared, id_ = generation.prepared, generation.prepared.cache_id
        if id_ is None or prepared.request.temporary or not is_cacheable(ending.status, result):
            return None
        seconds = prepared.app.retention.cache_s(prepared.feature.settings.cache_seconds)
        try:
            await self._cache.put(id_, result, generation.active.uid, seconds)
        except Exception as error:
            log.unexpected(error, generation.active.trace_id)
        return id_


def _as_admitted(prepared: PreparedRequest, entry: OpenEntry) -> PreparedRequest:
    """Return the request, shortened to what the budgets had left."""
    admission = entry.admission
    if not admission.is_shortened:
        return prepared
    return prepared.shortened(admission.reserve.completion_tokens)


def _admission(
    active: ActiveGeneration,
    prepared: PreparedRequest,
    payer: Payer,
    cached: CachedAnswer | None,
    *,
    continues: bool,
) -> Admission:
    request, feature, thread = prepared.request, prepared.feature, prepared.thread
    place = Place.from_document(thread.entry_place()) if thread else None
    link = None
    if thread is not None and place is not None:
        link = ConversationLink(place=place, question=thread.entry_question())
    return Admission(
        id=active.id,
        uid=active.uid,
        request=RequestKey(payload=active.payload, request_id=request.request_id),
        feature=FeatureUse(
            id=feature.id,
            revision=feature.saved_revision,
            model=prepared.upstream.models[0],
            is_test=feature.test,
        ),
        reserve=prepared.reserve if cached is None else NOTHING,
        payer=payer,
        saved_nano_usd=None if cached is None else saved_nano_usd(cached),
        conversation=link,
        continues=continues,
        streams=feature.settings.stream,
        retention=prepared.app.retention,
    )
