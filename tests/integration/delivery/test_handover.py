"""`onDisconnect: continue`: from the callable into the queue, and out of it.

The queue is a small server of the test's, which speaks the Cloud Tasks emulator's protocol and says
when a task is delivered, where, and how often. The real emulator's: test_queue.py.
"""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import firebase_admin
import httpx
import pytest
from aiohttp import web
from google.api_core import exceptions

from firerouter import limits
from firerouter.app.limits import Limits
from firerouter.callable import CallableError
from firerouter.delivery import DeliveryLimits, ProgressLimits, QueueLimits, latest
from firerouter.generation.execution import PromptExecution
from firerouter.ledger import LedgerLimits
from scripts.devtools import processes
from tests.support import counters
from tests.support.calls import call_of
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.faulty_firestore import applied_twice, at_commit
from tests.support.in_process import OVERDUE_S, Instance, World
from tests.support.response_formats import LONG_JSON
from tests.support.serve import Serve

CONTINUE = {"onDisconnect": "continue"}


class Queue:
    """The tasks that were queued. to: the instance they are delivered to at once, if any."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.to: Instance | None = None
        self.status = 200
        self.delivering: set[asyncio.Task[Any]] = set()

    async def take(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status)
        task = (await request.json())["task"]
        self.tasks.append({**task, "queue": request.path.split("/queues/")[0]})
        if self.to is not None:
            delivering = asyncio.create_task(self.deliver(self.to))
            self.delivering.add(delivering)
        return web.json_response({"task": {**task, "name": f"/{request.path.lstrip('/')}/1"}})

    @property
    def id(self) -> str:
        """Of the generation that was queued last."""
        data = json.loads(base64.b64decode(self.tasks[-1]["httpRequest"]["body"]))
        assert data.keys() == {"data"}
        assert data["data"].keys() == {"generationId"}
        return str(data["data"]["generationId"])

    async def deliver(self, instance: Instance) -> Any:
        return await instance.app.generation.prompts.deliver(self.id)

    async def filled(self, count: int = 1) -> None:
        await until(lambda: len(self.tasks) >= count)


def forget_firebase() -> None:
    """Its client of the queue keeps the address that it was made with."""
    with suppress(ValueError):
        firebase_admin.delete_app(firebase_admin.get_app())


@pytest.fixture
async def queue(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Queue]:
    queue = Queue()
    app = web.Application()
    app.router.add_post("/{path:.*}", queue.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", f"127.0.0.1:{port}")
    forget_firebase()
    yield queue
    if queue.delivering:
        await asyncio.wait(queue.delivering, timeout=EVENTUALLY_S)
    await runner.cleanup()
    forget_firebase()


@pytest.fixture
async def instance(world: World, queue: Queue) -> Instance:
    """The callable's; tasks go to another one."""
    instance = world.instance()
    for model in ("fast", "slow", "ticks", "error-in-200"):
        await instance.save(model, {"model": f"sim/{model}", **CONTINUE})
    queue.to = world.instance()
    return instance


def prompt(world: World) -> str:
    return f"for {world.project}"


async def upstream(world: World) -> list[dict[str, Any]]:
    """What OpenRouter's stand-in was asked in this world."""
    async with httpx.AsyncClient(trust_env=False) as http:
        seen = (await http.get(f"{world.suite.openrouter_root}/sim/requests")).json()
    return [request for request in seen if prompt(world) in str(request["body"])]


async def ask(world: World, instance: Instance, feature: str, **more: Any) -> Any:
    return await instance.ask(feature, prompt=prompt(world), **more)


def begin(world: World, instance: Instance, feature: str, **more: Any) -> Any:
    """(the call, which streams; its task)."""
    call = call_of({"feature": feature, "prompt": prompt(world), **more}, "user", streaming=True)
    return call, asyncio.create_task(instance.app.generation.prompts.execute_prompt(call))


async def ended(world: World, id_: str) -> dict[str, Any]:
    """The entry, once it has ended, all that it held given back."""

    async def has_ended() -> dict[str, Any]:
        entry = await world.document(f"generations/{id_}")
        return {} if entry["status"] == "running" else entry

    entry: dict[str, Any] = await until(has_ended)
    assert (await world.document("quotas/user/windows/concurrent"))["count"] == 0
    return entry


async def refused(running: Any) -> CallableError:
    with pytest.raises(CallableError) as error:
        await running
    return error.value


