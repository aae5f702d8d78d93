"""Waiting for something to become true, instead of sleeping for as long as it usually takes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

EVENTUALLY_S: Final = 30.0  # far longer than anything takes, also on a busy machine
LOOK_EVERY_S: Final = 0.02
T = TypeVar("T")


@overload
async def until(
    condition: Callable[[], Awaitable[T]], *, within_s: float = ..., every_s: float = ...
) -> T: ...


@overload
async def until(
    condition: Callable[[], T], *, within_s: float = ..., every_s: float = ...
) -> T: ...


async def until(
    condition: Callable[[], Any],
    *,
    within_s: float = EVENTUALLY_S,
    every_s: float = LOOK_EVERY_S,
) -> Any:
    """Return what the condition returns as soon as that is true.

    Args:
        condition: A function, or a coroutine function, that is called again and again.
        within_s: How long to go on.
        every_s: The pause between two calls, for conditions that cost something.

    Raises:
        AssertionError: It did not become true. The message has its last value.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if loop.time() > deadline:
            name = getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"{name} is still {value!r} after {within_s} s")
        await asyncio.sleep(every_s)
