"""Deadlines and stops for a task that waits for OpenRouter.

A guard interrupts the task inside it when a deadline passes or somebody says stop. It works as
`asyncio.timeout` does, by cancelling the task and turning the cancellation into the reason, so a
cancellation from elsewhere stays one. Unlike a timeout for each token it has one timer that looks
at a time stamp, for a stream may bring hundreds of tokens a second.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OutOfTime, UpstreamSilent


class Interrupted(Exception):
    """Somebody said stop, and why: every client has left, say, or the instance is going down."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Deadline:
    """One generation's: its total deadline, and whether it has been told to stop."""

    def __init__(self, total_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + total_s
        self._waiting_since: float | None = None
        self._silence_s = math.inf
        self._phase = "total"
        self._task: asyncio.Task[object] | None = None  # the one inside a guard
        self._reason: Exception | None = None
        self._stopped: Interrupted | None = None

    def stop(self, why: str) -> None:
        """End it now, or as soon as it gets to its guard. May be called from anywhere, often."""
        if self._stopped is None:
            self._stopped = Interrupted(why)
            # by the loop: said by the task itself, in the last lines of its guard, a cancellation
            # would only hit it behind them
            self._loop.call_soon(self._interrupt, self._stopped)

    def limit(self, total_s: float) -> None:
        """Bring the total deadline forward to `total_s` from now, where that is sooner."""
        self._ends = min(self._ends, self._loop.time() + total_s)

    @contextmanager
    def guard(self, silence_s: float | None = None, phase: str = "total") -> Iterator[None]:
        """Raises Interrupted, UpstreamSilent after `silence_s` of `waiting`, or OutOfTime."""
        if self._stopped is not None:
            raise self._stopped
        task = asyncio.current_task()
        assert task is not None
        assert self._task is None, "guards do not nest"
        self._silence_s = math.inf if silence_s is None else silence_s
        self._phase = phase
        cancelling = task.cancelling()
        self._task, self._reason = task, None
        self._waiting_since = None
        self._arm()
        try:
            yield
        except asyncio.CancelledError:
            if self._reason is not None and task.uncancel() <= cancelling:
                raise self._reason from None
            raise
        finally:
            self._timer.cancel()
            self._task = None

    def waiting(self) -> None:
        """From now on, if not already, it is OpenRouter that we wait for."""
        if self._waiting_since is None:
            self._waiting_since = self._loop.time()

    def working(self) -> None:
        """OpenRouter gave something; what takes time now, a slow reader say, is not its silence."""
        self._waiting_since = None

    def _due(self) -> float:
        now = self._loop.time()
        since = now if self._waiting_since is None else self._waiting_since
        return min(self._ends, since + self._silence_s)

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._due(), self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if now >= self._ends:
            self._interrupt(OutOfTime(phase="total"))
        elif now >= self._due():
            self._interrupt(UpstreamSilent(phase=self._phase))
        else:
            self._arm()

    def _interrupt(self, reason: Exception) -> None:
        if self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()
