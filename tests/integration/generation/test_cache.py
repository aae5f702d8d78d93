"""Cached answers: free, marked with what they saved, asked for once, and only good ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from firerouter.errors import QuotaExceeded
from firerouter.generation.preparation import PreparedRequest, RequestBuilder
from tests.support import counters
from tests.support.in_process import Instance, World

PAID = {"model": "sim/paid", "cacheSeconds": 600, "maxTokens": 50}


async def paid(world: World, **settings: Any) -> Instance:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    await instance.save("cached", {**PAID, **settings})
    return instance


def prompt(world: World, text: str = "Hi") -> dict[str, str]:
    return {"prompt": f"{text} {world.project}"}


async def entries(world: World) -> list[dict[str, Any]]:
    found = (await world.all("generations")).values()
    return sorted(found, key=lambda entry: entry["createdAt"])


async def test_a_hit_is_free_and_says_what_it_saved(world: World) -> None:
    instance = await paid(world)
    first = await instance.ask("cached", **prompt(world))
    again = await instance.ask("cached", **prompt(world))
    assert (first["cached"], again["cached"]) == (False, True)
    assert again["usage"]["cost"] == 0
    made, hit = await entries(world)
    assert (hit["cached"], hit["savedNanoUsd"]) == (True, made["costNanoUsd"])
    assert hit["savedNanoUsd"] > 0
    assert (hit["costNanoUsd"], hit["costIsEstimate"]) == (0, False)
    windows = await world.all("quotas/user/windows")
    assert counters.spent(windows) == made["costNanoUsd"]
    assert (counters.requests(windows), counters.running(windows)) == (2, 0)
    assert counters.tokens(windows) == first["usage"]["totalTokens"] > 0


async def test_a_hit_passes_no_limit_but_that_of_requests(world: World) -> None:
    instance = await paid(world)
    await instance.ask("cached", **prompt(world))
    nothing = {"limits": {"usdPerDay": 0}}
    await instance.call("save_app_settings", {"settings": nothing, "revision": 1})
    assert (await instance.ask("cached", **prompt(world)))["cached"]
    with pytest.raises(QuotaExceeded):
        await instance.ask("cached", **prompt(world, "Another"))
    few = {"limits": {"requestsPerDay": 2}}
    await instance.call("save_app_settings", {"settings": few, "revision": 2})
    with pytest.raises(QuotaExceeded) as refused:
        await instance.ask("cached", **prompt(world))
    assert refused.value.details["limit"] == "requestsPerDay"


async def test_the_same_requests_at_once_ask_openrouter_once(world: World) -> None:
    instance = await paid(world)
    results = await asyncio.gather(*(instance.ask("cached", **prompt(world)) for _ in range(6)))
    assert sorted(result["cached"] for result in results) == [False] + [True] * 5
    assert len(await world.bodies()) == 1


async def test_where_the_first_one_fails_the_others_ask_for_themselves(world: World) -> None:
    instance = await paid(world, model="sim/reset", fallbackModels=[])
    outcomes = await asyncio.gather(
        *(instance.ask("cached", **prompt(world)) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(outcome, Exception) for outcome in outcomes)
    assert {entry["status"] for entry in await entries(world)} == {"failed"}


async def test_a_stop_reaches_one_that_waits_for_another(world: World) -> None:
    instance = await paid(world, model="sim/paid-ticks")
    first = asyncio.create_task(instance.ask("cached", **prompt(world)))
    while not await world.bodies():
        await asyncio.sleep(0.02)
    waits = asyncio.create_task(instance.ask("cached", requestId="waits", **prompt(world)))
    await asyncio.sleep(0.1)
    await instance.call("stop_generation", {"requestId": "waits"}, "user")
    assert (await waits)["finishReason"] == "stopped"
    assert not first.done()
    assert len(await world.bodies()) == 1
    await first


async def test_an_answer_of_the_wrong_format_is_not_cached(world: World) -> None:
    wanted = {"model": "sim/bad-json", "responseFormat": {"type": "json_object"}}
    instance = await paid(world, **wanted)
    for _ in range(2):
        result = await instance.ask("cached", **prompt(world))
        assert not result["cached"]
        assert [notice["reason"] for notice in result["notices"]] == ["format_not_kept"]
    assert await world.all("responses") == {}


async def test_a_regenerated_answer_is_a_new_one(world: World) -> None:
    instance = await paid(world)
    first = await instance.ask("cached", conversationId="new", **prompt(world))
    again = await instance.call(
        "execute_prompt",
        {
            "feature": "cached",
            "conversationId": first["conversationId"],
            "regenerate": first["messageId"],
        },
        "user",
    )
    assert not again["cached"]
    asked = [body for body in await world.bodies() if body["model"] == "sim/paid"]
    assert len(asked) == 2


async def test_comparisons_of_the_same_models_in_another_order_do_not_wait_for_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each makes first what the other one asks for second."""
    prepare, begun, both = RequestBuilder.prepare, list[str](), asyncio.Event()

    async def firsts_first(*args: Any, **more: Any) -> PreparedRequest:
        id_ = args[1].request_id
        if id_.endswith(".1"):
            await both.wait()
            await asyncio.sleep(0.3)  # the first ones make their answers by now
        prepared = await prepare(*args, **more)
        if id_.endswith(".0"):
            begun.append(id_)
            if len(begun) == 2:
                both.set()
        return prepared

    monkeypatch.setattr(RequestBuilder, "prepare", firsts_first)
    instance = await paid(world, allowedModels=["sim/fast"], totalS=20)
    orders = [["sim/paid", "sim/fast"], ["sim/fast", "sim/paid"]]
    results = await asyncio.gather(
        *(
            instance.call(
                "execute_multi_model_prompt",
                {"feature": "cached", "models": models, **prompt(world)},
                "user",
            )
            for models in orders
        )
    )
    for result in results:
        assert [answer.get("finishReason") for answer in result["results"]] == ["stop", "stop"]
