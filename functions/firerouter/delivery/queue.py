"""The queue in front of the function that runs answers which need no listener: Cloud Tasks.

A task says which generation, and no more: whoever may look at the queue may read it. The same one
may be queued twice, by a call that is sent again: only one of them claims it (`handover`). So tasks
have no names of their own, which would cost Cloud Tasks a look at all of the last hour's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from .. import limits, log
from ..errors import QueueUnavailable

FUNCTION: Final = "continuation"  # one word: the name of a queue takes no underscore
REGION: Final = "australia-southeast1"  # where scripts/manifest has it deployed to


class TaskQueue:
    """Adds tasks. Make one an instance."""

    def __init__(self, project: str, firebase_app: Callable[[], Any]) -> None:
        self._function = f"projects/{project}/locations/{REGION}/functions/{FUNCTION}"
        self._firebase_app = firebase_app
        self._threads = ThreadPoolExecutor(limits.QUEUE_THREADS, thread_name_prefix="queue")

    async def add(self, id_: str) -> None:
        """Queue a generation. Raises QueueUnavailable; it may be queued all the same."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.QUEUE_S):
                await loop.run_in_executor(self._threads, self._add, id_)
        except Exception as error:  # many kinds, by what is not there: a route, a role, the queue
            log.error("not_queued", type=type(error).__name__)
            raise QueueUnavailable from None

    def _add(self, id_: str) -> None:
        from firebase_admin import functions

        queue = functions.task_queue(self._function, app=self._firebase_app())
        options = functions.TaskOptions(dispatch_deadline_seconds=limits.TASK_DEADLINE_S)
        queue.enqueue({"data": {"generationId": id_}}, options)
