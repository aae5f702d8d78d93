"""What the server calls: an entry point for each deployed function, answered by one instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING

from .bootstrap import App
from .callables import ADMIN, QUEUE, SCHEDULE, DeployedFunction
from .triggers import Request, TriggerAnswer, run_scheduled, run_task

if TYPE_CHECKING:
    from ..callable import Call, CallableResponse
    from ..users import Caller

EntryPoint = Callable[[Request], Awaitable["CallableResponse[Caller] | TriggerAnswer"]]


@cache
def app() -> App:
    """Return the parts of this process's one instance."""
    return App()


def entry_point(function: DeployedFunction) -> EntryPoint:
    """Return the coroutine function that answers a deployed function's requests.

    It has the function's name, which functions-framework knows it by.
    """

    async def serve(request: Request) -> CallableResponse[Caller] | TriggerAnswer:
        instance = app()
        if function.audience == SCHEDULE:
            return await run_scheduled(request, lambda: function.handler(instance))
        if function.audience == QUEUE:
            return await run_task(request, lambda: function.handler(instance))
        wire = instance.admin_wire if function.audience == ADMIN else instance.wire
        return wire.answer(handle)

    async def handle(call: Call[Caller]) -> object:
        # found, and with it built, only after the caller is known to be one
        return await function.handler(app())(call)

    serve.__name__ = serve.__qualname__ = function.name
    return serve
