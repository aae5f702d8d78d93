"""Several models side by side: each a generation of its own, and one stop for all of them."""

import asyncio
import base64
import json
import threading
from typing import Any

import pytest

from firerouter import limits
from firerouter.contract.media import decode_base64
from firerouter.ledger.ids import comparison_ids, generation_id
from tests.support.calls import call_of
from tests.support.comparisons import FEATURE, compared, data, windows
from tests.support.eventually import until
from tests.support.in_process import HANDLERS, Instance, World


@pytest.fixture
async def instance(world: World) -> Instance:
    """Paid models are allowed: that is when a ceiling counts."""
    instance = world.instance()
    paid = {"settings": {"freeModelsOnly": False}, "revision": 0}
    await instance.call("save_app_settings", paid)
    await instance.save("compared", FEATURE)
    vectors = {"kind": "embedding", "model": "openai/text-embedding-3-small"}
    await instance.save("vectors", vectors, enabled=True)
    return instance


async def asked(world: World) -> list[str]:
    """The models that were asked for this project's prompt, in order."""
    requests = await world.upstream()
    bodies = [request["body"] for request in requests if request["body"].get("messages")]
    return [b["model"] for b in bodies if world.project in str(b["messages"][-1]["content"])]


async def test_each_model_answers_for_itself(world: World, instance: Instance) -> None:
    models = ["sim/fast", "sim/one-packet", "sim/crlf"]
    frames, result = await instance.frames(
        "execute_multi_model_prompt", data(world, *models), "user"
    )
    assert frames[0] == {
        "type": "start",
        "comparisonId": result["comparisonId"],
        "models": models,
        "estimate": 0,
    }
    for at, model in enumerate(models):
        mine = [frame for frame in frames[1:] if frame["index"] == at]
        assert all(frame["model"] == model for frame in mine)
        start, *deltas, end = mine
        shown = result["results"][at]
        assert (start["type"], start["generationId"]) == ("start", shown["generationId"])
        assert "".join(delta["delta"] for delta in deltas) == shown["text"]
        assert (end["type"], end["result"]) == ("result", shown)
        assert model in shown["text"]
        assert {"usage", "timing", "finishReason"} <= shown.keys()
    entries = await world.all("generations")
    assert {e["model"] for e in entries.values()} == set(models)
    assert all(entry["result"] is None for entry in entries.values())  # nobody can ask again
    held = await windows(world)
    assert (held["requests"]["count"], held["concurrent"]["count"]) == (3, 0)


async def test_one_that_fails_harms_no_other(world: World, instance: Instance) -> None:
    frames, result = await instance.frames(
        "execute_multi_model_prompt", data(world, "sim/fast", "sim/cut-mid-stream"), "user"
    )
    good, bad = result["results"]
    assert good["finishReason"] == "stop"
    assert bad["model"] == "sim/cut-mid-stream"
    assert bad["error"]["details"]["reason"] == "stream_cut"
    assert bad["error"]["details"]["generationId"]
    (told,) = [frame for frame in frames if frame["type"] == "error"]
    assert (told["index"], told["error"]) == (1, bad["error"])
    assert "sim/no-done" not in await asked(world)  # its fallback would answer for it
    assert (await windows(world))["concurrent"]["count"] == 0


async def test_one_that_is_silent_reaches_its_own_deadline(
    world: World, instance: Instance
) -> None:
    settings = {"model": "sim/fast", "allowedModels": ["sim/silent"], "firstTokenS": 5}
    await instance.save("compared", settings, 1)
    result = await compared(instance, data(world, "sim/silent", "sim/fast"))
    silent, fast = result["results"]
    details = silent["error"]["details"]
    assert (details["reason"], details["phase"]) == ("upstream_timeout", "first_token")
    assert fast["finishReason"] == "stop"
    assert (await windows(world))["concurrent"]["count"] == 0


async def test_the_fast_one_does_not_wait_for_the_slow_one(
    world: World, instance: Instance
) -> None:
    frames, result = await instance.frames(
        "execute_multi_model_prompt", data(world, "sim/slow", "sim/fast"), "user"
    )
    slow, fast = result["results"]
    assert fast["timing"]["totalMs"] < slow["timing"]["firstTokenMs"]
    order = [(frame["index"], frame["type"]) for frame in frames if frame["type"] == "result"]
    assert order == [(1, "result"), (0, "result")]


