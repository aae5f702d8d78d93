"""Who listens to an answer: how many may, and that no answer keeps the others waiting."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from firerouter.callable import Call, CallableError
from firerouter.generation.limits import GenerationLimits
from firerouter.openrouter.limits import OpenRouterLimits
from tests.support.eventually import until
from tests.support.in_process import Instance, World

LISTENERS_MAX = GenerationLimits().listeners_max
FRAMES = 3_000


@pytest.fixture
async def instance(world: World) -> Instance:
    one = world.instance()
    await one.save("ticks", {"model": "sim/ticks", "maxTokens": 30})
    await one.save("flood", {"model": "sim/flood", "maxTokens": 16_000})
    return one


@pytest.mark.parametrize("joins", ["repeats the request", "resumes"])
async def test_more_listeners_than_allowed_are_refused(
    world: World, instance: Instance, joins: str
) -> None:
    data: dict[str, Any] = {"feature": "ticks", "prompt": world.project, "requestId": "one"}
    first = instance.begin("execute_prompt", data, "user")
    await first.has_text()
    if joins == "resumes":
        data = {"resume": first.messages[0]["generationId"]}
    others = [instance.begin("execute_prompt", data, "user") for _ in range(LISTENERS_MAX - 1)]
    for other in others:
        await other.has_text()
    for _ in range(2):
        refused = await instance.refusal("execute_prompt", data, "user")
        assert refused.reason == "already_running"
        assert refused.retry_after_seconds == 2
    others[0].call.leave()  # there is a place again
    joined = instance.begin("execute_prompt", data, "user")
    await joined.has_text()
    results = await asyncio.gather(first.task, joined.task, *(one.task for one in others[1:]))
    assert len({result["text"] for result in results}) == 1
    assert {one.text for one in (first, joined, *others[1:])} == {results[0]["text"]}
    assert len(await world.requests()) == 1


async def test_who_joins_beyond_the_limit_all_at_once_is_refused(
    world: World, instance: Instance
) -> None:
    data = {"feature": "ticks", "prompt": world.project, "requestId": "many"}
    calls = [instance.begin("execute_prompt", data, "user").task for _ in range(40)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    reasons = [result.reason for result in results if isinstance(result, CallableError)]
    assert {*reasons} == {"already_running"}
    assert len(reasons) == len(calls) - LISTENERS_MAX
    assert len(await world.requests()) == 1


async def test_a_fast_answer_lets_others_have_their_turn(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, frames = 0, Counter[int]()
    put = Call.put_frame

    def count(call: Call[Any], frame: bytes) -> None:
        frames[turn] += 1
        put(call, frame)

    monkeypatch.setattr(Call, "put_frame", count)
    answer = instance.begin("execute_prompt", {"feature": "flood", "prompt": "Hi"}, "user")

    async def take_turns() -> None:
        nonlocal turn
        while frames.total() < FRAMES:
            turn += 1
            answer.call.take()  # as a client that reads
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await take_turns()
    answer.call.leave()
    await until(answer.task.done)
    assert (
        max(frames.values()) <= 2 * OpenRouterLimits().events_at_once
    )  # the end of a packet, and the next one
