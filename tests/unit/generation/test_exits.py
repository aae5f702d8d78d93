"""Every way in which a generation can end, and that each is settled exactly once."""

import asyncio

import pytest

from firerouter.callable import CallableError
from firerouter.errors import RateLimited, Restarting
from firerouter.generation.exits import Ending, settled
from firerouter.openrouter import Interrupted


class Settlements:
    """Counts settlements, and answers each with a result or the failure it was given."""

    def __init__(self) -> None:
        self.endings: list[Ending] = []

    async def __call__(self, ending: Ending) -> str | CallableError:
        self.endings.append(ending)
        return ending.failure or "result"


async def end(*raised: BaseException) -> tuple[list[Ending], str | CallableError]:
    settle = Settlements()

    async def work() -> None:
        for error in raised:
            raise error

    try:
        outcome: str | CallableError = await settled(work(), settle, trace_id="")
    except CallableError as error:
        outcome = error
    return settle.endings, outcome


async def test_work_that_comes_to_its_end_is_done() -> None:
    assert await end() == ([Ending("done")], "result")


async def test_a_stop_is_no_failure() -> None:
    assert await end(Interrupted("stopped")) == ([Ending("stopped")], "result")


async def test_an_instance_that_goes_down_fails_with_what_can_be_retried() -> None:
    endings, outcome = await end(Interrupted("interrupted"))
    assert [ending.status for ending in endings] == ["interrupted"]
    assert isinstance(outcome, Restarting)


async def test_a_failure_reaches_the_caller_as_it_is() -> None:
    failure = RateLimited()
    assert await end(failure) == ([Ending("failed", failure)], failure)


async def test_an_exception_that_nobody_foresaw_is_told_without_its_text() -> None:
    endings, outcome = await end(ZeroDivisionError("secret"))
    assert [ending.status for ending in endings] == ["failed"]
    assert type(outcome) is CallableError
    assert "secret" not in str(outcome.to_wire("0" * 32))


async def test_a_cancelled_task_is_settled_as_interrupted_and_stays_cancelled() -> None:
    settle = Settlements()

    async def work() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(settled(work(), settle, trace_id=""))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [ending.status for ending in settle.endings] == ["interrupted"]


async def test_cancelled_while_it_settles_it_ends_once_that_is_done() -> None:
    settling, done = asyncio.Event(), asyncio.Event()
    settled_: list[Ending] = []

    async def settle(ending: Ending) -> str:
        settling.set()
        await done.wait()
        settled_.append(ending)
        return "result"

    async def work() -> None:
        return

    task = asyncio.create_task(settled(work(), settle, trace_id=""))
    await settling.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    done.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert settled_ == [Ending("done")]


async def test_cancelled_twice_nothing_goes_on() -> None:
    settling, left = asyncio.Event(), asyncio.Event()

    async def settle(ending: Ending) -> str:
        settling.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return "result"

    async def work() -> None:
        return

    task = asyncio.create_task(settled(work(), settle, trace_id=""))
    await settling.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    await left.wait()


async def test_what_settling_makes_of_a_success_is_what_the_caller_gets() -> None:
    failure = CallableError()

    async def settle(ending: Ending) -> str | CallableError:
        return failure

    async def work() -> None:
        return

    with pytest.raises(CallableError) as raised:
        await settled(work(), settle, trace_id="")
    assert raised.value is failure
