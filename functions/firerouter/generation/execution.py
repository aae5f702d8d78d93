"""One prompt through one feature. Read `_generate` first, top to bottom.

    settings -> what to ask -> ledger.admit -> a kept answer, or OpenRouter -> frames
        -> ledger.settle -> result

Whatever happens after `admit` (an answer, a failure, a client that hangs up, an instance that goes
down) leaves through the same lines: the connection to OpenRouter is closed, the entry settled once.

The task of the first call owns the generation; the same request again, on the same instance,
attaches to it. When the last client has left, nobody reads any more and it is stopped.

Where the feature says that an answer continues without a listener, the way forks after `admit`:

    callable    -> handover.give -> follow what is kept of it, until its result is there
    task queue  -> handover.claim -> what to ask -> a kept answer, or OpenRouter, and so on as above
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from .. import log
from ..callable import Call, CallableError
from ..contract import ROOT, ExecutePrompt, ResumeGeneration, parse, response_format
from ..conversations import ConversationStore, Thread
from ..delivery import Follower, Handover, Progress, QueuedRequest, StopSignals
from ..errors import AlreadyRunning, RequestIdReused, Restarting
from ..features import AppSettingsStore, Feature
from ..files import Attachments, reading_of
from ..ledger import (
    Admission,
    Answered,
    Caps,
    ConversationLink,
    FeatureUse,
    Ledger,
    OpenEntry,
    Outcome,
    Place,
    RequestKey,
    Status,
    generation_id,
    payload_hash,
)
from ..openrouter import Interrupted
from ..users import Caller
from .active import ActiveGeneration, AdmittedGeneration
from .answer import Answerer
from .cache import ResponseCache, response_id, worth_keeping
from .helper_model import helpers
from .preparation import RequestBuilder
from .result import build_outcome, build_result, minimal_result, reserve


class PromptExecution:
    """The use case `execute_prompt`. One an instance."""

    def __init__(
        self,
        *,
        app_settings: AppSettingsStore,
        asking: RequestBuilder,
        answering: Answerer,
        attaching: Attachments,
        conversations: ConversationStore,
        ledger: Ledger,
        handover: Handover,
        progress: Progress,
        responses: ResponseCache,
        stops: StopSignals,
    ) -> None:
        self._app_settings = app_settings
        self._asking = asking
        self._answering = answering
        self._attaching = attaching
        self._conversations = conversations
        self._ledger = ledger
        self._handover = handover
        self._progress = progress
        self._following = Follower(progress)
        self._responses = responses
        self._stops = stops
        self._running: dict[str, ActiveGeneration] = {}
        self._goes_down = False

    async def execute_prompt(self, call: Call[Caller]) -> dict[str, Any]:
        """The result of one prompt (docs/wire.md), or of one before. Raises CallableError."""
        data = call.data
        if isinstance(data, dict) and "resume" in data:
            if data["resume"] is not None:
                return await self._resume(call, parse(ResumeGeneration, data).resume)
            data = {name: value for name, value in data.items() if name != "resume"}
        return await self.run(call, parse(ExecutePrompt, data))

    async def _resume(self, call: Call[Caller], id_: str) -> dict[str, Any]:
        running = self._running.get(id_)
        if running is None or running.uid != call.caller.uid:
            return await self._following.resume(call, id_)
        running.join(call)
        result = await asyncio.shield(running.ended)
        return result or await self._following.follow(call, id_)

    async def run(
        self, call: Call[Caller], request: ExecutePrompt, given: Feature | None = None
    ) -> dict[str, Any]:
        """The same for a request that was read before. given: the feature, where it is not to
        answer as it is stored."""
        id_ = generation_id(call.caller.uid, request.request_id)
        payload = payload_hash(call.data)
        if (running := self._running.get(id_)) is not None:
            if running.payload != payload:
                raise RequestIdReused
            running.join(call)
            result = await asyncio.shield(running.ended)
        elif self._goes_down:
            raise Restarting
        else:
            running = ActiveGeneration(id_, call.caller.uid, payload, call.trace_id)
            running.temporary = request.temporary
            running.partial_json = request.partial_json
            running.join(call)
            result = await self._own(running, self._generate(running, request, given))
        # None: it needs no listener, and so this call is but one that looks on
        return result or await self._following.follow(call, id_)

    async def deliver(self, id_: str) -> dict[str, Any]:
        """Answer what was queued; delivered again, nothing. What comes of it is in its entry.

        Raises LedgerUnavailable: to be delivered again.
        """
        if (running := self._running.get(id_)) is not None:
            await asyncio.wait({running.ended})  # whoever queues it here lets go of it in a moment
        claimed = await self._handover.claim(id_)
        if claimed is not None:
            admission = claimed.entry.admission
            running = ActiveGeneration(id_, admission.uid, admission.request.payload, trace_id="")
            running.needs_listener = False
            if claimed.is_stopped:
                running.stop()
            with suppress(CallableError):  # the entry says which
                await self._own(running, self._continue(running, claimed.entry))
        return {}

    async def _own(
        self, running: ActiveGeneration, work: Awaitable[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        """Do the work, in reach of whoever joins in or stops it."""
        self._running[running.id] = running
        try:
            with self._stops.register(running.id, running.uid, running.stop):
                result = await work
        except BaseException as error:
            running.ended.set_exception(error if isinstance(error, CallableError) else Restarting())
            running.ended.exception()  # looked at: nobody else may be waiting for it
            raise
        else:
            running.ended.set_result(result)
            return result
        finally:
            del self._running[running.id]
            self._attaching.release(running.id)

    def interrupt(self) -> None:
        """The instance is going down: end what runs, while there is time to settle it, and begin
        nothing more."""
        self._goes_down = True
        for running in self._running.values():
            running.watch.stop("interrupted")

    async def _generate(
        self, running: ActiveGeneration, request: ExecutePrompt, given: Feature | None
    ) -> dict[str, Any] | None:
        """The result; None where the answer needs no listener, and so runs elsewhere."""
        feature, app = await asyncio.gather(
            self._asking.feature(request, running.uid, given), self._app_settings.get()
        )
        settings = feature.settings
        running.watch.cap_total(settings.total_s)
        running.drawn.stored = not (request.temporary or feature.test)
        ask = await self._asking.ask(running, request, feature, app)
        await ask.keys.get()  # a key that is missing is said before anything is counted
        recall = None if feature.test else response_id(feature, running.uid, ask)
        continues = await self._continues(request, feature, recall)
        admission = Admission(
            id=running.id,
            uid=running.uid,
            request=RequestKey(payload=running.payload, request_id=request.request_id),
            feature=FeatureUse(
                id=feature.id,
                revision=feature.revision,
                model=ask.models[0],
                is_test=feature.test,
            ),
            reserve_nano_usd=ask.makes
            * reserve([*ask.models, *helpers(settings, running.thread)], app),
            conversation=_link(running.thread),
            continues=continues,
            streams=settings.stream,
        )
        try:
            admitted = await self._ledger.admit(admission, Caps(app.limits, settings.caps))
        except AlreadyRunning as elsewhere:
            if continues and "generationId" in elsewhere.details:
                return None
            raise
        if isinstance(admitted, Answered):
            return response_format.restored(admitted.result)  # the same request, answered before
        entry = admitted.entry
        if continues and not running.stop_requested:
            await self._hand_over(running, request, feature, entry)
            return None
        return await self._answered(AdmittedGeneration(running, ask, feature, app, entry, recall))

    async def _continues(
        self, request: ExecutePrompt, feature: Feature, recall: str | None
    ) -> bool:
        """Whether the answer needs no listener. One of which no text may be kept always does, and
        so does one that is there already: it takes no time."""
        if feature.settings.on_disconnect == "stop" or request.temporary or feature.test:
            return False
        return await self._responses.get(recall) is None

    async def _hand_over(
        self, running: ActiveGeneration, request: ExecutePrompt, feature: Feature, entry: OpenEntry
    ) -> None:
        thread = running.thread
        if thread is not None and not (thread.new or thread.regenerates):
            # where it is now: another turn may come before the task does
            parent = thread.parent.message or ROOT
            request = request.model_copy(update={"parent_message_id": parent})
        try:
            await self._answering.write_question(running)
            written = thread.written_down() if thread else None
            asked = QueuedRequest(request, feature, running.trace_id, written)
            await self._handover.enqueue(running.id, asked)
        except Exception as error:
            raise await self._refuse(running, entry, error) from None

    async def _continue(self, running: ActiveGeneration, entry: OpenEntry) -> dict[str, Any]:
        """What was handed over, from where `_generate` left it."""
        try:
            asked = await self._handover.take_request(running.id)
            feature, running.trace_id = asked.feature, asked.trace_id
            running.watch.cap_total(feature.settings.total_s)
            app = await self._app_settings.get()
            ask = await self._asking.ask(running, asked.request, feature, app)
            if running.thread is not None and asked.question_state is not None:
                running.thread.go_on_from(asked.question_state)
        except Exception as error:
            raise await self._refuse(running, entry, error) from None
        recall = response_id(feature, running.uid, ask)
        return await self._answered(AdmittedGeneration(running, ask, feature, app, entry, recall))

    async def _refuse(
        self, running: ActiveGeneration, entry: OpenEntry, error: Exception
    ) -> CallableError:
        """End what was admitted and never asked. The failure to tell the caller of."""
        if not isinstance(error, CallableError):
            log.unexpected(error, running.trace_id)
            error = CallableError()
        model, reason = entry.admission.feature.model, error.reason
        outcome = Outcome(status="failed", model=model, error=reason, cost_nano_usd=0)
        await self._ledger.settle(entry, outcome)
        error.details["generationId"] = running.id
        return error

    async def _answered(self, job: AdmittedGeneration) -> dict[str, Any]:
        """The result of what was admitted, settled however it ends."""
        running, entry = job.running, job.entry
        # what holds unless something below says otherwise: a cancelled task has no time to say
        status: Status = "interrupted"
        failure: CallableError | None = Restarting()
        try:
            await self._answering.answer(job)
            status, failure = "done", None
        except Interrupted as interrupted:
            if interrupted.cause == "stopped":
                status, failure = "stopped", None
        except CallableError as error:
            status, failure = "failed", error
        except Exception as error:
            log.unexpected(error, running.trace_id)
            status, failure = "failed", CallableError()
        finally:
            try:
                result = build_result(job, status)
            except Exception as error:  # an exit all the same
                log.unexpected(error, running.trace_id)
                status, failure, result = "failed", CallableError(), minimal_result(job)
            written = await self._write_down(running, result, status, failure)
            outcome = build_outcome(running, entry, status, failure, result)
            keep = job.recall if worth_keeping(status, result) and not running.temporary else None
            await asyncio.gather(
                self._ledger.settle(entry, outcome),
                self._responses.put(keep, result, job.feature.settings.cache_seconds),
                *([self._progress.forget(running.id)] if written else []),
                self._answering.keep_images(running),
            )
        if failure is not None:
            failure.details["generationId"] = running.id
            if outcome.cost_nano_usd != 0:  # what it has written is paid for all the same
                failure.details["usage"] = result["usage"]
            raise failure
        return result

    async def _write_down(
        self,
        running: ActiveGeneration,
        result: dict[str, Any],
        status: Status,
        failure: CallableError | None,
    ) -> bool:
        """Into its conversation, before the ledger says that it has ended. Whether it is there now,
        where it belongs anywhere."""
        if running.thread is None:
            return True
        try:
            running.thread.reading = reading_of(running.thread.answer_id, running.files())
            reason = failure.reason if failure else None
            return await self._conversations.answer(running.thread, result, status, reason)
        except Exception as error:
            log.unexpected(error, running.trace_id)
            return False


def _link(thread: Thread | None) -> ConversationLink | None:
    """What the ledger holds for whoever has to write the answer down in our place."""
    place = Place.from_document(thread.to_entry()) if thread else None
    if thread is None or place is None:
        return None
    return ConversationLink(place=place, question=thread.to_write())
