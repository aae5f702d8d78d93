"""One call: what its handler sees of it, and the frames on their way to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from .envelope import encode
from .limits import WeightLimits, WireLimits

CallerT = TypeVar("CallerT")
Message = Mapping[str, object]


def encode_frame(message: Message) -> bytes:
    """Encode the frame of a message, once for all its recipients. Raises as `encode` does."""
    return encode({"message": message})


class Frame:
    """A message that several are sent: it is encoded once for all of them."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def encoded(self) -> bytes:
        """Its frame. Raises as `encode` does."""
        return encode_frame(self.message)


class Listener(Protocol):
    """A recipient of a stream's messages. A `Call` is one."""

    @property
    def left(self) -> bool:
        """Whether it has stopped listening."""

    async def send(self, message: Mapping[str, object]) -> None:
        """Send one message; wait while the client reads more slowly than we write."""

    def put(self, message: Mapping[str, object]) -> None:
        """Send one message without waiting for a slow reader."""

    def offer(self, frame: Frame) -> bool:
        """Send a frame, unless too many wait for a slow reader. Return whether it was sent."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when it stops listening, at once if it already has."""


class Call(Generic[CallerT]):
    """One call, as its handler sees it."""

    def __init__(
        self,
        data: Any,
        headers: Mapping[str, str],
        caller: CallerT,
        *,
        streaming: bool,
        trace_id: str,
        body_bytes: int = 0,
        limits: WireLimits | None = None,
        on_release: Callable[[], None] | None = None,
    ) -> None:
        """Create a call.

        Args:
            data: What the client sent: any JSON.
            headers: By their names in lower case.
            caller: What `authenticate` returned.
            streaming: Whether the client wants a stream.
            trace_id: The request's, for logs.
            body_bytes: The size of the request.
            limits: How much may wait for a slow reader.
            on_release: Called when the handler needs the data no longer.
        """
        self.data = data
        self.headers = headers
        self.caller = caller
        self.streaming = streaming
        self.trace_id = trace_id
        self.body_bytes = body_bytes
        self.left = False
        self.documents = self.size_bytes = 0  # what it took beyond the usual
        self._on_release = on_release
        self.wake = asyncio.Event()  # there is something for the response to handle
        self._on_leave: list[Callable[[], None]] = []
        self._frames: list[bytes | None] = []  # None is a beat
        self._backlog_bytes = 0
        self._offered_bytes = 0  # of that, what came by `offer`
        self._backlog_max_bytes = (limits or WireLimits()).backlog_max_bytes
        self._room = asyncio.Event()  # the reader keeps up
        self._room.set()

    async def send(self, message: Message) -> None:
        """Stream one message. Waits while the client reads more slowly than we write.

        It does nothing in a unary call, or once the client has left.
        """
        if self._is_heard:
            await self.send_frame(encode_frame(message))

    def put(self, message: Message) -> None:
        """Stream one message without waiting for a slow reader."""
        if self._is_heard:
            self.put_frame(encode_frame(message))

    def offer(self, frame: Frame) -> bool:
        """Stream a message, unless the client is too far behind. Return whether it is not."""
        if not self._is_heard:
            return True
        self._offered_bytes += len(frame.encoded)
        if self._offered_bytes > self._backlog_max_bytes:
            return False
        self.put_frame(frame.encoded)
        return True

    async def send_frame(self, frame: bytes) -> None:
        """Stream a message that is encoded already, as `send` does."""
        self.put_frame(frame)
        if self._backlog_bytes > self._backlog_max_bytes and not self.left:
            self._room.clear()
            await self._room.wait()

    def put_frame(self, frame: bytes) -> None:
        """Stream a message that is encoded already, without waiting for a slow reader."""
        if not self._is_heard:
            return
        self._frames.append(frame)
        self._backlog_bytes += len(frame)
        self.wake.set()

    def weigh(self, *, documents: int = 0, size_bytes: int = 0) -> None:
        """Add what the call took: documents that it read, and bytes of its answer."""
        self.documents += documents
        self.size_bytes += size_bytes

    @property
    def units(self) -> int:
        """As how many calls it counts: one, and one more for each hundred documents or 100 kB."""
        most = WeightLimits()
        return 1 + self.documents // most.documents + self.size_bytes // most.size_bytes

    def release_data(self) -> None:
        """Let go of the data: a long call need not take up the room of its request to its end."""
        self.data = None
        if self._on_release is not None:
            self._on_release()

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Call `callback` once if the client hangs up before the end, at once if it has."""
        if self.left:
            callback()
        else:
            self._on_leave.append(callback)

    def beat(self) -> None:
        """Add a beat: some bytes that keep a silent stream alive."""
        self._frames.append(None)
        self.wake.set()

    def leave(self) -> None:
        """Note that the client has left, and call what `on_leave` was given."""
        if self.left:
            return
        self.left = True
        self._room.set()
        self.wake.set()
        for callback in self._on_leave:
            callback()

    def take(self) -> list[bytes | None]:
        """Return and remove the frames that are to be sent now; None is a beat."""
        frames, self._frames = self._frames, []
        self._backlog_bytes = self._offered_bytes = 0
        self._room.set()
        self.wake.clear()
        return frames

    @property
    def _is_heard(self) -> bool:
        return self.streaming and not self.left


class Beats:
    """Adds a beat after every `interval_s` without a frame. One timer per stream, not per frame."""

    def __init__(self, call: Call[CallerT], interval_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._beat = call.beat
        self._interval_s = interval_s
        self._due_at = self._loop.time() + interval_s
        self._timer = self._loop.call_at(self._due_at, self._tick)

    def restart(self) -> None:
        """Count from now: a frame has been written."""
        self._due_at = self._loop.time() + self._interval_s

    def stop(self) -> None:
        """Add no more beats."""
        self._timer.cancel()

    def _tick(self) -> None:
        if self._loop.time() >= self._due_at:
            self._beat()
            self.restart()
        self._timer = self._loop.call_at(self._due_at, self._tick)


def pack(frames: list[bytes | None], padded: bool) -> tuple[bool, bytes]:
    """Join frames as they go on the wire.

    A beat opens the next frame early and pads it with spaces.

    Args:
        frames: What `Call.take` returned.
        padded: Whether a beat has opened the first of them already.

    Returns:
        Whether a beat has opened the frame that comes next, and the bytes.
    """
    parts: list[bytes] = []
    for frame in frames:
        if frame is None:
            parts.append(b" " if padded else b"data: ")
            padded = True
        else:
            parts.append(b"%b\n\n" % frame if padded else b"data: %b\n\n" % frame)
            padded = False
    return padded, b"".join(parts)
