"""Deadlines and stops for a task that waits for OpenRouter.

A guard interrupts the task inside it when a deadline passes or `stop` is called. It works like
`asyncio.timeout`: it cancels the task and replaces the cancellation with its cause, while any other
cancellation passes through. Instead of a timeout for each token it has a single timer that compares
timestamps, because a stream may bring hundreds of tokens per second.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ..errors import OutOfTime, UpstreamSilent

Cause = Literal["stopped", "interrupted"]  # by its user; by an instance that shuts down


class Interrupted(Exception):
    """A generation was ended from outside."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class Deadline:
    """The total deadline of one generation, and whether it has been stopped."""

    def __init__(self, total_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + total_s
        self._silent_since: float | None = None
        self._silence_max_s = math.inf
        self._phase = "total"
        self._task: asyncio.Task[object] | None = None  # the one inside a guard
        self._reason: Exception | None = None
        self._stopped: Interrupted | None = None

    def stop(self, cause: Cause) -> None:
        """End the generation now, or when it next enters a guard. Repeated calls do nothing."""
        if self._stopped is None:
            self._stopped = Interrupted(cause)
            # from the loop: if the task itself calls this at the end of its guard, a direct
            # cancellation would take effect only after the guard
            self._loop.call_soon(self._interrupt, self._stopped)

    @property
    def stopped(self) -> Cause | None:
        """What stopped it, if anything did."""
        return self._stopped.cause if self._stopped is not None else None

    def cap_total(self, total_s: float) -> None:
        """Bring the total deadline forward to `total_s` from now, if that is sooner."""
        self._ends_at = min(self._ends_at, self._loop.time() + total_s)

    @contextmanager
    def guard(self, silence_max_s: float | None = None, phase: str = "total") -> Iterator[None]:
        """Interrupt the current task inside. Guards do not nest.

        Args:
            silence_max_s: How long OpenRouter may be silent after `start_silence`.
            phase: The name of this part of the generation, for UpstreamSilent.

        Raises:
            Interrupted: `stop` was called.
            UpstreamSilent: OpenRouter was silent for too long.
            OutOfTime: The total deadline has passed.
        """
        if self._stopped is not None:
            raise self._stopped
        task = asyncio.current_task()
        if task is None or self._task is not None:
            raise RuntimeError("a guard needs a task of its own")
        self._silence_max_s = math.inf if silence_max_s is None else silence_max_s
        self._phase = phase
        cancelling = task.cancelling()
        self._task, self._reason = task, None
        self._silent_since = None
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

    def start_silence(self) -> None:
        """Start measuring OpenRouter's silence, unless that has begun."""
        if self._silent_since is None:
            self._silent_since = self._loop.time()

    def end_silence(self) -> None:
        """Stop measuring, because OpenRouter sent something. Slow clients thus do not count."""
        self._silent_since = None

    def _due_at(self) -> float:
        now = self._loop.time()
        since = now if self._silent_since is None else self._silent_since
        return min(self._ends_at, since + self._silence_max_s)

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._due_at(), self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if now >= self._ends_at:
            self._interrupt(OutOfTime(phase="total"))
        elif now >= self._due_at():
            self._interrupt(UpstreamSilent(phase=self._phase))
        else:
            self._arm()

    def _interrupt(self, reason: Exception) -> None:
        if self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()
