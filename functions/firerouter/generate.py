"""One prompt through one feature. Read `_generate` first, top to bottom.

    settings -> what to ask -> ledger.admit -> OpenRouter -> frames -> ledger.settle -> result

Whatever happens after `admit` (an answer, a failure, a client that hangs up, an instance that goes
down) leaves through the same lines: the connection to OpenRouter is closed, the entry settled once.

The task of the first call owns the generation; the same request again, on the same instance,
attaches to it. When the last client has left, nobody reads any more and it is stopped.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from . import limits, log, prompts
from .appsettings import AppSettings, AppSettingsStore
from .callable import Call, CallableError
from .callable.envelope import encode
from .contract import ExecutePrompt, parse
from .errors import RequestIdReused, Restarting, UpstreamError
from .features import Feature, Features
from .identity import Caller
from .keys import Keys
from .ledger import Admission, Entry, Ledger, Outcome, Status, generation_id, payload_hash
from .openrouter import (
    Answer,
    ChatRequest,
    Interrupted,
    OpenRouter,
    Tries,
    Usage,
    Watch,
    is_free,
    nano_usd,
)

CHARS_PER_TOKEN: Final = 4  # of English, by and large: for estimates, marked as such


class Running:
    """A generation on this instance: its listeners, what it has written, how it ends."""

    def __init__(self, id_: str, payload: str, trace_id: str) -> None:
        self.id = id_
        self.payload = payload
        self.trace_id = trace_id
        self.watch = Watch(limits.TOTAL_S)
        self.tries = Tries()
        self.answer: Answer | None = None
        self.started = asyncio.get_running_loop().time()
        self.first_token_ms: int | None = None
        self.ended: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._start: dict[str, Any] | None = None
        self._sent: dict[str, list[str]] = {"reasoning": [], "text": []}
        self._calls: list[Call[Caller]] = []

    def join(self, call: Call[Caller]) -> None:
        """Let one more call listen, from the beginning."""
        if self._start is not None:
            call.put(self._start)
        for kind, sent in self._sent.items():
            if sent:
                call.put({"type": kind, "delta": "".join(sent)})
        self._calls = [*self._calls, call]
        call.on_leave(lambda: self._leave(call))

    async def start(self, model: str) -> None:
        self._start = {"type": "start", "generationId": self.id, "model": model}
        await self.send(self._start)

    async def send(self, message: dict[str, Any]) -> None:
        """To all who listen; a single one may slow us down to its own pace."""
        if len(self._calls) == 1:
            await self._calls[0].send(message)
        else:
            for call in self._calls:
                call.put(message)

    async def send_delta(self, kind: str, text: str) -> None:
        self._sent[kind].append(text)
        await self.send({"type": kind, "delta": text})

    def elapsed_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self.started) * 1000)

    def _leave(self, call: Call[Caller]) -> None:
        self._calls = [other for other in self._calls if other is not call]
        if not self._calls:
            self.watch.stop("stopped")


class Generate:
    """The use case `execute_prompt`. One an instance."""

    def __init__(
        self,
        *,
        features: Features,
        app_settings: AppSettingsStore,
        keys: Keys,
        ledger: Ledger,
        openrouter: OpenRouter,
        default_referer: str,
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._keys = keys
        self._ledger = ledger
        self._openrouter = openrouter
        self._default_referer = default_referer
        self._running: dict[str, Running] = {}

    async def execute_prompt(self, call: Call[Caller]) -> dict[str, Any]:
        """The result of one prompt (docs/wire.md). Raises CallableError."""
        request = parse(ExecutePrompt, call.data)
        id_ = generation_id(call.caller.uid, request.request_id)
        payload = payload_hash(call.data)
        if (running := self._running.get(id_)) is not None:
            if running.payload != payload:
                raise RequestIdReused
            running.join(call)
            return await asyncio.shield(running.ended)
        running = self._running[id_] = Running(id_, payload, call.trace_id)
        running.join(call)
        try:
            result = await self._generate(running, request, call.caller)
        except BaseException as error:
            running.ended.set_exception(error if isinstance(error, CallableError) else Restarting())
            running.ended.exception()  # looked at: nobody else may be waiting for it
            raise
        else:
            running.ended.set_result(result)
            return result
        finally:
            del self._running[id_]

    def interrupt(self) -> None:
        """The instance is going down: end what runs, while there is time to settle it."""
        for running in self._running.values():
            running.watch.stop("interrupted")

    async def _generate(
        self, running: Running, request: ExecutePrompt, caller: Caller
    ) -> dict[str, Any]:
        feature, app = await asyncio.gather(
            self._features.get(request.feature), self._app_settings.get()
        )
        running.watch.limit(feature.settings.total_s)
        ask = self._ask(request, feature, app)
        await self._keys.get()  # a key that is missing is said before anything is counted
        admission = Admission(
            id=running.id,
            uid=caller.uid,
            feature=feature.id,
            revision=feature.revision,
            model=ask.models[0],
            payload=running.payload,
            limits=app.limits,
            reserve_nano_usd=_reserve(ask.models, app),
            request_id=request.request_id,
        )
        entry = await self._ledger.admit(admission)
        if isinstance(entry, dict):
            return entry  # the same request was answered before

        # what holds unless something below says otherwise: a cancelled task has no time to say
        status: Status = "interrupted"
        failure: CallableError | None = Restarting()
        result: dict[str, Any] = {}
        try:
            await self._answer(running, ask, feature, entry)
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
            result = _result(running, ask, feature, entry, status)
            outcome = _outcome(
                running,
                entry,
                status=status,
                failure=failure,
                result=result,
                temporary=request.temporary,
            )
            await self._ledger.settle(entry, outcome)
        if failure is not None:
            failure.details["generationId"] = running.id
            raise failure
        return result

    async def _answer(
        self, running: Running, ask: ChatRequest, feature: Feature, entry: Entry
    ) -> None:
        """Stream OpenRouter's answer to whoever listens; what came of it is in `running`."""

        async def on_retry(model: str, reason: str) -> None:
            attempt = len(running.tries.attempts) + 1
            message = {"type": "retry", "attempt": attempt, "model": model, "reason": reason}
            await running.send(message)

        running.tries.on_retry = on_retry
        running.tries.on_id = lambda: self._ledger.note(entry, _attempts(running.tries))
        await running.start(ask.models[0])
        async with self._openrouter.answer(ask, running.watch, running.tries) as answer:
            running.first_token_ms = running.elapsed_ms()
            running.answer = answer
            with running.watch.guard(feature.settings.idle_s, "idle"):
                async for deltas in answer:
                    for kind, text in deltas:
                        await running.send_delta(kind, text)

    def _ask(self, request: ExecutePrompt, feature: Feature, app: AppSettings) -> ChatRequest:
        return ChatRequest(
            models=prompts.models(feature.settings, request),
            messages=prompts.messages(feature.settings, request),
            parameters=prompts.parameters(feature.settings, request),
            app_name=app.app_name,
            referer=app.referer or self._default_referer,
            first_token_s=feature.settings.first_token_s,
        )


