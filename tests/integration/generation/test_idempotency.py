"""One `requestId` is one generation: OpenRouter is asked once, whoever asks however often.

Two instances stand for what two devices reach, or one device that is sent elsewhere.
"""

import asyncio
from typing import Any

import pytest

from firerouter.callable import CallableError
from tests.support.eventually import until
from tests.support.in_process import Instance, World

FEATURE = {"model": "sim/fast", "maxTokens": 64, "titles": "beginning"}


async def asked(world: World) -> int:
    """How often OpenRouter was asked for a prompt that names this project."""
    requests = await world.upstream()
    bodies = [request["body"] for request in requests if request["body"].get("messages")]
    return sum(world.project in str(body["messages"][-1]["content"]) for body in bodies)


@pytest.fixture
async def instances(world: World) -> list[Instance]:
    """Two, with a feature that answers at once and one that takes a while."""
    first = world.instance()
    await first.save("talk", FEATURE)
    await first.save("slow", {**FEATURE, "model": "sim/slow"})
    return [first, world.instance()]


async def outcome(call: Any) -> Any:
    """The result, or the reason of the refusal."""
    try:
        return await call
    except CallableError as error:
        return error.reason


async def test_a_double_click(world: World, instances: list[Instance]) -> None:
    data = {"prompt": world.project, "requestId": "click", "conversationId": "new"}
    first, second = await asyncio.gather(*(instances[0].ask("slow", **data) for _ in range(2)))
    assert first == second
    assert await asked(world) == 1
    place = f"users/user/conversations/{first['conversationId']}/messages"
    assert len(await world.all(place)) == 2


@pytest.mark.parametrize("device", [0, 1], ids=["here", "elsewhere"])
async def test_a_client_that_lost_the_answer_asks_again(
    world: World, instances: list[Instance], device: int
) -> None:
    data = {"prompt": world.project, "requestId": "lost"}
    answered = await instances[0].ask("talk", **data)
    assert await instances[device].ask("talk", **data) == answered
    assert await asked(world) == 1


async def test_two_devices_at_once(world: World, instances: list[Instance]) -> None:
    data = {"prompt": world.project, "requestId": "both"}
    results = await asyncio.gather(*(outcome(one.ask("slow", **data)) for one in instances))
    refused = [result for result in results if isinstance(result, str)]
    (answered,) = [result for result in results if not isinstance(result, str)]
    assert refused == ["already_running"]
    for one in instances:
        assert await one.ask("slow", **data) == answered
    assert await asked(world) == 1


async def test_many_at_once_everywhere(world: World, instances: list[Instance]) -> None:
    data = {"prompt": world.project, "requestId": "many"}
    calls = [outcome(one.ask("slow", **data)) for _ in range(10) for one in instances]
    results = await asyncio.gather(*calls)
    texts = {result["text"] for result in results if not isinstance(result, str)}
    assert len(texts) == 1
    assert {result for result in results if isinstance(result, str)} <= {"already_running"}
    assert await asked(world) == 1


async def test_after_a_failure_a_new_id_asks_anew(world: World, instances: list[Instance]) -> None:
    await instances[0].save("broken", {**FEATURE, "model": "sim/cut-mid-stream"})
    data = {"prompt": world.project, "requestId": "first"}
    assert (await instances[0].refusal("execute_prompt", {"feature": "broken", **data})).retryable
    for one in instances:
        again = await one.refusal("execute_prompt", {"feature": "broken", **data})
        assert again.reason == "result_not_kept"
        assert again.details["previousStatus"] == "failed"
    assert await asked(world) == 1
    await instances[0].save("broken", FEATURE, 1)
    answered = await instances[0].ask("broken", **{**data, "requestId": "second"})
    assert answered["finishReason"] == "stop"
    assert await asked(world) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "something else"},
        {"temporary": True},
        {"context": "more"},
        {"conversationId": "new"},
        {"feature": "slow"},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_another_payload_under_the_same_id_is_refused(
    world: World, instances: list[Instance], changed: dict[str, Any]
) -> None:
    data = {"feature": "talk", "prompt": world.project, "requestId": "mine"}
    await instances[0].call("execute_prompt", data, "user")
    for one in instances:
        refusal = await one.refusal("execute_prompt", {**data, **changed}, "user")
        assert refusal.reason == "request_id_reused"
    assert await asked(world) == 1
    assert len(await world.all("generations")) == 1


async def test_another_payload_while_the_first_one_runs_is_refused(
    world: World, instances: list[Instance]
) -> None:
    data = {"feature": "slow", "prompt": world.project, "requestId": "mine"}
    running = asyncio.create_task(instances[0].call("execute_prompt", data, "user"))
    await until(lambda: world.all("generations"))
    for one in instances:
        refusal = await one.refusal("execute_prompt", {**data, "context": "more"}, "user")
        assert refusal.reason == "request_id_reused"
    await running
    assert await asked(world) == 1


async def test_the_same_id_of_somebody_else_is_another_one(
    world: World, instances: list[Instance]
) -> None:
    data = {"prompt": world.project, "requestId": "same"}
    mine, theirs = [await instances[0].ask("talk", uid, **data) for uid in ("user", "other")]
    assert mine["generationId"] != theirs["generationId"]
    assert await asked(world) == 2
