"""Work beside the event loop's: tasks that outlive their callers, and long computations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
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

    async def compute(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function that computes for long in the instance's thread for that, one at a time.

        Python runs one thread at a time, and takes turns every 5 ms: the event loop waits that
        long for its turn, and for several threads several times as long.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._computing, function, *arguments)

    @cached_property
    def _computing(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="computing")

    async def drain(self) -> None:
        """Wait for all running tasks, and for those that they start."""
        while self._running:
            await asyncio.wait(self._running)

    def _end(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.unexpected(error, trace_id="")
