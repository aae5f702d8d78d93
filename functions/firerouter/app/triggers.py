"""Requests from Cloud Scheduler and Cloud Tasks. They are not callables.

IAM rejects such requests from anyone else before they reach the function. There is no second check
here, because it could not be sound: Cloud Run removes the signature of a token that IAM has checked
(https://docs.cloud.google.com/run/docs/authenticating/service-to-service), so a genuine one cannot
be told from one that somebody made up for a function that was opened to everybody. Who gets through
gets little: what these functions do may be done twice, and a schedule's work runs once at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from .. import log
from ..callable import CallableError

Work = Callable[..., Awaitable[object]]
TriggerAnswer = tuple[object, int]  # JSON, and the HTTP status


class Url(Protocol):
    """The part of a URL that triggers read."""

    @property
    def path(self) -> str: ...


class Request(Protocol):
    """The part of a Starlette request that triggers read."""

    @property
    def url(self) -> Url: ...
    async def json(self) -> object: ...


class SingleRun:
    """A schedule's work, once at a time: requests that come meanwhile get the same answer."""

    def __init__(self, find: Callable[[], Work]) -> None:
        self._find = find
        self._running: asyncio.Task[object] | None = None

    async def __call__(self) -> object:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(self._running)

    async def _run(self) -> object:
        return await self._find()()


async def run_scheduled(request: Request, find: Callable[[], Work]) -> TriggerAnswer:
    """Answer a scheduled request once its work is done. A 500 makes Cloud Scheduler retry it.

    Args:
        request: What Cloud Scheduler sent.
        find: Returns the work. Not called for a health check, because it builds parts.
    """
    if _is_health_check(request):
        return {}, 200
    return await _run("schedule_failed", find)


async def run_task(request: Request, find: Callable[[], Work]) -> TriggerAnswer:
    """Answer a task once its work is done. One that names no generation is not retried."""
    from ..contract import QueuedGeneration, parse
    from ..errors import InvalidArgument

    if _is_health_check(request):
        return {}, 200
    try:
        body = await request.json()
        task = parse(QueuedGeneration, body.get("data") if isinstance(body, dict) else None)
    except (ValueError, InvalidArgument):
        log.error("task_malformed")
        return {}, 200
    return await _run("task_failed", find, task.generation_id)


async def _run(event: str, find: Callable[[], Work], *arguments: str) -> TriggerAnswer:
    try:
        return await find()(*arguments), 200
    except CallableError as error:
        log.error(event, reason=error.reason)
    except Exception as error:
        log.unexpected(error, trace_id="")
    return {}, 500


def _is_health_check(request: Request) -> bool:
    """Return whether this is the emulator's health check, which uses a path of its own."""
    return request.url.path.endswith("/__/health")
