"""A request of one of the deployed functions, answered by the instance's parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from . import log
from .bootstrap import App
from .callable import Call, CallableError, CallableResponse, Handler, Wire
from .identity import Caller


@cache
def app() -> App:
    """The instance's parts."""
    return App()


def answer(pick: Callable[[App], Handler[Caller]]) -> CallableResponse[Caller]:
    """The response of one request, answered by the handler that `pick` finds among the parts."""
    return _answer(app(), app().wire, pick)


def answer_admin(pick: Callable[[App], Handler[Caller]]) -> CallableResponse[Caller]:
    """The same for admins alone: nobody else gets as far as the handler."""
    return _answer(app(), app().admin_wire, pick)


async def scheduled(
    path: str, pick: Callable[[App], Callable[[], Awaitable[dict[str, Any]]]]
) -> tuple[dict[str, Any], int]:
    """What a schedule's request is answered, once its work is done; 500 has it sent again.

    Only Cloud Scheduler may send one: IAM sees to that, in front of the function. path: the
    emulator asks each function whether it is well, at an address of its own.
    """
    if path.endswith("/__/health"):
        return {}, 200
    try:
        return await pick(app())(), 200
    except CallableError as error:
        log.error("schedule_failed", reason=error.reason)
    except Exception as error:
        log.unexpected(error, "")
    return {}, 500


def _answer(
    parts: App, wire: Wire[Caller], pick: Callable[[App], Handler[Caller]]
) -> CallableResponse[Caller]:
    async def handle(call: Call[Caller]) -> Any:
        return await pick(parts)(call)  # made after the caller is known to be one

    return wire.answer(handle)
