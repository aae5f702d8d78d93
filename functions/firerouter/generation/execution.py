"""One prompt through one feature. Read `_generate` first, top to bottom.

    settings -> prepare -> ledger.admit -> a cached answer, or OpenRouter -> frames
        -> ledger.settle -> result

Whatever happens after `admit` (an answer, a failure, a client that disconnects, an instance that
shuts down) ends in `settled`: the connection to OpenRouter is closed, the entry is settled once.

The task of the first call owns the generation. If the same request arrives again on the same
instance, it joins the listeners. When the last listener has left, the generation is stopped.

If the feature lets answers continue without a listener, the path forks after `admit`:

    callable    -> handover.enqueue -> follow the progress until there is a result
    task queue  -> handover.claim -> prepare -> a cached answer, or OpenRouter, and so on as above
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import cast

from .. import log
from ..callable import Call, CallableError
from ..contract import ROOT, ExecutePrompt, PromptResult, ResumeGeneration, from_stored, parse
from ..conversations import ConversationStore
from ..delivery import Follower, Handover, Progress, QueuedRequest, StopSignals
from ..errors import AlreadyRunning, RequestIdReused, Restarting
from ..features import AppSettingsStore, Feature
from ..files import Attachments, FileLimits, split_annotations
from ..ledger import (
    Admission,
    Admitted,
    Caps,
    ConversationLink,
    FeatureUse,
    Ledger,
    OpenEntry,
    Outcome,
    Place,
    RequestKey,
    generation_id,
)
from ..users import Caller
from .active import ActiveGeneration, HandedOver, Origin, origin_of
from .answer import AdmittedGeneration, Answerer, AnswerOutcome, AnswerRun
from .cache import ResponseCache, is_cacheable
from .estimate import reserve
from .exits import Ending, settled, unforeseen
from .helper_model import helper_models
from .limits import GenerationLimits
from .preparation import PreparedRequest, RequestBuilder
from .result import build_outcome, build_result, minimal_result


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
        if isinstance(data, dict) and "resume" in data:
            if data["resume"] is not None:
                return await self._resume(origin_of(call), parse(ResumeGeneration, data).resume)
            data = {name: value for name, value in data.items() if name != "resume"}
        request = parse(ExecutePrompt, data)
        return await self.run(origin_of(call), request)

    async def run(
        self, origin: Origin, request: ExecutePrompt, override: Feature | None = None
    ) -> PromptResult:
        """Run a request that has been parsed, or join the same one if it is running.

        Args:
            origin: Where it comes from, and where its frames go.
            request: What to run.
            override: The feature that answers in place of the stored one.

        Raises:
            CallableError: As `execute_prompt`.
        """
        id_ = generation_id(origin.uid, request.request_id)
        if (active := self._active.get(id_)) is not None:
            if active.payload != origin.payload:
                raise RequestIdReused
            return await self._join(active, origin)
        if self._goes_down:
            raise Restarting
        active = ActiveGeneration(
            id_, origin.uid, origin.payload, origin.trace_id, total_s=self._limits.total_s
        )
        active.listeners.add(origin.listener)
        outcome = await self._own(active, self._generate(active, request, override))
        return await self._result(outcome, origin, id_)

    async def deliver(self, id_: str) -> dict[str, object]:
        """Answer a queued request; its entry has the result. Do nothing if it is delivered twice.

        Raises:
            LedgerUnavailable: The queue should deliver it again.
        """
        if (active := self._active.get(id_)) is not None:
            await asyncio.wait({active.outcome})  # the call that queued it is about to let go
        claim = await self._handover.claim(id_)
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
        self, active: ActiveGeneration, request: ExecutePrompt, override: Feature | None
    ) -> PromptResult | HandedOver:
        feature, app = await asyncio.gather(
            self._builder.feature(request, active.uid, override), self._app_settings.get()
        )
        active.deadline.cap_total(feature.settings.total_s)
        prepared = await self._builder.prepare(request, feature, app, active.uid, active.id)
        await prepared.upstream.keys.get()  # fail for a missing key before anything is counted
        cached = await self._cache.get(prepared.cache_id)
        # a cached answer takes no time, so it needs no queue
        continues = prepared.may_continue and cached is None
        try:
            admitted = await self._ledger.admit(
                _admission(active, prepared, continues=continues),
                Caps(user=app.limits, feature=feature.settings.caps),
            )
        except AlreadyRunning as elsewhere:
            if continues and "generationId" in elsewhere.details:
                return HandedOver()
            raise
        if not isinstance(admitted, Admitted):
            return cast(
                PromptResult, from_stored(admitted.result)
            )  # the same request was answered before
        writer = self._conversations.writer(prepared.thread) if prepared.thread else None
        generation = AdmittedGeneration(active, prepared, admitted.entry, cached, writer)
        if continues and not active.stop_requested:
            return await self._hand_over(generation, request)
        return await self._answer(generation)

    async def _hand_over(
        self, generation: AdmittedGeneration, request: ExecutePrompt
    ) -> HandedOver:
        """Queue the request as it arrived: the task drops again what its model does not support."""
        active, prepared, writer = generation.active, generation.prepared, generation.writer
        if writer is not None and not (
            writer.thread.place.is_new or writer.thread.place.is_regeneration
        ):
            # fix its place now: another message may be stored before the task runs
            parent = writer.thread.place.parent.message or ROOT
            request = request.model_copy(update={"parent_message_id": parent})
        try:
            await self._answerer.write_question(prepared, writer)
            written = writer.written_question() if writer else None
            queued = QueuedRequest(request, prepared.feature, active.trace_id, written)
            await self._handover.enqueue(active.id, queued)
        except Exception as error:
            raise await self._refuse(active, generation.entry, error) from None
        return HandedOver()

    async def _continue(self, active: ActiveGeneration, entry: OpenEntry) -> PromptResult:
        """Continue a generation that was handed over, from where `_generate` left off."""
        try:
            queued = await self._handover.take_request(active.id)
            active.trace_id = queued.trace_id
            active.deadline.cap_total(queued.feature.settings.total_s)
            app = await self._app_settings.get()
            prepared = await self._builder.prepare(
                queued.request, queued.feature, app, active.uid, active.id
            )
            writer = None
            if prepared.thread is not None:
                writer = self._conversations.writer(prepared.thread, queued.question_state)
            cached = await self._cache.get(prepared.cache_id)
        except Exception as error:
            raise await self._refuse(active, entry, error) from None
        return await self._answer(AdmittedGeneration(active, prepared, entry, cached, writer))

    async def _refuse(
        self, active: ActiveGeneration, entry: OpenEntry, error: Exception
    ) -> CallableError:
        """Settle an admitted generation that was never sent. Return the failure for the caller."""
        failure = error if isinstance(error, CallableError) else unforeseen(error, active.trace_id)
        model, reason = entry.admission.feature.model, failure.reason
        outcome = Outcome(status="failed", model=model, error=reason, cost_nano_usd=0)
        await self._ledger.settle(entry, outcome)
        failure.details["generationId"] = active.id
        return failure

    async def _answer(self, generation: AdmittedGeneration) -> PromptResult:
        """Answer an admitted generation, and settle it however it ends."""
        run = self._answerer.start(generation)
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
        answered = run.outcome()
        try:
            result = build_result(generation, answered, ending.status)
        except Exception as error:  # it has to be settled all the same
            ending = Ending("failed", unforeseen(error, active.trace_id))
            result = minimal_result(generation, answered)
        stored = await self._store_answer(generation, answered, result, ending)
        outcome = build_outcome(generation, answered, ending, result, self._limits)
        cache_id = prepared.cache_id if is_cacheable(ending.status, result) else None
        await asyncio.gather(
            self._ledger.settle(generation.entry, outcome),
            self._cache.put(
                None if prepared.request.temporary else cache_id,
                result,
                prepared.feature.settings.cache_seconds,
            ),
            *([self._progress.forget(active.id)] if stored else []),
            run.keep_images(),
        )
        if ending.failure is None:
            return result
        ending.failure.details["generationId"] = active.id
        if outcome.cost_nano_usd != 0:  # what it has generated is billed all the same
            ending.failure.details["usage"] = result["usage"]
        return ending.failure

    async def _store_answer(
        self,
        generation: AdmittedGeneration,
        answered: AnswerOutcome,
        result: PromptResult,
        ending: Ending,
    ) -> bool:
        """Store the answer in its conversation, before its entry says that it has ended.

        Returns whether it is stored, or belongs to no conversation.
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


def _admission(
    active: ActiveGeneration, prepared: PreparedRequest, *, continues: bool
) -> Admission:
    request, feature, thread = prepared.request, prepared.feature, prepared.thread
    models = [*prepared.upstream.models, *helper_models(feature.settings, thread)]
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
            revision=feature.revision,
            model=prepared.upstream.models[0],
            is_test=feature.test,
        ),
        reserve_nano_usd=prepared.upstream.image_count * reserve(models, prepared.app),
        conversation=link,
        continues=continues,
        streams=feature.settings.stream,
    )
