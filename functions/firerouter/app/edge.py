"""What the server calls: an entry point for each deployed function, all served by one instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from .. import log
from .bootstrap import App
from .callables import ADMIN, QUEUE, SCHEDULE, DeployedFunction
from .environment import EnvironmentRefused
from .imports import Imports
from .shutdown import before_shutdown
from .triggers import Request, SingleRun, TriggerAnswer, Work, run_scheduled, run_task

if TYPE_CHECKING:
    from ..callable import Call, CallableResponse, Headers
    from ..users import Caller

EntryPoint = Callable[[Request], Awaitable[Any]]  # of an ASGI response, or of (JSON, status)


@cache
def app() -> App:
    """Return the one instance of this process, created at its first request."""
    instance = App()
    before_shutdown(instance.interrupt)
    return instance


def entry_point(function: DeployedFunction) -> EntryPoint:
    """Return the coroutine function that answers the requests of a deployed function.

    It has the function's name, because functions-framework registers it under its `__name__`.
    """

    imports = Imports(function.load) if function.load else None

    async def serve(request: Request) -> CallableResponse[Caller] | TriggerAnswer:
        if imports:
            imports.begin()  # continues while the caller is verified
        if function.audience == SCHEDULE:
            return await run_scheduled(request, lambda: once)
        if function.audience == QUEUE:
            if imports:
                await imports.wait()
            return await run_task(request, find)
        wires = app().wires
        wire = wires.admin if function.audience == ADMIN else wires.user
        return wire.answer(handle, admit=admit, body=function.body)

    async def admit(caller: Caller, headers: Headers) -> None:
        await app().admit(function.call_kind, caller, headers)

    async def handle(call: Call[Caller]) -> object:
        if imports:
            await imports.wait()
        try:
            return await find()(call)  # built only after the caller is verified
        finally:
            app().call_rates.charge(function.call_kind, call.caller, call.units - 1)

    def find() -> Work:
        return find_handler(function)

    once = SingleRun(find)
    serve.__name__ = serve.__qualname__ = function.name
    return serve


def find_handler(function: DeployedFunction) -> Work:
    """Return the handler of a function, built if necessary.

    If that fails, something is wrong with the deployment. The log names the function, and says what
    went wrong if that text can't contain a secret.
    """
    try:
        return function.handler(app())
    except Exception as error:
        problem = str(error) if isinstance(error, EnvironmentRefused) else type(error).__name__
        log.error("not_built", function=function.name, problem=problem)
        raise