async def test_what_it_costs_is_added_up(world: World, instance: Instance) -> None:
    result = await compared(instance, data(world, "sim/fast", "sim/paid"))
    paid = result["results"][1]["usage"]["cost"]
    assert result["totalCost"] == paid > 0
    spent = (await windows(world))["usd"]["nanoUsd"]
    assert spent == round(paid * 1e9)


async def test_what_a_failed_one_has_cost_is_counted_too(world: World, instance: Instance) -> None:
    models = ["sim/paid", "sim/paid-cut-mid-stream"]
    await instance.save("compared", {**FEATURE, "allowedModels": models}, 1)
    result = await compared(instance, data(world, *models))
    paid, failed = result["results"]
    usage = failed["error"]["details"]["usage"]
    assert usage["costIsEstimate"] is result["totalCostIsEstimate"] is True
    assert result["totalCost"] == paid["usage"]["cost"] + usage["cost"]
    assert (await windows(world))["usd"]["nanoUsd"] == round(result["totalCost"] * 1e9)


async def test_the_same_request_again_asks_nobody_twice(world: World, instance: Instance) -> None:
    request = data(world, "sim/fast", "sim/paid", requestId="again")
    first = await compared(instance, request)
    assert first["comparisonId"] == generation_id("user", "again")
    assert await compared(world.instance(), request) == first
    assert sorted(await asked(world)) == ["sim/fast", "sim/paid"]


@pytest.mark.parametrize("by", ["comparisonId", "requestId"])
async def test_one_stop_ends_them_all(world: World, instance: Instance, by: str) -> None:
    request = data(world, "sim/ticks", "sim/slow", requestId="stopped")
    running = asyncio.create_task(compared(instance, request))
    ids = comparison_ids(generation_id("user", "stopped"), "user")[:2]
    while not all([(await world.document(f"generations/{id_}")).get("status") for id_ in ids]):
        await asyncio.sleep(0.05)
    named = {"comparisonId": generation_id("user", "stopped"), "requestId": "stopped"}[by]
    stopped = await world.instance().call("stop_generation", {by: named}, "user")
    assert stopped["stopped"] is True
    result = await asyncio.wait_for(running, 10)
    assert [r["finishReason"] for r in result["results"]] == ["stopped", "stopped"]
    refusal = await instance.refusal("stop_generation", {by: named}, "somebody")
    assert refusal.reason == "generation_unknown"
    again = await instance.call("stop_generation", {by: named}, "user")
    assert (again["stopped"], again["status"]) == (False, "stopped")