def texts(frames: list[Any]) -> list[str]:
    return [frame["delta"] for frame in frames if frame["type"] == "text"]


# The way of it


async def test_a_task_says_the_generation_alone_and_nothing_of_it_stays(
    world: World, instance: Instance, queue: Queue
) -> None:
    result = await ask(world, instance, "fast")
    (task,) = queue.tasks
    assert queue.id == result["generationId"]
    assert prompt(world) not in json.dumps(task)
    assert task["queue"] == f"/projects/{world.project}/locations/australia-southeast1"
    assert task["dispatchDeadline"] == f"{QueueLimits().delivery_deadline_s}s"
    entry = await ended(world, queue.id)
    assert (entry["status"], entry["continues"], entry["result"]) == ("done", True, result)
    assert entry["instance"] == queue.to.app.instance  # type: ignore[union-attr]
    for name in ("asked", "progress"):
        assert await world.all(f"generations/{queue.id}/{name}") == {}
    assert result["usage"]["totalTokens"] > 0
    assert len(await upstream(world)) == 1


async def test_it_is_followed_as_it_is_written(
    world: World, instance: Instance, queue: Queue
) -> None:
    data = {"feature": "ticks", "prompt": prompt(world), "conversationId": "new"}
    asking = instance.begin("execute_prompt", data, "user")
    await until(lambda: len(texts(asking.messages)) >= 4)
    assert not asking.task.done(), "what is written is shown before its end"
    await instance.call("stop_generation", {"generationId": queue.id}, "user")
    result = await asking.task
    frames = asking.messages
    assert frames[0]["type"] == "start"
    assert frames[0]["messageId"] == result["messageId"]
    assert "".join(texts(frames)) == result["text"]
    assert result["finishReason"] == "stopped"
    entry = await ended(world, queue.id)
    place = entry["place"]
    message = await world.document(
        f"users/user/conversations/{place['conversationId']}/messages/{place['messageId']}"
    )
    assert (message["status"], message["text"]) == ("stopped", result["text"])


async def test_it_is_written_down_no_more_than_once_a_second(
    world: World, instance: Instance, queue: Queue
) -> None:
    call, running = begin(world, instance, "ticks")
    await queue.filled()
    pieces: dict[str, Any] = {}
    firestore = world.firestore.collection(f"generations/{queue.id}/progress")

    async def several() -> bool:
        nonlocal pieces
        pieces |= {s.id: s.create_time async for s in firestore.stream()}
        return len(pieces) > 3

    await until(several)
    await instance.call("stop_generation", {"generationId": queue.id}, "user")
    await running
    entry = await ended(world, queue.id)
    times = [pieces[id_] for id_ in sorted(pieces)]
    assert times[0] - entry["createdAt"] > timedelta(seconds=1.9)
    for before, after in pairwise(times):
        assert after - before > timedelta(seconds=0.9)
    assert await world.all(f"generations/{queue.id}/progress") == {}
    assert call.left is False


async def test_a_repair_takes_the_place_of_what_was_written_before_it(
    world: World, instance: Instance, queue: Queue
) -> None:
    progress = replace(ProgressLimits(), after_s=0.0, live_s=0.15)
    queue.to = world.instance(limits=Limits(delivery=replace(DeliveryLimits(), progress=progress)))
    await instance.save("shaped", {"model": "sim/slow-bad-json", **LONG_JSON, **CONTINUE})
    call, running = begin(world, instance, "shaped", conversationId="new")
    await queue.filled()

    async def some_of_the_repair() -> bool:
        pieces = await world.all(f"generations/{queue.id}/progress")
        return len(pieces) > 1 and any(piece.get("again") for piece in pieces.values())

    await until(some_of_the_repair)
    written = "".join(
        piece.text for piece in latest(await instance.app.delivery.progress.read(queue.id))
    )
    result = await running
    assert result["text"].startswith(written), "what would be left of it, were it killed now"
    frames = [json.loads(frame)["message"] for frame in call.take() if frame]
    kinds = [frame["type"] for frame in frames]
    after = frames[kinds.index("repair") + 1 :]
    assert "".join(texts(after)) == result["text"]
    assert frames[kinds.index("repair")]["at"] == "$ (json)"
    assert json.loads(result["text"])


