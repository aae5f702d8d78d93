"""The Cloud Tasks queue in front of the function that runs answers which need no listener.

A task names a generation and nothing else, because anybody with access to the queue can read it. A
retried call may queue the same generation twice: only one of the tasks claims it (`handover`). So
tasks need no names of their own, which Cloud Tasks would have to compare with those of the last
hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from .. import log
from ..errors import QueueUnavailable
from .limits import DeliveryLimits

if TYPE_CHECKING:
    import firebase_admin

FUNCTION: Final = "continuation"  # one word: the name of a queue may not contain an underscore
REGION: Final = "australia-southeast1"  # where scripts/manifest deploys it


class TaskQueue:
    """Adds tasks to the queue. One per instance."""

    def __init__(
        self,
        project: str,
        firebase_app: Callable[[], firebase_admin.App],
        *,
        limits: DeliveryLimits | None = None,
    ) -> None:
        self._function = f"projects/{project}/locations/{REGION}/functions/{FUNCTION}"
        self._firebase_app = firebase_app
        self._limits = (limits or DeliveryLimits()).queue
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="queue")

    async def add(self, id_: str) -> None:
        """Queue a generation.

        Raises:
            QueueUnavailable: It may be queued nevertheless.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.enqueue_s):
                await loop.run_in_executor(self._threads, self._add, id_)
        except Exception as error:  # many kinds: a route, a role or the queue is missing
            log.error("not_queued", type=type(error).__name__)
            raise QueueUnavailable from None

    def _add(self, id_: str) -> None:
        from firebase_admin import functions

        queue = functions.task_queue(self._function, app=self._firebase_app())
        deadline_s = self._limits.delivery_deadline_s
        options = functions.TaskOptions(dispatch_deadline_seconds=deadline_s)
        queue.enqueue({"data": {"generationId": id_}}, options)