async def test_a_stop_upon_the_first_frame_ends_them_all(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another instance, which looks for them before they are admitted."""
    asked_for = asyncio.Event()
    admit_all = instance.app.ledger.admit_all

    async def admit_later(admissions: Any, caps: Any) -> Any:
        await asked_for.wait()
        return await admit_all(admissions, caps)

    monkeypatch.setattr(instance.app.ledger, "admit_all", admit_later)
    models = ["sim/ticks", "sim/steady", "sim/slow-drip"]
    await instance.save("compared", {**FEATURE, "allowedModels": models}, 1)
    request = data(world, *models, judge={"model": "sim/fast"})
    call = call_of(request, "user", streaming=True)
    running = asyncio.ensure_future(HANDLERS["execute_multi_model_prompt"](instance.app)(call))
    await call.wake.wait()
    frame = next(frame for frame in call.take() if frame)
    whole = json.loads(frame)["message"]["comparisonId"]
    stop = world.instance().call("stop_generation", {"comparisonId": whole}, "user")
    stopping = asyncio.create_task(stop)
    await asyncio.sleep(0)  # it looks, and finds nothing yet
    asked_for.set()
    assert (await stopping)["stopped"] is True
    result = await running
    assert [r["finishReason"] for r in result["results"]] == ["stopped"] * 3
    assert "judgement" not in result
    assert "sim/fast" not in await asked(world)


async def test_a_stop_that_comes_before_the_judge_is_seen_by_it(
    world: World, instance: Instance
) -> None:
    request = data(world, "sim/fast", "sim/crlf", judge={"model": "sim/one-packet"}, requestId="j")
    whole = generation_id("user", "j")
    ids = comparison_ids(whole, "user")[:2]
    for id_ in ids:  # as where all have ended before the stop was heard
        assert await world.document(f"generations/{id_}") == {}
    first = await compared(instance, data(world, "sim/fast", "sim/crlf", requestId="j"))
    for id_ in ids:
        stop = {"stop": {"by": "user", "instance": "x", "comparison": whole}}
        await world.firestore.document(f"generations/{id_}").update(stop)
    result = await compared(instance, request)
    assert result["results"] == first["results"]
    assert "judgement" not in result
    assert "sim/one-packet" not in await asked(world)


async def test_a_client_that_leaves_stops_them_all(world: World, instance: Instance) -> None:
    call = call_of(data(world, "sim/ticks", "sim/slow"), "user", streaming=True)
    handler = HANDLERS["execute_multi_model_prompt"](instance.app)
    running = asyncio.ensure_future(handler(call))

    async def both_are_admitted() -> bool:
        return len(await world.all("generations")) == 2

    await until(both_are_admitted)
    call.leave()
    result = await asyncio.wait_for(running, 10)
    assert [r["finishReason"] for r in result["results"]] == ["stopped", "stopped"]
    assert {e["status"] for e in (await world.all("generations")).values()} == {"stopped"}


async def test_with_nothing_to_judge_no_judge_is_asked(world: World, instance: Instance) -> None:
    await instance.save("compared", {**FEATURE, "model": "sim/reset"}, 1)
    request = data(world, "sim/reset", "sim/cut-mid-stream", judge={"model": "sim/crlf"})
    result = await compared(instance, request)
    assert "judgement" not in result
    assert "sim/crlf" not in await asked(world)


async def test_too_dear_a_comparison_is_refused_before_anything_is_asked(
    world: World, instance: Instance
) -> None:
    request = data(world, "sim/fast", "sim/paid", maxCost=0.000001)
    refusal = await instance.refusal("execute_multi_model_prompt", request, "user")
    assert refusal.reason == "cost_too_high"
    assert refusal.details["field"] == "maxCost"
    assert refusal.details["estimate"] > refusal.details["max"] == 0.000001
    assert await world.all("generations") == {}
    assert await asked(world) == []
    free = await compared(instance, data(world, "sim/fast", "sim/crlf", maxCost=0))
    assert free["totalCost"] == 0
    await instance.save("compared", {**FEATURE, "maxTokens": 100}, 1)
    result = await compared(instance, data(world, "sim/fast", "sim/paid", maxCost=0.01))
    assert 0 < result["totalCost"] <= result["estimate"] < 0.01


async def test_a_files_text_counts_for_what_it_may_cost(world: World, instance: Instance) -> None:
    text = {"data": base64.b64encode(b"word " * 60_000).decode(), "contentType": "text/plain"}
    request = data(world, "sim/fast", "sim/paid", maxCost=0.1)
    await instance.save("compared", {**FEATURE, "maxTokens": 100}, 1)
    bare = await compared(instance, request)
    long = {**request, "attachments": [text]}
    refusal = await instance.refusal("execute_multi_model_prompt", long, "user")
    assert (refusal.reason, refusal.details["max"]) == ("cost_too_high", 0.1)
    result = await compared(instance, {**long, "maxCost": 1})
    assert result["estimate"] == refusal.details["estimate"] > bare["estimate"] + 0.25
    assert bare["totalCost"] < result["totalCost"] <= result["estimate"]


async def test_a_comparison_is_admitted_as_one(world: World, instance: Instance) -> None:
    """Its models are all asked, or none is, however little is missing."""
    models = ["sim/paid-ticks", "sim/paid-cut-mid-stream", "sim/paid"]
    settings = {"model": models[0], "allowedModels": models[1:], "maxTokens": 100}
    await instance.save("compared", settings, 1)
    request = data(world, *models)
    needed = (await compared(instance, request))["estimate"]
    spent = (await windows(world))["usd"]["nanoUsd"] / 1e9

    short = {"usdPerDay": spent + needed - 0.0001}
    await instance.call("save_app_settings", {"settings": {"limits": short}, "revision": 1})
    before = await windows(world)
    refusal = await instance.refusal("execute_multi_model_prompt", request, "user")
    assert (refusal.reason, refusal.details["limit"]) == ("quota_exceeded", "usdPerDay")
    assert await windows(world) == before
    assert len(await world.all("generations")) == len(models)

    enough = {"usdPerDay": spent + needed + 0.0001}
    await instance.call("save_app_settings", {"settings": {"limits": enough}, "revision": 2})
    result = await compared(instance, request)
    after = await windows(world)
    assert (after["requests"]["count"], after["concurrent"]["count"]) == (6, 0)
    assert after["usd"]["nanoUsd"] == round((spent + result["totalCost"]) * 1e9)


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"models": ["sim/fast"]}, "models", "invalid_argument"),
    ({"models": ["sim/fast"] * 2}, "models", "invalid_argument"),
    ({"models": [f"sim/{n}" for n in range(7)]}, "models", "invalid_argument"),
    ({"models": ["sim/fast", "sim/flaky-2"]}, "models[1]", "model_not_allowed"),
    ({"judge": {"model": "sim/flaky-2"}}, "judge.model", "model_not_allowed"),
    ({"judge": {"model": "sim/fast", "mode": "vote"}}, "judge.mode", "invalid_argument"),
    ({"maxCost": -1}, "maxCost", "invalid_argument"),
    ({"maxCost": "much"}, "maxCost", "invalid_argument"),
    ({"prompt": ""}, "prompt", "invalid_argument"),
    ({"nonsense": 1}, "nonsense", "invalid_argument"),
    ({"conversationId": "new"}, "conversationId", "invalid_argument"),
    ({"model": "sim/fast"}, "model", "invalid_argument"),
    ({"feature": "none"}, "", "feature_unknown"),
    ({"feature": "vectors"}, "feature", "wrong_kind"),
]


@pytest.mark.parametrize(("change", "field", "reason"), BAD)
async def test_what_is_wrong_is_refused_as_a_whole(
    world: World, instance: Instance, change: dict[str, Any], field: str, reason: str
) -> None:
    request = {**data(world, "sim/fast", "sim/crlf"), **change}
    refusal = await instance.refusal("execute_multi_model_prompt", request, "user")
    assert (refusal.reason, refusal.details.get("field", "")) == (reason, field)
    assert await world.all("generations") == {}
    assert await asked(world) == []


async def test_a_paid_model_is_refused_where_none_is_allowed(world: World) -> None:
    instance = world.instance()
    settings = {**FEATURE, "allowedModels": ["sim/crlf"], "fallbackModels": []}
    await instance.save("compared", settings)
    stored = await world.document("features/compared")
    stored["settings"]["allowedModels"] = ["sim/paid"]
    await world.write("features/compared", stored)
    request = data(world, "sim/fast", "sim/paid")
    refusal = await world.instance().refusal("execute_multi_model_prompt", request, "user")
    assert (refusal.reason, refusal.details["field"]) == ("paid_model", "models[1]")


async def test_a_quota_that_leaves_room_for_some_refuses_the_comparison(
    world: World, instance: Instance
) -> None:
    few = {"settings": {"limits": {"requestsPerMinute": 2}}, "revision": 1}
    await instance.call("save_app_settings", few)
    three = data(world, "sim/fast", "sim/one-packet", "sim/crlf")
    refusal = await instance.refusal("execute_multi_model_prompt", three, "user")
    assert (refusal.reason, refusal.details["max"]) == ("quota_exceeded", 2)
    assert await world.all("generations") == {}
    result = await compared(instance, data(world, "sim/fast", "sim/crlf"))
    assert all("error" not in one for one in result["results"])


def test_there_is_room_for_a_comparison_at_once() -> None:
    assert limits.CONCURRENT >= limits.COMPARED_MODELS_MAX


async def test_a_file_is_decoded_and_hashed_once_for_all_models_and_off_the_event_loop(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bool] = []

    def counted(text: str) -> bytes | None:
        decoded.append(threading.current_thread() is threading.main_thread())
        return decode_base64(text)

    monkeypatch.setattr("firerouter.contract.attachments.decode_base64", counted)
    file = {
        "data": base64.b64encode(b"some words").decode(),
        "contentType": "text/plain",
        "name": "words.txt",
    }
    asked_for = data(world, "sim/fast", "sim/one-packet", "sim/crlf", attachments=[file])
    result = await instance.call("execute_multi_model_prompt", asked_for, "user")
    assert all("text" in one for one in result["results"])
    assert decoded == [False]
