"""The order of events of an ordinary stream, as data that a fault can rearrange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest
from typing import Any, NamedTuple

from .chat_requests import ChatRequest
from .completions import DONE, KEEP_ALIVE, Answer, Chunks, Head, as_number, usage_of, whole_body
from .model_catalog import ServedModel
from .request_log import BYOK_FEE, Generation
from .wire import Wire

Json = dict[str, Any]

FLAKY_PROMPTS_KEPT = 1000
BREAK_AFTER_S = 0.1  # lets the client read what has been sent
SHORT_TOKENS = 3  # the tokens that arrive before an answer breaks


class Event(NamedTuple):
    data: bytes
    tokens: int = 0
    pause_s: float = 0.0


@dataclass
class Flaky:
    """How often each prompt has failed. The oldest prompts are forgotten."""

    failures: dict[str, int] = field(default_factory=dict)

    def fails_again(self, prompt: str, times: int) -> bool:
        failed = self.failures.pop(prompt, 0)
        while len(self.failures) >= FLAKY_PROMPTS_KEPT:
            del self.failures[next(iter(self.failures))]
        self.failures[prompt] = failed + 1
        return failed < times


@dataclass
class Exchange:
    """Everything that a behavior needs to answer a request."""

    chat: ChatRequest
    served: ServedModel
    answer: Answer
    head: Head
    chunks: Chunks
    generation: Generation
    wire: Wire
    pace_s: float
    flaky: Flaky
    misreport: Callable[[Json], Json] | None = None  # alters the usage, not the charge

    @property
    def id_header(self) -> dict[str, str]:
        return {"X-Generation-Id": self.head.id}

    def usage(self, completion: int | None = None) -> Json:
        spent = self.answer.spent if completion is None else completion
        reasoning = min(spent, len(self.answer.reasoning))
        usage = usage_of(self.chat.prompt_tokens, spent, reasoning, self.served)
        flat = self.generation.flat_usd
        if flat is not None:
            usage["cost"] = usage["cost_details"]["upstream_inference_cost"] = as_number(flat)
        if self.generation.is_byok:
            cost = Decimal(str(usage["cost"]))
            usage |= {"cost": as_number(cost * BYOK_FEE), "is_byok": True}
        return usage if self.misreport is None else self.misreport(usage)

    def whole(self) -> Json:
        return whole_body(self.head, self.answer, self.usage())

    def settle(self) -> None:
        """Tell `/generation` how the answer finishes."""
        self.generation.finish_reason = self.answer.finish_reason
        self.generation.native_finish_reason = self.answer.native_finish_reason
        self.generation.reasoning_tokens = len(self.answer.reasoning)

    async def open(self) -> None:
        await self.wire.open(headers=self.id_header)

    async def play(self, events: Iterable[Event]) -> None:
        """Send the headers, then each event in its own write, the last one with a clean end."""
        await self.open()
        *earlier, last = events
        await self.send(earlier)
        await _pause(last.pause_s)
        await self.wire.end(last.data, last.tokens)

    async def send(self, events: Iterable[Event]) -> None:
        for event in events:
            await _pause(event.pause_s)
            await self.wire.send(event.data, event.tokens)


async def _pause(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Script:
    opening: tuple[Event, ...]
    content: tuple[Event, ...]
    finish: Event
    usage: Event
    done: Event

    @property
    def body(self) -> list[Event]:
        return [*self.opening, *self.content]

    def all(self) -> list[Event]:
        return [*self.body, self.finish, self.usage, self.done]


def script_of(ex: Exchange) -> Script:
    finish = {"finish": ex.answer.finish_reason, "native": ex.answer.native_finish_reason}
    return Script(
        opening=(Event(KEEP_ALIVE), Event(KEEP_ALIVE)),
        content=tuple(_content(ex)),
        finish=Event(ex.chunks.delta({"content": ""}, **finish)),
        usage=usage_event(ex, "repeats"),
        done=Event(DONE),
    )


def _content(ex: Exchange) -> list[Event]:
    answer, chunks, pace = ex.answer, ex.chunks, ex.pace_s
    events = []
    if answer.reasoning and not answer.hidden_reasoning:
        events += [Event(chunks.reasoning(text), 1, pace) for text in answer.reasoning]
        events.append(Event(chunks.reasoning("", "c2ltdWxhdGVk")))
    elif answer.reasoning:
        events.append(Event(KEEP_ALIVE, len(answer.reasoning), pace * len(answer.reasoning)))
    if answer.annotations:
        events.append(Event(chunks.annotations(answer.annotations)))
    events += [Event(chunks.text(text), 1, pace) for text in answer.tokens]
    if answer.image is not None:
        events.append(Event(chunks.image(answer.image)))
    if answer.tools:
        # the pieces of several calls are interleaved, as some providers send them
        calls = [chunks.tool(tool, index) for index, tool in enumerate(answer.tools)]
        events += [Event(opening) for opening, *_ in calls]
        turns = zip_longest(*(pieces for _, *pieces in calls))
        events += [Event(piece, 1, pace) for turn in turns for piece in turn if piece]
    return events


def usage_event(ex: Exchange, shape: str, completion: int | None = None) -> Event:
    """Return a usage chunk, in one of three recorded shapes; `repeats` is documented today."""
    usage = ex.usage(completion)
    if shape == "empty-choices":
        return Event(ex.chunks.event({"choices": [], "usage": usage}))
    repeats = shape == "repeats"
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "finish_reason": ex.answer.finish_reason if repeats else None,
        "native_finish_reason": ex.answer.native_finish_reason if repeats else None,
        "logprobs": None,
    }
    return Event(ex.chunks.event({"choices": [choice], "usage": usage}))
