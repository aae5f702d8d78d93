"""Requests from Cloud Scheduler and Cloud Tasks. They are not callables.

IAM rejects such requests from anyone else before they reach the function.
"""

from __future__ import annotations

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
