"""A value that is fetched once at a time and kept for a while."""

import asyncio

import pytest

from firerouter.cache import Cached, Recent


class Source:
    """Gives 1, 2, 3, ...; can be held up and can fail."""

    def __init__(self) -> None:
        self.fetches = 0
        self.fails: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.fetches += 1
        number = self.fetches
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return number


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cached(source: Source, clock: Clock) -> Cached[int]:
    return Cached(source, fresh_s=10, stale_s=30, clock=clock)


async def settle() -> None:
    """Let what was started in the background come to its end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nothing_is_fetched_before_it_is_asked_for(source: Source) -> None:
    Cached(source, fresh_s=1, stale_s=1)
    await settle()
    assert source.fetches == 0


async def test_a_fresh_value_is_served_without_a_look(
    cached: Cached[int], source: Source, clock: Clock
) -> None:
    assert await cached.get() == 1
    clock.now += 9.9
    assert await cached.get() == 1
    await settle()
    assert source.fetches == 1


async def test_many_at_once_wait_for_one_fetch(cached: Cached[int], source: Source) -> None:
    source.gate.clear()
    waiting = [asyncio.create_task(cached.get()) for _ in range(50)]
    await settle()
    source.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 50
    assert source.fetches == 1


async def test_a_stale_value_is_served_while_it_is_fetched_again(
    cached: Cached[int], source: Source, clock: Clock
) -> None:
    await cached.get()
    clock.now += 11
    source.gate.clear()
    assert await cached.get() == 1
    assert await cached.get() == 1
    source.gate.set()
    await settle()
    assert await cached.get() == 2
    assert source.fetches == 2


async def test_a_value_too_old_is_waited_for(cached: Cached[int], clock: Clock) -> None:
    await cached.get()
    clock.now += 31
    assert await cached.get() == 2


async def test_while_a_fetch_fails_a_stale_value_is_served_and_then_the_failure(
    cached: Cached[int], source: Source, clock: Clock
) -> None:
    await cached.get()
    source.fails = ConnectionResetError()
    for _ in range(2):
        clock.now += 11
        assert await cached.get() == 1
        await settle()
    clock.now += 11
    with pytest.raises(ConnectionResetError):
        await cached.get()
    source.fails = None
    assert await cached.get() == 5


async def test_everyone_who_waits_gets_the_failure_and_it_is_not_kept(
    cached: Cached[int], source: Source
) -> None:
    source.fails = ConnectionResetError()
    results = await asyncio.gather(*(cached.get() for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionResetError] * 5
    source.fails = None
    assert await cached.get() == 2


async def test_one_callers_end_is_not_the_others(cached: Cached[int], source: Source) -> None:
    source.gate.clear()
    first, second = (asyncio.create_task(cached.get()) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    source.gate.set()
    assert await second == 1
    assert first.cancelled()


async def test_a_value_is_as_old_as_the_question_not_as_the_answer(
    cached: Cached[int], source: Source, clock: Clock
) -> None:
    source.gate.clear()
    waiting = asyncio.create_task(cached.get())
    await settle()
    clock.now += 11
    source.gate.set()
    assert await waiting == 1
    await cached.get()
    await settle()
    assert source.fetches == 2


async def test_renew_fetches_whatever_the_age(cached: Cached[int]) -> None:
    await cached.get()
    assert await cached.renew() == 2
    assert await cached.get() == 2


async def test_what_is_put_is_served_at_once(
    cached: Cached[int], source: Source, clock: Clock
) -> None:
    cached.put(7)
    assert await cached.get() == 7
    clock.now += 9
    assert await cached.get() == 7
    assert source.fetches == 0


async def test_a_fetch_under_way_does_not_undo_what_is_put(
    cached: Cached[int], source: Source, clock: Clock
) -> None:
    """An admin saves while the old value is being read: the save is the newest."""
    source.gate.clear()
    waiting = asyncio.create_task(cached.get())
    await settle()
    clock.now += 1
    cached.put(7)
    source.gate.set()
    await waiting
    assert await cached.get() == 7


async def test_a_value_may_be_none(source: Source) -> None:
    fetches = 0

    async def nothing() -> None:
        nonlocal fetches
        fetches += 1

    cached: Cached[None] = Cached(nothing, fresh_s=10, stale_s=10)
    await cached.get()
    await cached.get()
    assert fetches == 1


def test_what_was_used_last_is_kept() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    assert len(recent) == 2
    recent.pop("a")
    recent.pop("a")
    assert recent.get("a") is None