async def test_where_resume_is_off_nothing_is_kept_and_the_text_comes_whole(
    world: World, instance: Instance, queue: Queue
) -> None:
    await instance.save("ticks", {"model": "sim/slow", "resume": False, **CONTINUE}, 1)
    call, running = begin(world, instance, "ticks")
    await queue.filled()
    while not running.done():
        assert await world.all(f"generations/{queue.id}/progress") == {}
        await asyncio.sleep(0.2)
    result = await running
    frames = [json.loads(frame)["message"] for frame in call.take() if frame]
    assert texts(frames) == [result["text"]]


async def test_where_streams_are_off_the_text_comes_with_the_result_alone(
    world: World, instance: Instance, queue: Queue
) -> None:
    await instance.save("ticks", {"model": "sim/slow", "stream": False, **CONTINUE}, 1)
    data = {"feature": "ticks", "prompt": prompt(world)}
    frames, result = await instance.frames("execute_prompt", data, "user")
    assert [frame["type"] for frame in frames] == ["start"]
    assert result["text"]


async def test_who_leaves_changes_nothing(world: World, instance: Instance, queue: Queue) -> None:
    call, running = begin(world, instance, "slow", conversationId="new")
    await queue.filled()
    await until(world.requests)  # a few seconds go by until its first token
    call.leave()
    await asyncio.wait({running})
    assert isinstance(running.exception(), CallableError)  # nobody hears it
    entry = await ended(world, queue.id)
    assert entry["status"] == "done"
    place = entry["place"]
    conversation = f"users/user/conversations/{place['conversationId']}"
    answer = await world.document(f"{conversation}/messages/{place['messageId']}")
    assert answer["text"] == entry["result"]["text"] != ""
    assert (await world.document(conversation))["leaf"] == place["messageId"]
    resumed = await world.instance().call("execute_prompt", {"resume": queue.id}, "user")
    assert resumed == entry["result"]


async def test_who_leaves_before_it_is_admitted_changes_nothing_either(
    world: World, instance: Instance, queue: Queue
) -> None:
    call, running = begin(world, instance, "fast", requestId="r")
    call.leave()
    await asyncio.wait({running})
    await queue.filled()
    assert (await ended(world, queue.id))["status"] == "done"


