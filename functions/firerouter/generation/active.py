"""A generation on this instance: who listens, what it has written, what is made of its end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .. import limits
from ..callable import Call
from ..conversations import Thread
from ..features import AppSettings, Feature, Notices
from ..files import Attached, GeneratedImages, Image
from ..ledger import OpenEntry
from ..openrouter import (
    HEARTBEAT,
    Answer,
    AttemptLog,
    ChatRequest,
    Deadline,
    Delta,
    OnId,
    OnRetry,
    Usage,
    total,
)
from ..users import Caller
from .tool_turns import told


@dataclass(slots=True)
class HelperCall:
    """One question of our own beside an answer. purpose: title or summary."""

    purpose: str
    model: str
    tries: AttemptLog = field(default_factory=AttemptLog)
    answer: Answer | None = None

    @property
    def cost_nano_usd(self) -> int | None:
        """None where OpenRouter did not say what it came to."""
        usage = self.answer.usage if self.answer else None
        if usage is not None and usage.cost_nano_usd is not None:
            return usage.cost_nano_usd
        # one that failed before its first token is not charged for
        begun = any(a.upstream_id and a.reason in {None, "stopped"} for a in self.tries.attempts)
        return None if begun else 0


class ActiveGeneration:
    """A generation on this instance: its listeners, what it has written, how it ends."""

    def __init__(self, id_: str, uid: str, payload: str, trace_id: str) -> None:
        self.id = id_
        self.uid = uid
        self.payload = payload
        self.trace_id = trace_id
        self.temporary = False  # no text of it is kept
        self.partial_json = False  # what its JSON has come to is sent while it grows
        self.needs_listener = True  # ended when the last one leaves
        self.stop_requested = False  # by somebody who meant it
        self.watch = Deadline(limits.TOTAL_S)
        self.tries = AttemptLog()
        self.on_id: OnId = lambda: None
        self.on_retry: OnRetry | None = None
        self.asides: list[HelperCall] = []
        self.answer: Answer | None = None
        self.other: Answer | None = None  # that was paid for as well: before, or after it
        self.kept: dict[str, Any] | None = None  # an answer of before, where it serves again
        self.started = asyncio.get_running_loop().time()
        self.first_token_ms: int | None = None
        self.drawn = GeneratedImages()
        self.notices: Notices = []
        self.thread: Thread | None = None  # where it is written down
        self.attached: Attached | None = None
        self.starting: asyncio.Task[None] | None = None  # who listens is told that it has begun
        # its result; None where it was handed over, and goes on elsewhere
        self.ended: asyncio.Future[dict[str, Any] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._start: dict[str, Any] | None = None
        self._sent: dict[str, list[str]] = {"reasoning": [], "text": []}
        self._whole: list[dict[str, Any]] = []  # frames that come in one piece
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
        for frame in self._whole:
            call.put(frame)
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

    async def show(self, delta: Delta, tools: Collection[str]) -> None:
        """What came of the answer just now. tools: the names of those that may be asked for."""
        if delta.kind in self._sent:
            await self.send_delta(delta.kind, delta.text)
        elif delta.kind == "partial_image":
            partial = {"index": len(self.drawn.all), "partial": True, **delta.value}
            await self.send({"type": "image", "image": partial})  # the next one has more of it
        elif delta is not HEARTBEAT:
            value = told(delta.value, tools) if delta.kind == "tool_call" else delta.value
            await self.send_whole(delta.kind, value)

    async def show_image(self, image: Image) -> None:
        self._whole.append({"type": "image", "image": image})
        await self.send(self._whole[-1])

    async def send_whole(self, kind: str, value: Mapping[str, Any]) -> None:
        index = sum(1 for frame in self._whole if frame["type"] == kind)
        self._whole.append({"type": kind, "index": index, **value})
        await self.send(self._whole[-1])

    def files(self) -> list[str]:
        """What OpenRouter read of files and was not told before: the JSON of each."""
        told = self.attached.told if self.attached else set()
        read = dict(self.tries.file_annotations.all)
        for answer in (self.other, self.answer):
            read |= answer.file_annotations if answer else {}
        return [text for hash_, text in read.items() if hash_ not in told]

    def usage(self) -> Usage | None:
        """Of all that was asked for; None where OpenRouter did not say it of something."""
        usages = [answer.usage for answer in (self.other, self.answer) if answer]
        if any(attempt.reason == "stopped" for attempt in self.tries.attempts):
            return None  # it may be charged for without a word
        known = [usage for usage in usages if usage is not None]
        if not known or len(known) < len(usages):
            return None
        if len(known) == 1:
            return known[0]
        unpriced = any(usage.cost_nano_usd is None for usage in known)
        return replace(total(known), cost_nano_usd=None) if unpriced else total(known)

    def restart(self) -> Answer | None:
        """Another answer is to take the place of the one that there is, which this returns."""
        first, self.other, self.answer = self.answer, self.answer, None
        self._sent = {kind: [] for kind in self._sent}
        self._whole.clear()
        return first

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
        for citation in kept.get("citations") or ():
            await self.send_whole("citation", citation)

    def stop(self) -> None:
        """End it now: what has been written is the answer."""
        self.stop_requested = True
        self.watch.stop("stopped")

    def lasts(self, entry: OpenEntry) -> bool:
        """Whether its text is kept beyond the call: for the same request again, or to read."""
        asked_again = entry.admission.request.request_id is not None or self.thread is not None
        return (asked_again or entry.admission.continues) and not self.temporary

    def written(self) -> tuple[str, str]:
        """(text, reasoning) so far."""
        return (self.answer.text, self.answer.reasoning) if self.answer else ("", "")

    def text(self) -> str:
        """Of the answer, so far."""
        return str(self.kept["text"]) if self.kept else self.written()[0]

    def elapsed_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self.started) * 1000)

    def _leave(self, call: Call[Caller]) -> None:
        self._calls = [other for other in self._calls if other is not call]
        if not self._calls and self.needs_listener:
            self.watch.stop("stopped")


@dataclass(frozen=True, slots=True)
class AdmittedGeneration:
    """An admitted generation: what is asked of OpenRouter, and where it is entered.

    recall: under which the same question's answer is kept; None: under nothing.
    """

    running: ActiveGeneration
    ask: ChatRequest
    feature: Feature
    app: AppSettings
    entry: OpenEntry
    recall: str | None
