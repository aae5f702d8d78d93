"""One call: what its handler sees of it, and the frames on their way to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from .envelope import encode

HIGH_WATER_BYTES: Final = 256 * 1024  # of frames waiting for one slow reader

CallerT = TypeVar("CallerT")


class Listener(Protocol):
    """What the messages of a stream are sent to. A `Call` is one."""

    @property
    def left(self) -> bool:
        """Whether it listens no more."""

    async def send(self, message: Mapping[str, object]) -> None:
        """Send one message; wait while it is read slower than it is written."""

    def put(self, message: Mapping[str, object]) -> None:
        """Send one message without waiting for a slow reader."""

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Call back once when it listens no more, at once if it does not."""


class Call(Generic[CallerT]):
    """One call, as its handler sees it. `caller` is what `authenticate` said."""

    def __init__(
        self,
        data: Any,
        headers: Mapping[str, str],
        caller: CallerT,
        *,
        streaming: bool,
        trace_id: str,
    ) -> None:
        self.data = data
        self.headers = headers
        self.caller = caller
        self.streaming = streaming
        self.trace_id = trace_id
        self.left = False
        self._on_leave: list[Callable[[], None]] = []
        self._frames: list[bytes | None] = []  # None is a beat
        self._waiting_bytes = 0
        self.wake = asyncio.Event()  # something for the response to look at
        self._room = asyncio.Event()  # the reader keeps up
        self._room.set()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Stream one message. Waits while the client reads slower than we write.

        Does nothing in a unary call, or once the client has left.
        """
        self.put(message)
        if self._waiting_bytes > HIGH_WATER_BYTES and not self.left:
            self._room.clear()
            await self._room.wait()

    def put(self, message: Mapping[str, Any]) -> None:
        """Stream one message without waiting for a slow reader."""
        if not self.streaming or self.left:
            return
        frame = encode({"message": message})
        self._frames.append(frame)
        self._waiting_bytes += len(frame)
        self.wake.set()

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Call back once when the client hangs up before its answer (at once if it has)."""
        if self.left:
            callback()
        else:
            self._on_leave.append(callback)

    def beat(self) -> None:
        self._frames.append(None)
        self.wake.set()

    def leave(self) -> None:
        if self.left:
            return
        self.left = True
        self._room.set()
        self.wake.set()
        for callback in self._on_leave:
            callback()

    def take(self) -> list[bytes | None]:
        frames, self._frames = self._frames, []
        self._waiting_bytes = 0
        self._room.set()
        self.wake.clear()
        return frames


class Beats:
    """Adds a beat after every `interval_s` without a frame. One timer a stream, not one a frame."""

    def __init__(self, call: Call[Any], interval_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._interval_s = interval_s
        self._due = self._loop.time() + interval_s
        self._timer = self._loop.call_at(self._due, self._tick)

    def wrote(self) -> None:
        self._due = self._loop.time() + self._interval_s

    def stop(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        if self._loop.time() >= self._due:
            self._call.beat()
            self.wrote()
        self._timer = self._loop.call_at(self._due, self._tick)


def pack(frames: list[bytes | None], padded: bool) -> tuple[bool, bytes]:
    """Frames as they go on the wire; a beat opens the next frame early and pads it with spaces."""
    parts: list[bytes] = []
    for frame in frames:
        if frame is None:
            parts.append(b" " if padded else b"data: ")
            padded = True
        else:
            parts.append(b"%b\n\n" % frame if padded else b"data: %b\n\n" % frame)
            padded = False
    return padded, b"".join(parts)
