"""Deadlines and stops, in real and short times. Every bound here is a lower one."""
# ruff: noqa: PT012  # a guard interrupts several lines, and that is what raises

import asyncio
from collections.abc import Callable

import pytest

from firerouter.errors import OutOfTime, UpstreamSilent
from firerouter.openrouter import Deadline, Interrupted

SHORT_S = 0.1
LONG_S = 30.0  # never reached
MARGIN_S = 20.0  # a busy machine's


def later(delay_s: float, callback: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(delay_s, callback)


async def test_what_is_done_in_time_is_not_disturbed() -> None:
    watch = Deadline(LONG_S)
    with watch.guard(SHORT_S, "idle"):
        watch.start_silence()
        await asyncio.sleep(0)
        watch.end_silence()
    await asyncio.sleep(2 * SHORT_S)  # its timer is gone


@pytest.mark.parametrize("phase", ["first_token", "idle"])
async def test_silence_is_interrupted_and_says_which(phase: str) -> None:
    watch = Deadline(LONG_S)
    began = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamSilent) as raised:
        async with asyncio.timeout(MARGIN_S):
            with watch.guard(SHORT_S, phase):
                watch.start_silence()
                await asyncio.sleep(LONG_S)
    assert type(raised.value) is UpstreamSilent
    assert raised.value.details == {"phase": phase}
    assert asyncio.get_running_loop().time() - began >= SHORT_S


async def test_the_total_is_interrupted_whatever_goes_on() -> None:
    watch = Deadline(2 * SHORT_S)
    with pytest.raises(OutOfTime) as raised:
        async with asyncio.timeout(MARGIN_S):
            with watch.guard(SHORT_S, "idle"):
                while True:
                    watch.start_silence()
                    await asyncio.sleep(SHORT_S / 10)
                    watch.end_silence()
    assert raised.value.details == {"phase": "total"}


async def test_the_total_is_counted_from_the_beginning_not_from_the_guard() -> None:
    watch = Deadline(SHORT_S)
    await asyncio.sleep(2 * SHORT_S)
    with pytest.raises(OutOfTime):
        async with asyncio.timeout(MARGIN_S):
            with watch.guard():
                await asyncio.sleep(LONG_S)


async def test_each_token_begins_the_silence_anew() -> None:
    watch = Deadline(LONG_S)
    tokens = 0
    with pytest.raises(UpstreamSilent):
        async with asyncio.timeout(MARGIN_S):
            with watch.guard(10 * SHORT_S, "idle"):
                for _ in range(13):  # longer in all than the silence that is allowed
                    watch.start_silence()
                    await asyncio.sleep(SHORT_S)
                    watch.end_silence()
                    tokens += 1
                watch.start_silence()
                await asyncio.sleep(LONG_S)
    assert tokens == 13


async def test_what_is_no_token_does_not_begin_it_anew() -> None:
    watch = Deadline(LONG_S)
    with pytest.raises(UpstreamSilent):
        async with asyncio.timeout(MARGIN_S):
            with watch.guard(2 * SHORT_S, "idle"):
                while True:  # comments: we wait, get something, and wait on
                    watch.start_silence()
                    await asyncio.sleep(SHORT_S / 5)


async def test_a_slow_reader_is_not_openrouters_silence() -> None:
    watch = Deadline(LONG_S)
    with watch.guard(SHORT_S, "idle"):
        watch.start_silence()
        await asyncio.sleep(0)
        watch.end_silence()
        await asyncio.sleep(3 * SHORT_S)
        watch.start_silence()
        await asyncio.sleep(0)
        watch.end_silence()


async def test_a_guard_without_silence_waits_as_long_as_the_total() -> None:
    watch = Deadline(LONG_S)
    with watch.guard():
        watch.start_silence()
        await asyncio.sleep(2 * SHORT_S)


