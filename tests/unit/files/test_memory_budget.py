"""Files in memory: each once, and no more of them than an instance has room for."""

import asyncio

import pytest

from firerouter import limits
from firerouter.callable import Overloaded
from firerouter.files.limits import FileLimits
from firerouter.files.memory_budget import MemoryBudget


@pytest.fixture
def holding() -> MemoryBudget[str]:
    return MemoryBudget(limits=FileLimits(in_flight_max_bytes=200))


def test_the_largest_files_go_with_the_most_models_of_a_comparison() -> None:
    holding = MemoryBudget[str](limits=FileLimits())
    for at in range(limits.COMPARED_MODELS_MAX):
        holding.hold(str(at), {"a": FileLimits().request_max_bytes}, 0)
    with pytest.raises(Overloaded):
        holding.hold("another", {"b": 1}, 0)


def test_what_is_refused_holds_nothing(holding: MemoryBudget[str]) -> None:
    holding.hold("first", {"a": 100}, 20)
    assert holding.used_bytes == 120
    holding.hold("second", {"a": 100}, 0)
    assert holding.used_bytes == 140
    with pytest.raises(Overloaded):
        holding.hold("third", {"a": 100, "b": 50}, 0)
    assert holding.used_bytes == 140
    holding.release("first")
    assert holding.used_bytes == 100
    holding.release("second")
    assert holding.used_bytes == 0


async def test_it_is_read_once_and_on_when_the_first_one_is_stopped(
    holding: MemoryBudget[str],
) -> None:
    readings, done = 0, asyncio.Event()

    async def read() -> str:
        nonlocal readings
        readings += 1
        await done.wait()
        return "content"

    for generation in ("first", "second"):
        holding.hold(generation, {"a": 10}, 0)
    first, second = (asyncio.create_task(holding.read("a", read)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    holding.release("first")
    done.set()
    assert await second == "content"
    assert (first.cancelled(), readings) == (True, 1)


async def test_what_nobody_holds_any_more_is_read_no_further(holding: MemoryBudget[str]) -> None:
    ended = asyncio.Event()

    async def read() -> str:
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    holding.hold("first", {"a": 10}, 0)
    reading = asyncio.create_task(holding.read("a", read))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    holding.release("first")
    await ended.wait()
    assert holding.used_bytes == 0
    reading.cancel()
