"""Answers that were lost on the way: what there is of them, then the rest, from any instance."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from firerouter.app.limits import Limits
from firerouter.delivery import DeliveryLimits, ProgressLimits
from firerouter.ledger import LedgerLimits
from tests.support.calls import call_of
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.in_process import OVERDUE_S, Instance, World
from tests.support.response_formats import LONG_JSON

TICKS = {"model": "sim/ticks"}  # a hundred tokens in ten seconds


def often(after_s: float = 0.5, every_s: float = 0.3) -> Limits:
    """Limits by which progress is stored, and looked for, often."""
    progress = replace(ProgressLimits(), after_s=after_s, every_s=every_s)
    return Limits(
        delivery=replace(DeliveryLimits(), progress=progress),
        ledger=replace(LedgerLimits(), settle_before_result_s=0.1),
    )


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance(limits=often())
    await instance.save("ticks", TICKS)
    return instance


def begin(world: World, instance: Instance, **more: Any) -> tuple[Any, asyncio.Task[Any]]:
    data = {"feature": "ticks", "prompt": world.project, "requestId": "r", **more}
    call = call_of(data, "user", streaming=True)
    return call, asyncio.create_task(instance.app.generation.prompts.execute_prompt(call))


async def started(world: World, *, pieces: bool = True) -> str:
    """The id of the generation that runs, once something of it is kept."""

    async def kept() -> str:
        for id_, entry in (await world.all("generations")).items():
            if entry["status"] == "running" and (
                not pieces or len(await world.all(f"generations/{id_}/progress")) > 1
            ):
                return id_
        return ""

    return await until(kept)


async def stop(instance: Instance, id_: str) -> None:
    await instance.call("stop_generation", {"generationId": id_}, "user")


async def test_another_instance_gives_what_was_written_and_then_the_rest(
    world: World, instance: Instance
) -> None:
    _, running = begin(world, instance)
    id_ = await started(world)
    other = world.instance(limits=often())
    following = other.begin("execute_prompt", {"resume": id_}, "user")
    await until(lambda: len(following.messages) > 3)
    await stop(world.instance(), id_)
    result = await following.task
    frames = following.messages
    assert result == await running
    assert result["finishReason"] == "stopped"
    assert result["text"].startswith("tick-1 ")
    assert frames[0] == {"type": "start", "generationId": id_, "model": "sim/ticks"}
    assert len(frames[1]["delta"]) > len("tick-1 tick-2 ")
    assert following.text == result["text"]
    assert await world.all(f"generations/{id_}/progress") == {}, "the result is kept whole"


async def test_the_same_instance_joins_in(world: World, instance: Instance) -> None:
    _, running = begin(world, instance)
    id_ = await started(world)
    following = instance.begin("execute_prompt", {"resume": id_}, "user")
    await following.has_text()
    await stop(instance, id_)
    result = await following.task
    assert result == await running
    assert following.text == result["text"]


async def test_one_that_has_ended_is_just_its_result(world: World, instance: Instance) -> None:
    await instance.save("ticks", {"model": "sim/fast"}, 1)
    for more in ({"requestId": "r1"}, {"conversationId": "new"}):
        result = await instance.ask("ticks", **more)
        data = {"resume": result["generationId"]}
        frames, again = await world.instance().frames("execute_prompt", data, "user")
        assert frames == []
        assert again == result
        assert await world.all(f"generations/{result['generationId']}/progress") == {}


async def test_a_resume_of_nothing_is_none(instance: Instance) -> None:
    await instance.save("ticks", {"model": "sim/fast"}, 1)
    assert (await instance.ask("ticks", resume=None))["text"]


async def test_where_streams_are_off_nobody_is_sent_any(world: World, instance: Instance) -> None:
    await instance.save("ticks", {**TICKS, "stream": False}, 1)
    _, running = begin(world, instance)
    id_ = await started(world)
    following = world.instance(limits=often()).begin("execute_prompt", {"resume": id_}, "user")
    await until(lambda: following.messages)
    await world.sent_tokens(20)
    await stop(instance, id_)
    result = await following.task
    assert [frame["type"] for frame in following.messages] == ["start"]
    assert result["text"] == (await running)["text"] != ""


async def test_whoever_follows_may_leave_and_ends_nothing(world: World, instance: Instance) -> None:
    _, running = begin(world, instance)
    id_ = await started(world)
    following = world.instance().begin("execute_prompt", {"resume": id_}, "user")
    await following.has_text()
    following.call.leave()
    await asyncio.wait({following.task}, timeout=EVENTUALLY_S)
    assert not running.done()
    await stop(instance, id_)
    assert (await running)["text"]


@pytest.mark.parametrize("settings", [{"resume": False}, {}])
async def test_nothing_is_kept_where_nothing_may_be(
    world: World, instance: Instance, settings: dict[str, Any]
) -> None:
    if settings:
        await instance.save("ticks", {**TICKS, **settings}, 1)
    _, running = begin(world, instance, temporary=not settings)
    id_ = await started(world, pieces=False)
    # a hundred tokens in ten seconds: longer than progress waits here
    await world.sent_tokens(15)
    assert await world.all(f"generations/{id_}/progress") == {}
    await stop(instance, id_)
    await running


async def test_a_failed_or_temporary_one_has_no_result_to_give(
    world: World, instance: Instance
) -> None:
    await instance.save("ticks", {"model": "sim/cut-mid-stream"}, 1)
    data = {"feature": "ticks", "prompt": "x", "requestId": "r"}
    failed = await instance.refusal("execute_prompt", data, "user")
    refused = await instance.refusal(
        "execute_prompt", {"resume": failed.details["generationId"]}, "user"
    )
    assert refused.reason == "result_not_kept"
    assert refused.details["previousStatus"] == "failed"
    assert refused.details["previousReason"] == "stream_cut"


async def test_an_instance_that_was_killed_is_said_to_be(world: World, instance: Instance) -> None:
    _, running = begin(world, instance)
    id_ = await started(world)
    later = world.instance()
    now = later.app.generation.prompts._following._now
    later.app.generation.prompts._following._now = lambda: now() + timedelta(seconds=OVERDUE_S)
    refused = await later.refusal("execute_prompt", {"resume": id_}, "user")
    assert refused.reason == "interrupted"
    await stop(instance, id_)
    await running


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"resume": "0" * 32}, "generation_unknown"),
        ({"resume": "a/b"}, "invalid_argument"),
        ({"resume": ".."}, "invalid_argument"),
        ({"resume": None}, "invalid_argument"),
        ({"resume": "0" * 32, "prompt": "x"}, "invalid_argument"),
    ],
)
async def test_odd_resumes_are_refused(instance: Instance, data: Any, reason: str) -> None:
    assert (await instance.refusal("execute_prompt", data, "user")).reason == reason


async def test_somebody_elses_is_as_good_as_none(world: World, instance: Instance) -> None:
    _, running = begin(world, instance)
    id_ = await started(world)
    for where in (instance, world.instance()):
        refused = await where.refusal("execute_prompt", {"resume": id_}, "stranger")
        assert (refused.status, refused.reason) == ("NOT_FOUND", "generation_unknown")
    await stop(instance, id_)
    await running


def mute(instance: Instance) -> None:
    """Of how an answer ends nothing comes through: as where its instance is killed."""

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)

    instance.app.conversations.store.answer = never  # type: ignore[method-assign]
    instance.app.ledger.settle = never  # type: ignore[method-assign]
    instance.app.delivery.progress.forget = never  # type: ignore[method-assign]


async def test_what_a_killed_instance_had_written_is_kept_in_the_conversation(
    world: World, instance: Instance
) -> None:
    mute(instance)
    _, running = begin(world, instance, conversationId="new")
    id_ = await started(world)
    running.cancel()
    entry = await world.document(f"generations/{id_}")
    tidy = world.instance().app.generation.reconciler
    past = timedelta(seconds=OVERDUE_S)
    tidy._now = lambda: entry["createdAt"] + past
    assert (await tidy.run())["closed"] == 1
    place = entry["place"]
    conversation = f"users/user/conversations/{place['conversationId']}"
    answer = await world.document(f"{conversation}/messages/{place['messageId']}")
    assert answer["status"] == "interrupted"
    assert answer["text"].startswith("tick-1 tick-2 ")
    assert (await world.document(conversation))["leaf"] == place["messageId"]
    assert (await world.document(f"generations/{id_}"))["status"] == "interrupted"
    await tidy.run()
    assert len(await world.all(f"{conversation}/messages")) == 2


async def test_of_a_repair_that_was_killed_the_newer_text_is_kept(world: World) -> None:
    instance = world.instance(limits=often(after_s=0.0, every_s=0.1))
    await instance.save("ticks", {"model": "sim/slow-bad-json", **LONG_JSON})
    mute(instance)
    _, running = begin(world, instance, conversationId="new")
    id_ = await started(world)

    async def some_of_the_repair() -> bool:
        pieces = await world.all(f"generations/{id_}/progress")
        return any(piece.get("again") for piece in pieces.values())

    await until(some_of_the_repair)
    running.cancel()
    entry = await world.document(f"generations/{id_}")
    tidy = world.instance().app.generation.reconciler
    tidy._now = lambda: entry["createdAt"] + timedelta(seconds=OVERDUE_S)
    assert (await tidy.run())["closed"] == 1
    place = entry["place"]
    conversation = f"users/user/conversations/{place['conversationId']}"
    answer = await world.document(f"{conversation}/messages/{place['messageId']}")
    assert answer["text"].startswith("{")
    assert "tick" not in answer["text"]
