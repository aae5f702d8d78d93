"""Tasks that continue after their caller has been answered: referenced, and logged on failure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from . import log

T = TypeVar("T")


class BackgroundTasks:
    """The background tasks of one instance.

    The event loop holds tasks weakly: a task without any other reference may vanish while it waits.
    An unexpected exception is logged as soon as its task ends.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()

    def start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run a coroutine in a task of its own, and return that task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._end)
        return task

    async def drain(self) -> None:
        """Wait for all running tasks, and for those that they start."""
        while self._running:
            await asyncio.wait(self._running)

    def _end(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.unexpected(error, trace_id="")
