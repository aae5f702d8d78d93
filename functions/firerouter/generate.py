"""One prompt through one feature. Read `_generate` first, top to bottom.

    settings -> what to ask -> ledger.admit -> a kept answer, or OpenRouter -> frames
        -> ledger.settle -> result

Whatever happens after `admit` (an answer, a failure, a client that hangs up, an instance that goes
down) leaves through the same lines: the connection to OpenRouter is closed, the entry settled once.

The task of the first call owns the generation; the same request again, on the same instance,
attaches to it. When the last client has left, nobody reads any more and it is stopped.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

from . import log, prompts
from .appsettings import AppSettings, AppSettingsStore
from .attaching import Attaching
from .callable import Call, CallableError
from .choice import Choice
from .contract import ExecutePrompt, ResumeGeneration, parse
from .conversations import Conversations
from .errors import RequestIdReused, Restarting
from .features import Features
from .following import Following
from .identity import Caller
from .keys import Keys
from .ledger import Admission, Entry, Ledger, Status, generation_id, payload_hash
from .models import is_free
from .openrouter import ChatRequest, Interrupted, OpenRouter, nano_usd
from .progress import Progress
from .responses import Responses, response_id, worth_keeping
from .running import Running, attempts_of, outcome_of, result_of
from .settings import Feature, FeatureSettings
from .stops import Stops
from .threads import Thread


class Generate:
    """The use case `execute_prompt`. One an instance."""

    def __init__(
        self,
        *,
        features: Features,
        app_settings: AppSettingsStore,
        keys: Keys,
        choice: Choice,
        attaching: Attaching,
        conversations: Conversations,
        ledger: Ledger,
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
        self._attaching = attaching
        self._conversations = conversations
        self._ledger = ledger
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
            return await self._following.follow(call, id_)
        running.join(call)
        return await asyncio.shield(running.ended)

    async def run(
        self, call: Call[Caller], request: ExecutePrompt, tried: Feature | None = None
    ) -> dict[str, Any]:
        """The same for a request that was read before. tried: settings that nobody has saved,
        for an admin to see at work; the ledger marks it as a test."""
        id_ = generation_id(call.caller.uid, request.request_id)
        payload = payload_hash(call.data)
        if (running := self._running.get(id_)) is not None:
            if running.payload != payload:
                raise RequestIdReused
            running.join(call)
            return await asyncio.shield(running.ended)
        running = self._running[id_] = Running(id_, call.caller.uid, payload, call.trace_id)
        running.temporary = request.temporary
        running.join(call)
        try:
            with self._stops.reaching(id_, call.caller.uid, running.stop):
                result = await self._generate(running, request, call.caller, tried)
        except BaseException as error:
            running.ended.set_exception(error if isinstance(error, CallableError) else Restarting())
            running.ended.exception()  # looked at: nobody else may be waiting for it
            raise
        else:
            running.ended.set_result(result)
            return result
        finally:
            del self._running[id_]
            self._attaching.let_go(id_)

    def interrupt(self) -> None:
        """The instance is going down: end what runs, while there is time to settle it."""
        for running in self._running.values():
            running.watch.stop("interrupted")

    async def _generate(
        self, running: Running, request: ExecutePrompt, caller: Caller, tried: Feature | None
    ) -> dict[str, Any]:
        feature, app = await asyncio.gather(
            self._feature(request, caller, tried), self._app_settings.get()
        )
        running.watch.limit(feature.settings.total_s)
        ask = await self._ask(running, request, feature, app, caller)
        await ask.keys.get()  # a key that is missing is said before anything is counted
        recall = None if tried else response_id(feature, caller.uid, ask)
        entry = await self._ledger.admit(
            Admission(
                id=running.id,
                uid=caller.uid,
                feature=feature.id,
                revision=feature.revision,
                model=ask.models[0],
                payload=running.payload,
                limits=app.limits,
                reserve_nano_usd=_reserve(ask.models, app),
                request_id=request.request_id,
                feature_limits=feature.settings.caps,
                test=tried is not None,
                place=running.thread.to_entry() if running.thread else None,
            )
        )
        if isinstance(entry, dict):
            return entry  # the same request was answered before

        # what holds unless something below says otherwise: a cancelled task has no time to say
        status: Status = "interrupted"
        failure: CallableError | None = Restarting()
        try:
            await self._answer(running, ask, feature, entry, recall)
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
            result = result_of(running, ask, feature, entry, status)
            await self._write_down(running, result, status, failure)
            outcome = outcome_of(running, entry, status, failure, result)
            keep = recall if worth_keeping(status, result) and not running.temporary else None
            await asyncio.gather(
                self._ledger.settle(entry, outcome),
                self._responses.put(keep, result, feature.settings.cache_seconds),
                self._progress.forget(running.id),
            )
        if failure is not None:
            failure.details["generationId"] = running.id
            raise failure
        return result

    async def _answer(
        self,
        running: Running,
        ask: ChatRequest,
        feature: Feature,
        entry: Entry,
        recall: str | None,
    ) -> None:
        """Stream an answer to whoever listens; what came of it is in `running`."""
        thread, stream = running.thread, feature.settings.stream
        kept = await self._responses.get(recall)
        if kept is None and running.attached is not None and running.attached.sent:
            with running.watch.guard():
                running.notices += await self._attaching.fetch(
                    running.id, running.attached, ask.messages
                )
        asking = asyncio.create_task(self._write_question(running, thread)) if thread else None
        try:
            if kept is not None:
                await running.replay(kept, stream=stream)
            else:
                await self._stream(running, ask, entry, feature.settings)
        finally:
            if asking is not None:
                await asking  # while OpenRouter was busy: it took no time of anybody's

    async def _stream(
        self, running: Running, ask: ChatRequest, entry: Entry, settings: FeatureSettings
    ) -> None:
        async def on_retry(model: str, reason: str) -> None:
            self._ledger.note(entry, attempts_of(running.tries))  # that another one follows
            attempt = len(running.tries.attempts) + 1
            message = {"type": "retry", "attempt": attempt, "model": model, "reason": reason}
            await running.send(message)

        running.tries.on_retry = on_retry
        running.tries.on_id = lambda: self._ledger.note(entry, attempts_of(running.tries))
        await running.start(ask.models[0])
        async with self._openrouter.answer(ask, running.watch, running.tries) as answer:
            running.first_token_ms = running.elapsed_ms()
            running.answer = answer
            keeps = settings.resume and running.lasts(entry)
            progress = self._progress.kept(running.id, running.written) if keeps else nullcontext()
            async with progress:
                with running.watch.guard(settings.idle_s, "idle"):
                    async for deltas in answer:
                        if settings.stream:
                            for kind, text in deltas:
                                await running.send_delta(kind, text)

    async def _write_question(self, running: Running, thread: Thread) -> None:
        """With its files, which belong to the conversation from now on."""
        attached = running.attached
        files = [self._attaching.keep(attached)] if attached and thread.kept else []
        await asyncio.gather(self._conversations.ask(thread), *files)

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

    async def _feature(
        self, request: ExecutePrompt, caller: Caller, tried: Feature | None
    ) -> Feature:
        if tried is not None:
            return tried
        return (await self._features.get(request.feature)).for_user(caller.uid)

    async def _ask(
        self,
        running: Running,
        request: ExecutePrompt,
        feature: Feature,
        app: AppSettings,
        caller: Caller,
    ) -> ChatRequest:
        settings, uid = feature.settings, caller.uid
        models, running.notices = await self._choice.models(request, feature, app, uid)
        history: list[dict[str, Any]] = []
        if request.conversation_id is not None:
            room = prompts.history_max_chars(
                settings, request, await self._choice.context_tokens(models[0])
            )
            running.thread = await self._conversations.open(
                request, uid, running.id, history_max_chars=room
            )
            history = running.thread.history if running.thread else []
        attached = await self._attaching.gather(request, uid, running.id, models, history)
        running.attach(attached)
        parameters = prompts.parameters(settings, request)
        return ChatRequest(
            keys=self._keys.of(feature.id),
            models=attached.models,
            messages=attached.onto(prompts.messages(settings, request, attached.history)),
            parameters=attached.parameters(parameters, free_only=app.free_models_only),
            app_name=app.app_name,
            referer=app.referer or self._default_referer,
            first_token_s=settings.first_token_s,
        )


def _reserve(models: list[str], app: AppSettings) -> int:
    """What to hold of the day's budget, in nano dollars: nothing for free models."""
    free = app.free_models_only or all(map(is_free, models))  # of others `Choice` let none through
    return 0 if free else nano_usd(app.limits.reserve_usd)
