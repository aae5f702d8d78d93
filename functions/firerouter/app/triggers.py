"""Requests of Google's own: a schedule's, a queued task's. They are no callables.

Only Cloud Scheduler and Cloud Tasks may send one: IAM sees to that, in front of the function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .. import log
from ..callable import CallableError
from .bootstrap import App
from .edge import app

Work = Callable[..., Awaitable[dict[str, Any]]]
Answer = tuple[dict[str, Any], int]


class Request(Protocol):
    """Starlette's."""

    @property
    def url(self) -> Any: ...
    async def json(self) -> Any: ...


async def scheduled(request: Request, pick: Callable[[App], Work]) -> Answer:
    """What a schedule's request is answered, once its work is done; 500 has it sent again."""
    if _asks_for_health(request):
        return {}, 200
    return await _done("schedule_failed", pick)


async def queued(request: Request, pick: Callable[[App], Work]) -> Answer:
    """The same for a task of the queue. One that names no generation is not sent again."""
    from ..contract import QueuedGeneration, parse
    from ..errors import InvalidArgument

    if _asks_for_health(request):
        return {}, 200
    try:
        body = await request.json()
        task = parse(QueuedGeneration, body.get("data") if isinstance(body, dict) else None)
    except (ValueError, InvalidArgument):
        log.error("task_malformed")
        return {}, 200
    return await _done("task_failed", pick, task.generation_id)


async def _done(failed: str, pick: Callable[[App], Work], *asked: str) -> Answer:
    try:
        return await pick(app())(*asked), 200
    except CallableError as error:
        log.error(failed, reason=error.reason)
    except Exception as error:
        log.unexpected(error, "")
    return {}, 500


def _asks_for_health(request: Request) -> bool:
    """The emulator asks each function whether it is well, at an address of its own."""
    return bool(request.url.path.endswith("/__/health"))