def _reserve(models: list[str], app: AppSettings) -> int:
    """What to hold of the day's budget, in nano dollars: nothing for free models."""
    free = all(map(is_free, models))
    return 0 if free else nano_usd(app.limits.reserve_usd)


def _result(
    running: Running, ask: ChatRequest, feature: Feature, entry: Entry, status: Status
) -> dict[str, Any]:
    answer = running.answer
    text, reasoning = (answer.text, answer.reasoning) if answer else ("", "")
    usage = answer.usage if answer else None
    if usage is None:  # cut, stopped or never begun: what was sent and written is what we know
        asked = (
            sum(len(message["content"]) for message in ask.messages)
            if running.tries.attempts
            else 0
        )
        usage = Usage(asked // CHARS_PER_TOKEN, (len(text) + len(reasoning)) // CHARS_PER_TOKEN)
    timing = {"firstTokenMs": running.first_token_ms, "totalMs": running.elapsed_ms()}
    finished = answer.finish_reason if answer and status == "done" else "stopped"
    result = {
        "generationId": running.id,
        "feature": feature.id,
        "revision": feature.revision,
        "model": answer.model if answer else ask.models[0],
        "provider": answer.provider if answer else None,
        "text": text,
        "reasoning": reasoning or None,
        "finishReason": finished,
        "usage": usage.to_wire(estimate_nano_usd=_spent_estimate(running, entry)),
        "timing": {name: value for name, value in timing.items() if value is not None},
        "cached": False,
        "attempts": [
            {name: value for name, value in (("model", a.model), ("reason", a.reason)) if value}
            for a in running.tries.attempts
        ],
    }
    return {name: value for name, value in result.items() if value is not None}


def _spent_estimate(running: Running, entry: Entry) -> int:
    """Without a word from OpenRouter: nothing was spent if nothing was sent."""
    return entry.admission.reserve_nano_usd if running.tries.attempts else 0


def _outcome(
    running: Running,
    entry: Entry,
    *,
    status: Status,
    failure: CallableError | None,
    result: dict[str, Any],
    temporary: bool,
) -> Outcome:
    answer = running.answer
    reported = answer.usage.cost_nano_usd if answer and answer.usage else None
    refused = isinstance(failure, UpstreamError) and answer is None
    if reported is None and (refused or not _spent_estimate(running, entry)):
        reported = 0  # no answer began: OpenRouter does not charge for those
    repeatable = entry.admission.request_id is not None and not (temporary or failure)
    kept = repeatable and len(encode(result)) <= limits.RESULT_MAX_BYTES
    return Outcome(
        status=status,
        model=result["model"],
        provider=result.get("provider"),
        finish_reason=result.get("finishReason") if failure is None else None,
        error=failure.reason if failure else None,
        usage=result["usage"],
        cost_nano_usd=reported,
        timing=result["timing"],
        attempts=_attempts(running.tries),
        result=result if kept else None,
    )


def _attempts(tries: Tries) -> list[dict[str, Any]]:
    """As the ledger keeps them: {model, upstreamId, reason}."""
    return [
        {"model": a.model, "upstreamId": a.upstream_id, "reason": a.reason} for a in tries.attempts
    ]
