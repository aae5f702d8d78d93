"""A generation that runs on this instance: who listens to it, and how it is stopped.

The task of the first call owns the generation. If the same request arrives again on the same
instance, it joins the listeners and is sent all frames from the beginning. When the last listener
has left, the generation is stopped, unless it needs no listener.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ..background import BackgroundTasks
from ..callable import Call, Frame, Listener
from ..contract import PromptResult
from ..ledger import payload_hash
from ..openrouter import Deadline
from ..users import Caller

HASHED_AT_ONCE_BYTES: Final = 64_000  # a longer request is hashed off the event loop


class HandedOver:
    """Stands in for a result: the generation continues on another instance, without listeners."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    Attributes:
        caller: Who sent it.
        payload: The hash of the request's data, which tells the same request from another one.
        trace_id: The trace that its log entries belong to.
        listener: Where its frames go: a call, or one model's part of a comparison.
        release: Is called when the request is needed no longer as it came.
    """

    caller: Caller
    payload: str
    trace_id: str
    listener: Listener
    release: Callable[[], None] = lambda: None

    @property
    def uid(self) -> str:
        return self.caller.uid


async def origin_of(call: Call[Caller], background: BackgroundTasks) -> Origin:
    """Return where a call comes from. Its data were parsed, and so are an object."""
    if call.body_bytes > HASHED_AT_ONCE_BYTES:
        payload = await background.compute(payload_hash, call.data)
    else:
        payload = payload_hash(call.data)
    return Origin(call.caller, payload, call.trace_id, call, call.release_data)


class Listeners:
    """The listeners of one generation, and the frames that a late one has to be sent first.

    Text is held in pieces and sent to a late listener as one frame. The limits on an answer
    (`OpenRouterLimits`) bound all of it. A listener that is alone may slow the answer down. Of
    several, one that falls behind is sent no more frames, and gets the result at the end.
    """

    def __init__(self, on_empty: Callable[[], None]) -> None:
        """`on_empty` is called whenever the last listener has left."""
        self._on_empty = on_empty
        self._listeners: tuple[Listener, ...] = ()
        self._behind: set[Listener] = set()  # those that are sent no more
        self._start: Mapping[str, object] | None = None
        self._texts: dict[str, list[str]] = {"reasoning": [], "text": []}
        self._frames: list[Mapping[str, object]] = []  # the ones that are sent whole

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Listener) -> None:
        """Add a listener, and send it everything from the beginning."""
        if self._start is not None:
            listener.put(self._start)
        for kind, pieces in self._texts.items():
            if pieces:
                listener.put({"type": kind, "delta": "".join(pieces)})
        for frame in self._frames:
            listener.put(frame)
        self._listeners = (*self._listeners, listener)
        listener.on_leave(lambda: self._remove(listener))

    async def send(self, frame: Mapping[str, object]) -> None:
        """Send a frame to all current listeners. A single listener may slow us to its own pace."""
        if len(self._listeners) == 1 and not self._behind:
            await self._listeners[0].send(frame)
            return
        shared = Frame(frame)
        for listener in self._listeners:
            if listener not in self._behind and not listener.offer(shared):
                self._behind.add(listener)

    async def send_start(self, frame: Mapping[str, object]) -> None:
        self._start = frame
        await self.send(frame)

    async def send_delta(self, kind: str, delta: str) -> None:
        """Send a piece of the text or of the reasoning."""
        self._texts[kind].append(delta)
        await self.send({"type": kind, "delta": delta})

    async def send_whole(self, frame: Mapping[str, object]) -> None:
        """Send a frame that late listeners are sent as well."""
        self._frames.append(frame)
        await self.send(frame)

    async def send_indexed(self, kind: str, value: Mapping[str, object]) -> None:
        """Send a frame with its index among the frames of its kind."""
        index = sum(1 for frame in self._frames if frame["type"] == kind)
        await self.send_whole({"type": kind, "index": index, **value})

    def restart(self) -> None:
        """Forget what was sent, because another answer replaces it."""
        self._texts = {kind: [] for kind in self._texts}
        self._frames.clear()

    def _remove(self, listener: Listener) -> None:
        self._listeners = tuple(other for other in self._listeners if other is not listener)
        self._behind.discard(listener)
        if not self._listeners:
            self._on_empty()


class ActiveGeneration:
    """One generation on this instance, where stops and repeated requests find it."""

    def __init__(
        self,
        id_: str,
        uid: str,
        payload: str,
        trace_id: str,
        *,
        total_s: float,
        needs_listener: bool = True,
    ) -> None:
        """Start the clock: the deadline begins now. Call this inside the event loop.

        Args:
            id_: The generation's id.
            uid: The user's id.
            payload: The hash of the request's data: the same id with another one is refused.
            trace_id: The trace that its log entries belong to.
            total_s: Seconds that it may take in total.
            needs_listener: Whether it ends when its last listener leaves.
        """
        loop = asyncio.get_running_loop()
        self.id = id_
        self.uid = uid
        self.payload = payload
        self.trace_id = trace_id
        self.needs_listener = needs_listener
        self.stop_requested = False  # explicitly, not by the last listener leaving
        self.deadline = Deadline(total_s)
        self.listeners = Listeners(self._stop_unread)
        self.outcome: asyncio.Future[PromptResult | HandedOver] = loop.create_future()
        self._started_at = loop.time()

    def stop(self) -> None:
        """End the generation now. What has been written is the answer."""
        self.stop_requested = True
        self.deadline.stop("stopped")

    def interrupt(self) -> None:
        """End the generation now, because the instance is shutting down."""
        self.deadline.stop("interrupted")

    def elapsed_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._started_at) * 1000)

    def _stop_unread(self) -> None:
        if self.needs_listener:
            self.deadline.stop("stopped")
