"""`until` waits for a condition, and says what it still was when it gives up."""

from collections.abc import Iterator

import pytest

from tests.support.eventually import until


def counting() -> Iterator[int]:
    yield from range(100)


async def test_it_returns_the_first_value_that_is_true() -> None:
    numbers = counting()
    assert await until(lambda: next(numbers), every_s=0) == 1


async def test_it_waits_for_coroutines_too() -> None:
    numbers = counting()

    async def more_than_two() -> str:
        return "enough" if next(numbers) > 2 else ""

    assert await until(more_than_two, every_s=0) == "enough"


async def test_it_gives_up_and_says_what_the_condition_returned_last() -> None:
    async def nothing() -> list[int]:
        return []

    with pytest.raises(AssertionError, match=r"nothing is still \[\] after 0 s"):
        await until(nothing, within_s=0)


async def test_what_the_condition_raises_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        await until(lambda: 1 // 0)