async def test_a_stop_interrupts_and_says_why() -> None:
    watch = Deadline(LONG_S)
    later(SHORT_S, lambda: watch.stop("stopped"))
    with pytest.raises(Interrupted) as raised:
        async with asyncio.timeout(MARGIN_S):
            with watch.guard(LONG_S, "idle"):
                await asyncio.sleep(LONG_S)
    assert raised.value.cause == "stopped"


async def test_a_stop_before_the_guard_is_raised_at_it() -> None:
    watch = Deadline(LONG_S)
    watch.stop("interrupted")
    with pytest.raises(Interrupted) as raised, watch.guard():
        pytest.fail("it was stopped before")
    assert raised.value.cause == "interrupted"


async def test_the_first_of_several_stops_counts() -> None:
    watch = Deadline(LONG_S)
    watch.stop("stopped")
    watch.stop("interrupted")
    with pytest.raises(Interrupted) as raised, watch.guard():
        pytest.fail("it was stopped before")
    assert raised.value.cause == "stopped"


async def test_a_stop_after_the_guard_cancels_nobody() -> None:
    watch = Deadline(LONG_S)
    with watch.guard(SHORT_S):
        pass
    watch.stop("stopped")
    await asyncio.sleep(0.01)
    with pytest.raises(Interrupted), watch.guard():
        pytest.fail("it was stopped before")


async def test_a_stop_between_two_guards_is_raised_at_the_second() -> None:
    watch = Deadline(LONG_S)
    with watch.guard():
        await asyncio.sleep(0)
    watch.stop("stopped")
    await asyncio.sleep(0)
    with pytest.raises(Interrupted), watch.guard():
        pytest.fail("it was stopped before")


async def test_a_stop_in_the_last_line_of_a_guard_does_not_strike_behind_it() -> None:
    """Settling comes behind it, which a stray cancellation would end."""
    watch = Deadline(LONG_S)
    task = asyncio.current_task()
    assert task is not None
    with watch.guard():
        watch.stop("stopped")
    await asyncio.sleep(0.01)
    assert task.cancelling() == 0
    with pytest.raises(Interrupted), watch.guard():
        pytest.fail("it was stopped before")


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    watch = Deadline(LONG_S)

    async def guarded() -> None:
        with watch.guard(LONG_S, "idle"):
            await asyncio.sleep(LONG_S)

    task = asyncio.create_task(guarded())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_cancellation_from_elsewhere_beside_a_stop_stays_one() -> None:
    watch = Deadline(LONG_S)

    async def guarded() -> None:
        with watch.guard(LONG_S, "idle"):
            await asyncio.sleep(LONG_S)

    task = asyncio.create_task(guarded())
    await asyncio.sleep(0)
    watch.stop("stopped")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_around_it_stays_a_timeout() -> None:
    watch = Deadline(LONG_S)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT_S):
            with watch.guard(LONG_S, "idle"):
                await asyncio.sleep(LONG_S)


async def test_after_an_interruption_the_task_can_wait_again() -> None:
    watch = Deadline(LONG_S)
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(UpstreamSilent), watch.guard(SHORT_S, "idle"):
        watch.start_silence()
        await asyncio.sleep(LONG_S)
    assert task.cancelling() == 0
    await asyncio.sleep(0.01)
    with watch.guard(LONG_S, "idle"):
        await asyncio.sleep(0.01)


async def test_another_exception_passes_as_it_is() -> None:
    watch = Deadline(LONG_S)
    with pytest.raises(ZeroDivisionError), watch.guard(SHORT_S, "idle"):
        _ = 1 / 0
    await asyncio.sleep(2 * SHORT_S)


async def test_a_stop_may_come_from_within() -> None:
    watch = Deadline(LONG_S)
    with pytest.raises(Interrupted), watch.guard():
        watch.stop("stopped")
        await asyncio.sleep(LONG_S)


async def test_guards_do_not_nest() -> None:
    deadline = Deadline(LONG_S)
    with deadline.guard(), pytest.raises(RuntimeError, match="of its own"), deadline.guard():
        pass