async def test_it_may_run_where_it_was_asked_and_be_joined_there(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to = instance
    call, running = begin(world, instance, "slow", requestId="r")
    await queue.filled()
    await until(world.requests)  # a few seconds go by until its first token
    joined = instance.begin("execute_prompt", {"resume": queue.id}, "user")
    await until(lambda: joined.messages)
    joined.call.leave()
    result = await running
    assert result["finishReason"] == "stop"
    assert await joined.task == result
    assert call.left is False


async def test_its_json_is_parsed_for_no_follower_while_it_grows(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to = instance
    await instance.save("shaped", {"model": "sim/slow-bad-json", **LONG_JSON, **CONTINUE})
    asking = begin(world, instance, "shaped", requestId="r", partialJson=True)
    await queue.filled()
    await until(world.requests)
    joined = instance.begin("execute_prompt", {"resume": queue.id}, "user")
    await asking[1]
    await joined.task
    assert {"start", "text"} <= {frame["type"] for frame in joined.messages}
    assert [frame for frame in joined.messages if frame["type"] == "json"] == []


@pytest.mark.parametrize("same_instance", [True, False])
async def test_the_same_request_again_follows_the_first(
    world: World, instance: Instance, queue: Queue, same_instance: bool
) -> None:
    other = instance if same_instance else world.instance()
    data = {"feature": "slow", "prompt": prompt(world), "requestId": "r"}
    first, again = await asyncio.gather(
        instance.call("execute_prompt", data, "user"), other.call("execute_prompt", data, "user")
    )
    later = await world.instance().call("execute_prompt", data, "user")
    assert first == again == later
    assert len(queue.tasks) == 1
    assert len(await upstream(world)) == 1
    reused = await other.refusal("execute_prompt", {**data, "prompt": "another"}, "user")
    assert reused.reason == "request_id_reused"


async def test_a_failure_is_the_callers_as_it_would_be_anywhere(
    world: World, instance: Instance, queue: Queue
) -> None:
    data = {"feature": "error-in-200", "prompt": prompt(world), "requestId": "r"}
    failed = await instance.refusal("execute_prompt", data, "user")
    entry = await ended(world, queue.id)
    assert (entry["status"], entry["error"]) == ("failed", failed.reason)
    assert failed.status == "UNAVAILABLE"
    assert failed.details == {"generationId": queue.id}
    again = await instance.refusal("execute_prompt", data, "user")
    assert again.reason == "result_not_kept"


async def test_turns_of_one_conversation_follow_each_other_as_they_were_asked(
    world: World, instance: Instance, queue: Queue
) -> None:
    begun = await ask(world, instance, "fast", conversationId="new")
    to, queue.to = queue.to, None
    place = {"conversationId": begun["conversationId"]}
    _, running = begin(world, instance, "fast", **place)
    await queue.filled(2)
    await instance.save("plain", {"model": "sim/fast"})
    await ask(world, instance, "plain", **place)
    await queue.deliver(to)  # type: ignore[arg-type]
    result = await running
    messages = f"users/user/conversations/{place['conversationId']}/messages"
    answer = await world.document(f"{messages}/{result['messageId']}")
    question = await world.document(f"{messages}/{answer['parent']}")
    assert question["parent"] == begun["messageId"]
    regenerated = asyncio.create_task(
        instance.call(
            "execute_prompt",
            {"feature": "fast", "regenerate": result["messageId"], **place},
            "user",
        )
    )
    await queue.filled(3)
    await queue.deliver(to)  # type: ignore[arg-type]
    sibling = await world.document(f"{messages}/{(await regenerated)['messageId']}")
    assert sibling["parent"] == answer["parent"]


async def test_a_request_of_any_size_arrives_whole(
    world: World, instance: Instance, queue: Queue
) -> None:
    await instance.save("fast", {"model": "sim/fast", "systemPrompt": "{{a}}", **CONTINUE}, 1)
    long = "\N{GRINNING FACE}" * (limits.PROMPT_MAX_CHARS - 100) + prompt(world)
    variables = dict.fromkeys("abcdefgh", "é" * limits.VARIABLE_MAX_CHARS)
    data = {"feature": "fast", "prompt": long, "variables": variables}
    queue.to, to = None, queue.to
    running = asyncio.create_task(instance.call("execute_prompt", data, "user"))
    await queue.filled()
    assert len(await world.all(f"generations/{queue.id}/asked")) > 2
    await queue.deliver(to)  # type: ignore[arg-type]
    await running
    (request,) = await upstream(world)
    system, asked = request["body"]["messages"]
    assert (system["content"], asked["content"]) == (variables["a"], long)
    assert await world.all(f"generations/{queue.id}/asked") == {}


async def test_what_the_model_does_not_support_is_told_of_as_it_would_be_anywhere(
    world: World, instance: Instance, queue: Queue
) -> None:
    dropping = {"model": "sim/plain", "unsupported": "drop", **CONTINUE}
    await instance.save("plain", dropping)
    result = await ask(world, instance, "plain", responseFormat={"type": "json_object"})
    assert len(queue.tasks) == 1
    assert [notice["field"] for notice in result["notices"]] == ["responseFormat"]


async def test_settings_that_change_meanwhile_do_not_change_it(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to, to = None, queue.to
    _, running = begin(world, instance, "fast")
    await queue.filled()
    await instance.save("fast", {"model": "sim/u2028"}, 1)
    await instance.call("save_feature_settings", {"feature": "fast", "enabled": False})
    await queue.deliver(to)  # type: ignore[arg-type]
    result = await running
    assert (result["model"], result["revision"]) == ("sim/fast", 1)


# What runs as before


async def test_what_keeps_no_text_and_what_is_tried_needs_its_listener(
    world: World, instance: Instance, queue: Queue
) -> None:
    result = await ask(world, instance, "fast", temporary=True)
    entry = await ended(world, result["generationId"])
    assert (entry["status"], entry["result"], "continues" in entry) == ("done", None, False)
    settings = {"model": "sim/fast", **CONTINUE}
    tried = {"feature": "fast", "prompt": prompt(world), "settings": settings}
    assert (await instance.call("test_feature_settings", tried))["test"]
    await instance.save("kept", {"model": "sim/fast", "cacheSeconds": 60, **CONTINUE})
    first = await ask(world, instance, "kept")
    assert len(queue.tasks) == 1
    again = await ask(world, instance, "kept")
    assert (first["cached"], again["cached"]) == (False, True)
    assert len(queue.tasks) == 1


# Ends


async def test_who_has_handed_over_keeps_nothing_alive(world: World, queue: Queue) -> None:
    """Else it would renew its lease for as long as it lives."""
    world.limits = Limits(ledger=replace(LedgerLimits(), lease_renewal_s=0.05))
    instance = world.instance()
    await instance.save("ticks", {"model": "sim/ticks", **CONTINUE})
    asking = asyncio.create_task(ask(world, instance, "ticks"))
    await queue.filled()
    await asyncio.sleep(0.3)
    before = await world.all("instances")
    await asyncio.sleep(0.3)
    assert await world.all("instances") == before
    queue.to = world.instance()
    await queue.deliver(queue.to)
    assert (await asking)["finishReason"] == "stop"


async def test_a_stop_before_it_arrives_sends_nothing(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to, to = None, queue.to
    _, running = begin(world, instance, "fast", requestId="r")
    await queue.filled()
    stop = {"requestId": "r"}
    assert (await world.instance().call("stop_generation", stop, "user"))["stopped"]
    await queue.deliver(to)  # type: ignore[arg-type]
    result = await running
    assert (result["finishReason"], result["text"]) == ("stopped", "")
    entry = await ended(world, queue.id)
    assert (entry["status"], entry["costNanoUsd"], entry["attempts"]) == ("stopped", 0, [])
    assert await upstream(world) == []


async def test_a_stop_during_its_admission_sends_nothing_and_queues_nothing(
    world: World, instance: Instance, queue: Queue
) -> None:
    stops: list[Any] = []

    async def stop_first(commit: Any, *args: Any, **kwargs: Any) -> Any:
        if not stops:
            stops.append(await instance.call("stop_generation", {"requestId": "r"}, "user"))
        return await commit(*args, **kwargs)

    instance.commits(stop_first)
    result = await ask(world, instance, "fast", requestId="r")
    assert [stop["stopped"] for stop in stops] == [True]
    assert (result["finishReason"], result["text"]) == ("stopped", "")
    assert (await ended(world, result["generationId"]))["status"] == "stopped"
    assert queue.tasks == []
    assert await upstream(world) == []


async def test_a_stop_during_its_admission_begins_nothing(world: World, instance: Instance) -> None:
    await instance.save("here", {"model": "sim/fast"})
    stops: list[Any] = []

    async def stop_first(commit: Any, *args: Any, **kwargs: Any) -> Any:
        if not stops:
            stops.append(await instance.call("stop_generation", {"requestId": "r"}, "user"))
        return await commit(*args, **kwargs)

    instance.commits(stop_first)
    data = {"feature": "here", "prompt": prompt(world), "requestId": "r"}
    frames, result = await instance.frames("execute_prompt", data, "user")
    assert [stop["stopped"] for stop in stops] == [True]
    assert (frames, result["finishReason"], result["attempts"]) == ([], "stopped", [])
    assert await upstream(world) == []


async def test_delivered_again_and_at_once_it_asks_once(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to = None
    _, running = begin(world, instance, "slow")
    await queue.filled()
    others = [world.instance() for _ in range(3)]
    answers = await asyncio.gather(*map(queue.deliver, [*others, *others]))
    assert answers == [{}] * 6
    result = await running
    assert await queue.deliver(world.instance()) == {}
    assert len(await upstream(world)) == 1
    entry = await ended(world, queue.id)
    assert entry["result"] == result


async def test_a_claim_that_is_applied_twice_is_its_own(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to = None
    _, running = begin(world, instance, "fast")
    await queue.filled()
    there = world.instance()
    there.commits(applied_twice)
    await queue.deliver(there)
    assert (await running)["finishReason"] == "stop"
    assert len(await upstream(world)) == 1
    await ended(world, queue.id)


async def test_a_claim_whose_answer_is_lost_is_not_lost(
    world: World, instance: Instance, queue: Queue
) -> None:
    queue.to = None
    _, running = begin(world, instance, "fast")
    await queue.filled()
    there, lost = world.instance(), [True]

    async def lose_the_first(commit: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await commit(*args, **kwargs)
        if lost:
            lost.clear()
            raise exceptions.DeadlineExceeded("lost")  # type: ignore[no-untyped-call]
        return answer

    there.commits(lose_the_first)
    await queue.deliver(there)
    assert (await running)["finishReason"] == "stop"
    assert len(await upstream(world)) == 1
    await ended(world, queue.id)


async def test_what_cannot_be_claimed_is_to_be_delivered_again(
    world: World, instance: Instance, queue: Queue, capfd: pytest.CaptureFixture[str]
) -> None:
    at_once = replace(QueueLimits(), claim_pauses_s=(0.0, 0.0))
    queue.to = None
    _, running = begin(world, instance, "fast")
    await queue.filled()
    there = world.instance(limits=Limits(delivery=replace(DeliveryLimits(), queue=at_once)))

    async def away(*_: Any, **__: Any) -> Any:
        raise exceptions.DeadlineExceeded("away")  # type: ignore[no-untyped-call]

    there.commits(away)
    failed = await refused(queue.deliver(there))
    assert failed.reason == "ledger_unavailable"
    await queue.deliver(world.instance())
    assert (await running)["finishReason"] == "stop"
    assert len(await upstream(world)) == 1
    assert "claim_delayed" in capfd.readouterr().out


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_without_a_queue_nothing_is_begun_and_nothing_held(
    world: World, instance: Instance, queue: Queue, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    queue.status = status
    failed = await instance.refusal(
        "execute_prompt", {"feature": "fast", "prompt": prompt(world), "requestId": "r"}, "user"
    )
    assert (failed.status, failed.reason, failed.retryable) == (
        "UNAVAILABLE",
        "queue_unavailable",
        True,
    )
    entry = await ended(world, failed.details["generationId"])
    assert (entry["status"], entry["error"]) == ("failed", "queue_unavailable")
    assert (entry["costNanoUsd"], entry["costIsEstimate"]) == (0, False)
    to = queue.to
    assert to is not None
    assert await to.app.generation.prompts.deliver(failed.details["generationId"]) == {}
    assert await upstream(world) == []
    assert "not_queued" in capfd.readouterr().out


async def test_a_task_that_never_comes_costs_nothing_and_comes_too_late(
    world: World, queue: Queue
) -> None:
    instance = world.instance(limits=Limits(ledger=replace(LedgerLimits(), queued_max_s=2.0)))
    await instance.call("save_app_settings", {"revision": 0, "settings": {"freeModelsOnly": False}})
    await instance.save("paid", {"model": "sim/paid", **CONTINUE})
    to = world.instance()
    _, running = begin(world, instance, "paid", conversationId="new")
    assert (await refused(running)).reason == "interrupted"
    entry = await world.document(f"generations/{queue.id}")
    assert entry["reservedNanoUsd"] > 0
    assert await queue.deliver(to) == {}
    assert (await world.instance().app.generation.reconciler.run())["closed"] == 1
    entry = await ended(world, queue.id)
    assert (entry["status"], entry["costNanoUsd"]) == ("interrupted", 0)
    messages = f"users/user/conversations/{entry['place']['conversationId']}/messages"
    (question,) = (await world.all(messages)).values()
    assert question["text"] == prompt(world), "to be answered by a regenerate"
    assert await world.all(f"generations/{queue.id}/asked") == {}
    assert counters.spent(await world.all("quotas/user/windows")) == 0
    assert await queue.deliver(to) == {}
    assert await upstream(world) == []


async def test_an_instance_that_dies_with_it_is_closed_and_not_followed_for_ever(
    world: World, instance: Instance, queue: Queue
) -> None:
    """Killed: nothing that it would still have done comes through."""

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)

    async def nothing(*_: Any, **__: Any) -> None:
        """Settle nothing, as one who is dead."""

    queue.to = None
    short = replace(LedgerLimits(), run_s=2.0, settle_s=1.0)
    there = world.instance(limits=Limits(ledger=short))
    there.app.delivery.handover.take_request = never  # type: ignore[method-assign]
    there.app.ledger._settle = nothing  # type: ignore[method-assign]
    _, running = begin(world, instance, "fast")
    await queue.filled()
    dying = asyncio.create_task(queue.deliver(there))
    assert (await refused(running)).reason in {"interrupted", "already_running"}
    dying.cancel()
    await asyncio.wait({dying})
    assert await queue.deliver(world.instance()) == {}, "claimed once, for good"

    async def its_deadline_has_passed() -> bool:
        return bool((await world.instance().app.generation.reconciler.run())["closed"] == 1)

    await until(its_deadline_has_passed)
    assert (await ended(world, queue.id))["status"] == "interrupted"


async def test_a_process_that_is_killed_with_it_leaves_what_it_had_written(
    world: World, instance: Instance, queue: Queue, serve: Serve
) -> None:
    queue.to = None
    served = serve("continuation", env={"GCLOUD_PROJECT": world.project})
    call, running = begin(world, instance, "ticks", conversationId="new")
    await queue.filled()
    task = {"data": {"generationId": queue.id}}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        delivering = asyncio.create_task(http.post(served.url, json=task))

        async def several_pieces() -> bool:
            return len(await world.all(f"generations/{queue.id}/progress")) > 1

        await until(several_pieces)
        for pid in processes.descendants([served.pid]):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            await delivering
    assert await queue.deliver(world.instance()) == {}, "claimed once, for good"
    call.leave()
    await asyncio.wait({running})
    running.exception()
    tidy = world.instance().app.generation.reconciler
    past = timedelta(seconds=OVERDUE_S)
    tidy._now = lambda: datetime.now(UTC) + past
    assert (await tidy.run())["closed"] == 1
    entry = await ended(world, queue.id)
    assert entry["status"] == "interrupted"
    place = entry["place"]
    message = await world.document(
        f"users/user/conversations/{place['conversationId']}/messages/{place['messageId']}"
    )
    assert message["status"] == "interrupted"
    assert message["text"].startswith("tick-1 tick-2 ")
    asked = [request for request in await upstream(world) if request["model"] == "sim/ticks"]
    assert len(asked) == 1


async def test_what_cannot_be_asked_any_more_is_ended(
    world: World, instance: Instance, queue: Queue
) -> None:
    begun = await ask(world, instance, "fast", conversationId="new")
    to, queue.to = queue.to, None
    place = {"conversationId": begun["conversationId"]}
    _, running = begin(world, instance, "fast", **place)
    await queue.filled(2)
    await instance.call("delete_conversation", place, "user")
    await queue.deliver(to)  # type: ignore[arg-type]
    assert (await refused(running)).reason == "conversation_unknown"
    entry = await ended(world, queue.id)
    assert (entry["status"], entry["costNanoUsd"]) == ("failed", 0)


async def test_a_question_state_that_cannot_be_read_ends_it_at_once(
    world: World, instance: Instance, queue: Queue
) -> None:
    to, queue.to = queue.to, None
    assert to is not None
    _, running = begin(world, instance, "fast", conversationId="new")
    await queue.filled()
    parts = await world.all(f"generations/{queue.id}/asked")
    ((name, part),) = parts.items()
    stored = json.loads(part["part"])
    stored["written"]["on"] = "nowhere"
    await world.write(f"generations/{queue.id}/asked/{name}", {**part, "part": json.dumps(stored)})
    await queue.deliver(to)
    assert (await refused(running)).reason == "internal"
    entry = await ended(world, queue.id)
    assert (entry["status"], entry["costNanoUsd"]) == ("failed", 0)
    assert await upstream(world) == []


async def test_somebody_elses_cannot_be_followed(
    world: World, instance: Instance, queue: Queue
) -> None:
    _, running = begin(world, instance, "slow")
    await queue.filled()
    refusal = await instance.refusal("execute_prompt", {"resume": queue.id}, "stranger")
    assert refusal.reason == "generation_unknown"
    await running


async def test_an_instance_that_goes_down_ends_it_as_interrupted(
    world: World, instance: Instance, queue: Queue
) -> None:
    _, running = begin(world, instance, "ticks", requestId="r")
    await queue.filled()
    assert queue.to is not None
    generate: PromptExecution = queue.to.app.generation.prompts

    async def is_recorded() -> bool:
        return bool(await world.all(f"generations/{queue.id}/progress"))

    await until(is_recorded)
    generate.interrupt()
    assert (await refused(running)).reason == "interrupted"
    entry = await ended(world, queue.id)
    assert entry["status"] == "interrupted"
    assert entry["usage"]["completionTokens"] > 0


# Cancelled on its way


class Halt:
    """Stands in for a step: it does that, or not, and never comes back."""

    def __init__(self, step: Any = None) -> None:
        self.step = step
        self.reached = asyncio.Event()

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.step is not None:
            await self.step(*args, **kwargs)
        self.reached.set()
        await asyncio.Event().wait()


async def cancelled(task: asyncio.Task[Any], halt: Halt) -> None:
    """Cancel a task once it has come to that step."""
    await asyncio.wait_for(halt.reached.wait(), EVENTUALLY_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def interrupted(world: World) -> None:
    """There is one entry. It has ended, nothing was sent for it, and nothing is held."""
    ((id_, _),) = (await world.all("generations")).items()
    entry = await ended(world, id_)
    assert (entry["status"], entry["costNanoUsd"], entry["attempts"]) == ("interrupted", 0, [])
    assert counters.spent(await world.all("quotas/user/windows")) == 0
    assert await upstream(world) == []


@pytest.mark.parametrize("is_queued", [False, True])
async def test_cancelled_on_its_way_into_the_queue_it_is_ended(
    world: World, instance: Instance, queue: Queue, monkeypatch: pytest.MonkeyPatch, is_queued: bool
) -> None:
    to, queue.to = queue.to, None
    handover = instance.app.generation.prompts._handover
    halt = Halt(handover.enqueue if is_queued else None)
    monkeypatch.setattr(handover, "enqueue", halt)
    _, running = begin(world, instance, "fast", conversationId="new")
    await cancelled(running, halt)
    await interrupted(world)
    if is_queued:
        assert await queue.deliver(to) == {}  # type: ignore[arg-type]
        await interrupted(world)


@pytest.mark.parametrize("step", ["_handover.take_request", "_builder.prepare", "_cache.get"])
async def test_cancelled_on_its_way_out_of_the_queue_it_is_ended(
    world: World, instance: Instance, queue: Queue, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    to, queue.to = queue.to, None
    assert to is not None
    _, running = begin(world, instance, "fast")
    await queue.filled()
    part, name = step.split(".")
    halt = Halt()
    monkeypatch.setattr(getattr(to.app.generation.prompts, part), name, halt)
    await cancelled(asyncio.create_task(queue.deliver(to)), halt)
    await interrupted(world)
    assert (await refused(running)).reason == "interrupted"


@pytest.mark.parametrize("after", [False, True])
async def test_cancelled_while_it_is_claimed_it_is_ended(
    world: World, instance: Instance, queue: Queue, after: bool
) -> None:
    to, queue.to = queue.to, None
    assert to is not None
    _, running = begin(world, instance, "fast")
    await queue.filled()
    delivering: list[asyncio.Task[Any]] = []

    async def cancel() -> None:
        delivering[0].cancel()
        await asyncio.sleep(0)

    to.commits(at_commit(1, cancel, after=after))
    delivering.append(asyncio.create_task(queue.deliver(to)))
    with pytest.raises(asyncio.CancelledError):
        await delivering[0]
    await interrupted(world)
    assert (await refused(running)).reason == "interrupted"


async def test_a_comparison_goes_on_as_well(world: World, instance: Instance, queue: Queue) -> None:
    await instance.save("pair", {"model": "sim/fast", "allowedModels": ["sim/slow"], **CONTINUE})
    to, queue.to = queue.to, None
    models = ["sim/fast", "sim/slow"]
    data = {"feature": "pair", "prompt": prompt(world), "models": models, "requestId": "r"}
    call = call_of(data, "user", streaming=True)
    running = asyncio.create_task(
        instance.app.generation.comparisons.execute_multi_model_prompt(call)
    )
    await queue.filled(2)
    bodies = [json.loads(base64.b64decode(t["httpRequest"]["body"])) for t in queue.tasks]
    assert to is not None
    await asyncio.gather(
        *(to.app.generation.prompts.deliver(b["data"]["generationId"]) for b in bodies)
    )
    compared = await running
    assert [result["model"] for result in compared["results"]] == models
    assert all(result.get("text") for result in compared["results"])


async def test_of_an_answer_in_the_queue_admins_read_why_it_failed_too(
    world: World, instance: Instance
) -> None:
    failure = await instance.refusal(
        "execute_prompt", {"feature": "error-in-200", "prompt": "Hi"}, "user"
    )
    assert failure.reason == "upstream_busy"
    admins = failure.to_wire("0" * 32, for_admin=True)["details"]
    assert admins["upstreamReason"].startswith("Provider disconnected unexpectedly")
    assert "upstreamReason" not in failure.to_wire("0" * 32)["details"]
