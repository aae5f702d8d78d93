"""A generation on this instance: who listens, what it has written, what is made of its end."""

from __future__ import annotations

import asyncio
from typing import Any

from . import limits
from .attaching import Attached
from .attachments import length
from .callable import Call, CallableError
from .callable.envelope import encode
from .choice import Notices
from .errors import UpstreamError
from .identity import Caller
from .ledger import Entry, Outcome, Status
from .models import CHARS_PER_TOKEN
from .openrouter import Answer, ChatRequest, Tries, Usage, Watch
from .settings import Feature
from .threads import Thread


class Running:
    """A generation on this instance: its listeners, what it has written, how it ends."""

    def __init__(self, id_: str, uid: str, payload: str, trace_id: str) -> None:
        self.id = id_
        self.uid = uid
        self.payload = payload
        self.trace_id = trace_id
        self.temporary = False  # no text of it is kept
        self.watch = Watch(limits.TOTAL_S)
        self.tries = Tries()
        self.answer: Answer | None = None
        self.kept: dict[str, Any] | None = None  # an answer of before, where it serves again
        self.started = asyncio.get_running_loop().time()
        self.first_token_ms: int | None = None
        self.notices: Notices = []
        self.thread: Thread | None = None  # where it is written down
        self.attached: Attached | None = None
        self.ended: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._start: dict[str, Any] | None = None
        self._sent: dict[str, list[str]] = {"reasoning": [], "text": []}
        self._calls: list[Call[Caller]] = []

    def attach(self, attached: Attached) -> None:
        """The files that go with it."""
        self.attached = attached
        self.notices = [*self.notices, *attached.notices]
        if self.thread is not None and self.thread.question is not None:
            self.thread.question |= attached.documents()

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
        self._start = {"type": "start", "generationId": self.id, **self.place(), "model": model}
        await self.send(self._start)

    def place(self) -> dict[str, Any]:
        """`{conversationId, messageId}` of the answer, where it has any."""
        thread = self.thread
        return {} if thread is None else thread.place()

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

    async def replay(self, kept: dict[str, Any], *, stream: bool) -> None:
        """Send an answer that was kept, as a whole."""
        self.kept = kept
        self.first_token_ms = self.elapsed_ms()
        await self.start(kept["model"])
        if not stream:
            return
        for kind in ("reasoning", "text"):
            if isinstance(text := kept.get(kind), str) and text:
                await self.send_delta(kind, text)

    def stop(self) -> None:
        """End it now: what has been written is the answer."""
        self.watch.stop("stopped")

    def lasts(self, entry: Entry) -> bool:
        """Whether its text is kept beyond the call: for the same request again, or to read."""
        asked_again = entry.admission.request_id is not None or self.thread is not None
        return asked_again and not self.temporary

    def written(self) -> tuple[str, str]:
        """(text, reasoning) so far."""
        return (self.answer.text, self.answer.reasoning) if self.answer else ("", "")

    def elapsed_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self.started) * 1000)

    def _leave(self, call: Call[Caller]) -> None:
        self._calls = [other for other in self._calls if other is not call]
        if not self._calls:
            self.stop()


def result_of(
    running: Running, ask: ChatRequest, feature: Feature, entry: Entry, status: Status
) -> dict[str, Any]:
    """What the caller gets (docs/wire.md)."""
    answer = running.answer
    if running.kept is not None:
        return _again(running, running.kept, feature)
    text, reasoning = running.written()
    usage = answer.usage if answer else None
    if usage is None:  # cut, stopped or never begun: what was sent and written is what we know
        asked = (
            sum(length(message["content"]) for message in ask.messages)
            if running.tries.attempts
            else 0
        )
        usage = Usage(asked // CHARS_PER_TOKEN, (len(text) + len(reasoning)) // CHARS_PER_TOKEN)
    finished = answer.finish_reason if answer and status == "done" else "stopped"
    result = {
        "generationId": running.id,
        **running.place(),
        "feature": feature.id,
        "revision": feature.revision,
        "model": answer.model if answer else ask.models[0],
        "provider": answer.provider if answer else None,
        "text": text,
        "reasoning": reasoning or None,
        "finishReason": finished,
        "usage": usage.to_wire(estimate_nano_usd=_spent_estimate(running, entry)),
        "timing": _timing(running),
        "cached": False,
        "notices": running.notices or None,
        "attempts": [
            {name: value for name, value in (("model", a.model), ("reason", a.reason)) if value}
            for a in running.tries.attempts
        ],
    }
    return {name: value for name, value in result.items() if value is not None}


def _again(running: Running, kept: dict[str, Any], feature: Feature) -> dict[str, Any]:
    """An answer that was kept: nothing was asked, nothing is billed."""
    usage = {n: v for n, v in kept["usage"].items() if n != "costIsEstimate"}
    return {
        **kept,
        "generationId": running.id,
        **running.place(),
        "feature": feature.id,
        "revision": feature.revision,
        "usage": {**usage, "cost": 0.0},
        "timing": _timing(running),
        "cached": True,
        **({"notices": running.notices} if running.notices else {}),
        "attempts": [],
    }


def _timing(running: Running) -> dict[str, int]:
    timing = {"firstTokenMs": running.first_token_ms, "totalMs": running.elapsed_ms()}
    return {name: value for name, value in timing.items() if value is not None}


def _spent_estimate(running: Running, entry: Entry) -> int:
    """Without a word from OpenRouter: nothing was spent if nothing was sent."""
    return entry.admission.reserve_nano_usd if running.tries.attempts else 0


def outcome_of(
    running: Running,
    entry: Entry,
    status: Status,
    failure: CallableError | None,
    result: dict[str, Any],
) -> Outcome:
    """How the ledger's entry ends."""
    answer = running.answer
    reported = answer.usage.cost_nano_usd if answer and answer.usage else None
    refused = isinstance(failure, UpstreamError) and answer is None
    if reported is None and (refused or not _spent_estimate(running, entry)):
        reported = 0  # no answer began: OpenRouter does not charge for those
    gone = running.thread is not None and running.thread.deleted  # with all that was said in it
    repeatable = running.lasts(entry) and not (failure or gone)
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
        attempts=attempts_of(running.tries),
        result=result if kept else None,
    )


def attempts_of(tries: Tries) -> list[dict[str, Any]]:
    """As the ledger keeps them: {model, upstreamId, reason, keyVersion}."""
    return [
        {
            "model": a.model,
            "upstreamId": a.upstream_id,
            "reason": a.reason,
            "keyVersion": a.key_version,
        }
        for a in tries.attempts
    ]
