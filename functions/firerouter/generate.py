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
from contextlib import nullcontext, suppress
from typing import Any

from . import log, prompts
from .appsettings import AppSettings, AppSettingsStore
from .asides import Asides, helpers
from .callable import Call, CallableError
from .choice import Choice
from .contract import ROOT, ExecutePrompt, ResumeGeneration, parse
from .conversations import Conversations
from .errors import AlreadyRunning, RequestIdReused, Restarting
from .features import Features
from .following import Following
from .handover import Asked, Handover
from .identity import Caller
from .keys import Keys
from .ledger import Admission, Entry, Ledger, Outcome, Status, generation_id, payload_hash
from .models import is_free
from .openrouter import ChatRequest, Interrupted, OpenRouter, nano_usd
from .progress import Progress
from .responses import Responses, response_id, worth_keeping
from .running import Job, Running, attempts_of, outcome_of, result_of
from .settings import Feature
from .stops import Stops


class Generate:
    """The use case `execute_prompt`. One an instance."""

    def __init__(
        self,
        *,
        features: Features,
        app_settings: AppSettingsStore,
        keys: Keys,
        choice: Choice,
        asides: Asides,
        conversations: Conversations,
        ledger: Ledger,
        handover: Handover,
        progress: Progress,
        responses: Responses,
        stops: Stops,
        openrouter: OpenRouter,
        default_referer: str,
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._keys = keys
        self._choice = choice
        self._asides = asides
        self._conversations = conversations
        self._ledger = ledger
        self._handover = handover
        self._progress = progress
        self._following = Following(progress)
        self._responses = responses
        self._stops = stops
        self._openrouter = openrouter
        self._default_referer = default_referer
        self._running: dict[str, Running] = {}

    async def execute_prompt(self, call: Call[Caller]) -> dict[str, Any]:
        """The result of one prompt (docs/wire.md), or of one before. Raises CallableError."""
        if isinstance(call.data, dict) and "resume" in call.data:
            return await self._resume(call, parse(ResumeGeneration, call.data).resume)
        return await self.run(call, parse(ExecutePrompt, call.data))

    async def _resume(self, call: Call[Caller], id_: str) -> dict[str, Any]:
        running = self._running.get(id_)
        if running is None or running.uid != call.caller.uid:
            return await self._following.resume(call, id_)
        running.join(call)
        result = await asyncio.shield(running.ended)
        return result or await self._following.follow(call, id_, deltas=running.streams)

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
        else:
            running = Running(id_, call.caller.uid, payload, call.trace_id)
            running.temporary = request.temporary
            running.join(call)
            result = await self._own(running, self._generate(running, request, given))
        # None: it needs no listener, and so this call is but one that looks on
        return result or await self._following.follow(call, id_, deltas=running.streams)

    async def deliver(self, id_: str) -> dict[str, Any]:
        """Answer what was queued; delivered again, nothing. What comes of it is in its entry.

        Raises LedgerUnavailable: to be delivered again.
        """
        if (running := self._running.get(id_)) is not None:
            await asyncio.wait({running.ended})  # whoever queues it here lets go of it in a moment
        claimed = await self._handover.claim(id_)
        if claimed is not None:
            admission = claimed.entry.admission
            running = Running(id_, admission.uid, admission.payload, trace_id="")
            running.needs_listener = False
            if claimed.stopped:
                running.stop()
            with suppress(CallableError):  # the entry says which
                await self._own(running, self._continue(running, claimed.entry))
        return {}

    async def _own(
        self, running: Running, work: Awaitable[dict[str, Any] | None]
    ) -> dict[str, Any] | None:
        """Do the work, in reach of whoever joins in or stops it."""
        self._running[running.id] = running
        try:
            with self._stops.reaching(running.id, running.uid, running.stop):
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

    def interrupt(self) -> None:
        """The instance is going down: end what runs, while there is time to settle it."""
        for running in self._running.values():
            running.watch.stop("interrupted")

    async def _generate(
        self, running: Running, request: ExecutePrompt, given: Feature | None
    ) -> dict[str, Any] | None:
        """The result; None where the answer needs no listener, and so runs elsewhere."""
        feature, app = await asyncio.gather(
            self._feature(request, running.uid, given), self._app_settings.get()
        )
        settings = feature.settings
        running.watch.limit(settings.total_s)
        running.streams = settings.stream
        ask = await self._ask(running, request, feature, app)
        await ask.keys.get()  # a key that is missing is said before anything is counted
        recall = None if feature.test else response_id(feature, running.uid, ask)
        continues = await self._continues(request, feature, recall)
        try:
            entry = await self._ledger.admit(
                Admission(
                    id=running.id,
                    uid=running.uid,
                    feature=feature.id,
                    revision=feature.revision,
                    model=ask.models[0],
                    payload=running.payload,
                    limits=app.limits,
                    reserve_nano_usd=_reserve(
                        [*ask.models, *helpers(settings, running.thread)], app
                    ),
                    request_id=request.request_id,
                    feature_limits=settings.caps,
                    test=feature.test,
                    place=running.thread.to_entry() if running.thread else None,
                    continues=continues,
                )
            )
        except AlreadyRunning as elsewhere:
            if continues and "generationId" in elsewhere.details:
                return None
            raise
        if isinstance(entry, dict):
            return entry  # the same request was answered before
        if continues and not running.told_to_stop:
            await self._hand_over(running, request, feature, entry)
            return None
        return await self._answered(Job(running, ask, feature, app, entry, recall))

    async def _continues(
        self, request: ExecutePrompt, feature: Feature, recall: str | None
    ) -> bool:
        """Whether the answer needs no listener. One of which no text may be kept always does, and
        so does one that is there already: it takes no time."""
        if feature.settings.on_disconnect == "stop" or request.temporary or feature.test:
            return False
        return await self._responses.get(recall) is None

    async def _hand_over(
        self, running: Running, request: ExecutePrompt, feature: Feature, entry: Entry
    ) -> None:
        thread = running.thread
        if thread is not None and not (thread.new or thread.regenerates):
            # where it is now: another turn may come before the task does
            parent = thread.parent.message or ROOT
            request = request.model_copy(update={"parent_message_id": parent})
        try:
            await self._handover.give(running.id, Asked(request, feature, running.trace_id))
        except Exception as error:
            raise await self._refuse(running, entry, error) from None

    async def _continue(self, running: Running, entry: Entry) -> dict[str, Any]:
        """What was handed over, from where `_generate` left it."""
        try:
            asked = await self._handover.asked(running.id)
            feature, running.trace_id = asked.feature, asked.trace_id
            running.watch.limit(feature.settings.total_s)
            app = await self._app_settings.get()
            ask = await self._ask(running, asked.request, feature, app)
        except Exception as error:
            raise await self._refuse(running, entry, error) from None
        recall = response_id(feature, running.uid, ask)
        return await self._answered(Job(running, ask, feature, app, entry, recall))

    async def _refuse(self, running: Running, entry: Entry, error: Exception) -> CallableError:
        """End what was admitted and never asked. The failure to tell the caller of."""
        if not isinstance(error, CallableError):
            log.unexpected(error, running.trace_id)
            error = CallableError()
        model, reason = entry.admission.model, error.reason
        outcome = Outcome("failed", model, error=reason, cost_nano_usd=0)
        await self._ledger.settle(entry, outcome)
        error.details["generationId"] = running.id
        return error

    async def _answered(self, job: Job) -> dict[str, Any]:
        """The result of what was admitted, settled however it ends."""
        running, entry = job.running, job.entry
        # what holds unless something below says otherwise: a cancelled task has no time to say
        status: Status = "interrupted"
        failure: CallableError | None = Restarting()
        try:
            await self._answer(job)
            status, failure = "done", None
        except Interrupted as interrupted:
            if interrupted.why == "stopped":
                status, failure = "stopped", None
        except CallableError as error:
            status, failure = "failed", error
        except Exception as error:
            log.unexpected(error, running.trace_id)
            status, failure = "failed", CallableError()
        finally:
            result = result_of(job, status)
            await self._write_down(running, result, status, failure)
            outcome = outcome_of(running, entry, status, failure, result)
            keep = job.recall if worth_keeping(status, result) and not running.temporary else None
            await asyncio.gather(
                self._ledger.settle(entry, outcome),
                self._responses.put(keep, result, job.feature.settings.cache_seconds),
                self._progress.forget(running.id),
            )
        if failure is not None:
            failure.details["generationId"] = running.id
            raise failure
        return result

    async def _answer(self, job: Job) -> None:
        """Stream an answer to whoever listens; what came of it is in `running`."""
        running, thread = job.running, job.running.thread
        asking = asyncio.create_task(self._conversations.ask(thread)) if thread else None
        async with self._asides.beside(job):
            try:
                kept = await self._responses.get(job.recall)
                if kept is not None:
                    await running.replay(kept, stream=job.feature.settings.stream)
                else:
                    await self._stream(job)
            finally:
                if asking is not None:
                    await asking  # while OpenRouter was busy: it took no time of anybody's

    async def _stream(self, job: Job) -> None:
        running, ask, settings, entry = job.running, job.ask, job.feature.settings, job.entry

        async def on_retry(model: str, reason: str) -> None:
            self._note(running, entry)  # that another one follows
            attempt = len(running.tries.attempts) + 1
            message = {"type": "retry", "attempt": attempt, "model": model, "reason": reason}
            await running.send(message)

        running.tries.on_retry = on_retry
        running.tries.on_id = lambda: self._note(running, entry)
        await running.start(ask.models[0])
        async with self._openrouter.answer(ask, running.watch, running.tries) as answer:
            running.first_token_ms = running.elapsed_ms()
            running.answer = answer
            keeps = settings.resume and running.lasts(entry)
            progress = self._progress
            kept = progress.kept(running.id, running.written, *running.pace()) if keeps else None
            async with kept or nullcontext():
                with running.watch.guard(settings.idle_s, "idle"):
                    async for deltas in answer:
                        if settings.stream:
                            for kind, text in deltas:
                                await running.send_delta(kind, text)

    def _note(self, running: Running, entry: Entry) -> None:
        self._ledger.note(entry, attempts_of(running))

    async def _write_down(
        self,
        running: Running,
        result: dict[str, Any],
        status: Status,
        failure: CallableError | None,
    ) -> None:
        """Into its conversation, before the books say that it has ended; whatever comes of it."""
        if running.thread is None:
            return
        try:
            reason = failure.reason if failure else None
            await self._conversations.answer(running.thread, result, status, reason)
        except Exception as error:
            log.unexpected(error, running.trace_id)

    async def _feature(self, request: ExecutePrompt, uid: str, given: Feature | None) -> Feature:
        if given is not None:
            return given
        return (await self._features.get(request.feature)).for_user(uid)

    async def _ask(
        self,
        running: Running,
        request: ExecutePrompt,
        feature: Feature,
        app: AppSettings,
    ) -> ChatRequest:
        settings, uid = feature.settings, running.uid
        models, running.notices = await self._choice.models(request, feature, app, uid)
        history: list[dict[str, str]] = []
        if request.conversation_id is not None:
            room = prompts.history_max_chars(
                settings, request, await self._choice.context_tokens(models[0])
            )
            running.thread = await self._conversations.open(
                request,
                uid,
                running.id,
                history_max_chars=room,
                summarises=settings.history == "summarised",
            )
            history = running.thread.history if running.thread else []
        return ChatRequest(
            keys=self._keys.of(feature.id),
            models=models,
            messages=prompts.messages(settings, request, history),
            parameters=prompts.parameters(settings, request),
            app_name=app.app_name,
            referer=app.referer or self._default_referer,
            first_token_s=settings.first_token_s,
        )


def _reserve(models: list[str], app: AppSettings) -> int:
    """What to hold of the day's budget, in nano dollars: nothing for free models."""
    free = app.free_models_only or all(map(is_free, models))  # of others `Choice` let none through
    return 0 if free else nano_usd(app.limits.reserve_usd)
