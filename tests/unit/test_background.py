"""Background tasks are held, waited for, and never fail in silence."""

import asyncio
import gc
import json
import threading

import pytest

from firerouter.background import BackgroundTasks


async def test_a_task_that_nobody_holds_ends_all_the_same() -> None:
    background, done = BackgroundTasks(), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    background.start(work())
    gc.collect()
    await background.drain()
    assert done.is_set()


async def test_draining_waits_for_tasks_that_tasks_start() -> None:
    background, ended = BackgroundTasks(), list[str]()

    async def second() -> None:
        await asyncio.sleep(0.01)
        ended.append("second")

    async def first() -> None:
        background.start(second())
        ended.append("first")

    background.start(first())
    await background.drain()
    assert ended == ["first", "second"]
    await background.drain()  # of nothing is at once


async def test_a_tasks_result_is_there_for_who_waits() -> None:
    async def work() -> int:
        return 7

    assert await BackgroundTasks().start(work()) == 7


async def test_an_exception_that_nobody_foresaw_is_logged_without_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work() -> None:
        raise RuntimeError("a canary")

    background = BackgroundTasks()
    background.start(work())
    await background.drain()
    await asyncio.sleep(0)
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["severity"], line["message"], line["type"]) == (
        "ERROR",
        "unexpected",
        "RuntimeError",
    )
    assert "canary" not in json.dumps(line)


async def test_a_cancelled_task_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    background = BackgroundTasks()
    task = background.start(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await background.drain()
    assert capsys.readouterr().out == ""


async def test_what_computes_leaves_the_loop_to_others_and_waits_its_turn() -> None:
    background, turns, at_once = BackgroundTasks(), 0, list[int]()
    may_end, running = threading.Event(), set[int]()

    def compute(number: int) -> int:
        running.add(number)
        at_once.append(len(running))
        may_end.wait(10)
        running.discard(number)
        return number

    tasks = [asyncio.ensure_future(background.compute(compute, number)) for number in range(3)]
    while turns < 100:
        await asyncio.sleep(0)
        turns += 1
    assert not any(task.done() for task in tasks)
    may_end.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2]
    assert at_once == [1, 1, 1]


async def test_what_computing_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await BackgroundTasks().compute(lambda: 1 // 0)
