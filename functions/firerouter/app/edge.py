"""A request of one of the deployed functions, answered by the instance's parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..callable import Call, CallableResponse, Handler, Wire
from ..users import Caller
from .bootstrap import App


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


def _answer(
    parts: App, wire: Wire[Caller], pick: Callable[[App], Handler[Caller]]
) -> CallableResponse[Caller]:
    async def handle(call: Call[Caller]) -> Any:
        return await pick(parts)(call)  # made after the caller is known to be one

    return wire.answer(handle)
