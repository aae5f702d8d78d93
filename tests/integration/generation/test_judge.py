"""A model that reads the answers of a comparison."""

import asyncio
from typing import Any

import pytest

from firerouter.contract import NANO_PER_USD
from firerouter.ledger.ids import comparison_ids, comparison_request, generation_id
from tests.support.calls import call_of
from tests.support.comparisons import FEATURE, compared, data, windows
from tests.support.eventually import until
from tests.support.in_process import HANDLERS, Instance, World

JUDGES = ["sim/ranks", "sim/paid-ticks", "sim/reset", "sim/empty"]
AUTO = "openrouter/auto"
ALLOWED = [*FEATURE["allowedModels"], *JUDGES]


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    paid = {"settings": {"freeModelsOnly": False}, "revision": 0}
    await instance.call("save_app_settings", paid)
    await instance.save("compared", {**FEATURE, "allowedModels": ALLOWED})
    return instance


async def runs(world: World, id_: str) -> None:
    """Wait until this generation is admitted, and waits for no other one."""

    async def is_running() -> bool:
        entry = await world.document(f"generations/{id_}")
        return entry.get("status") == "running" and "waits" not in entry

    await until(is_running)


async def told(world: World, model: str) -> list[dict[str, Any]]:
    """The bodies that this model was sent."""
    bodies = [request["body"] for request in await world.upstream()]
    return [b for b in bodies if b.get("model") == model and world.project in str(b)]


async def test_it_ranks_the_answers(world: World, instance: Instance) -> None:
    request = data(
        world, "sim/fast", "sim/one-packet", judge={"model": "sim/ranks", "mode": "rank"}
    )
    frames, result = await instance.frames("execute_multi_model_prompt", request, "user")
    judgement = result["judgement"]
    assert (judgement["mode"], judgement["model"]) == ("rank", "sim/ranks")
    assert judgement["ranking"] == [1, 0]
    assert judgement["text"].startswith("2, 1\n")
    assert {frame["index"] for frame in frames[1:]} == {0, 1, 2}
    (body,) = await told(world, "sim/ranks")
    for at, answer in enumerate(result["results"], 1):
        assert f"Answer {at}:\n{answer['text']}" in body["messages"][-1]["content"]
    assert (await windows(world))["requests"]["count"] == 3


async def test_it_merges_the_answers_and_what_it_costs_counts(
    world: World, instance: Instance
) -> None:
    request = data(world, "sim/fast", "sim/one-packet", judge={"model": "sim/paid"})
    result = await compared(instance, request)
    judgement = result["judgement"]
    assert (judgement["mode"], judgement["finishReason"]) == ("merge", "stop")
    assert "ranking" not in judgement
    assert result["totalCost"] == judgement["usage"]["cost"] > 0
    (body,) = await told(world, "sim/paid")
    assert body["messages"][-1]["content"].startswith("Write the one best answer")


async def test_one_that_fails_leaves_the_answers_as_they_are(
    world: World, instance: Instance
) -> None:
    request = data(world, "sim/fast", "sim/crlf", judge={"model": "sim/reset", "mode": "rank"})
    frames, result = await instance.frames("execute_multi_model_prompt", request, "user")
    assert [r["finishReason"] for r in result["results"]] == ["stop", "stop"]
    judgement = result["judgement"]
    assert judgement.keys() == {"mode", "model", "error"}
    assert (frames[-1]["index"], frames[-1]["error"]) == (2, judgement["error"])
    assert (await windows(world))["concurrent"]["count"] == 0


async def test_it_is_asked_plainly_and_not_as_the_feature_asks(
    world: World, instance: Instance
) -> None:
    settings = {
        **FEATURE,
        "allowedModels": ALLOWED,
        "systemPrompt": "Summarize what {{who}} says.",
        "responseFormat": {"type": "json_object"},
        "tools": [{"type": "openrouter:datetime"}],
        "repairJson": True,
        "maxTokens": 500,
    }
    await instance.save("compared", settings, 1)
    judge = {"model": "sim/ranks", "mode": "rank"}
    request = data(world, "sim/fast", "sim/crlf", judge=judge, variables={"who": "Maria"})
    result = await compared(instance, request)
    assert result["judgement"]["ranking"] == [1, 0]
    (body,) = await told(world, "sim/ranks")
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert body["max_tokens"] == 500
    assert not {"tools", "response_format", "plugins"} & body.keys()


async def test_what_says_nothing_is_not_judged(world: World, instance: Instance) -> None:
    judge = {"model": "sim/ranks", "mode": "rank"}
    request = data(world, "sim/empty", "sim/fast", "sim/cut-mid-stream", "sim/crlf", judge=judge)
    result = await compared(instance, request)
    assert result["judgement"]["ranking"] == [3, 1]
    (body,) = await told(world, "sim/ranks")
    assert "Answer 1:" not in body["messages"][-1]["content"]
    assert "Answer 3:" not in body["messages"][-1]["content"]


async def test_a_feature_that_draws_has_no_judge(world: World, instance: Instance) -> None:
    draws = "google/gemini-2.5-flash-image"
    await instance.save("compared", {"kind": "image", "model": draws, "allowedModels": [AUTO]}, 1)
    request = data(world, draws, AUTO, judge={"model": AUTO})
    refusal = await instance.refusal("execute_multi_model_prompt", request, "user")
    assert (refusal.reason, refusal.details["field"]) == ("invalid_argument", "judge")
    assert await world.all("generations") == {}


async def test_the_same_request_again_has_the_same_judgement(
    world: World, instance: Instance
) -> None:
    judge = {"model": "sim/ranks", "mode": "rank"}
    request = data(world, "sim/fast", "sim/crlf", judge=judge, requestId="again")
    first = await compared(instance, request)
    assert await compared(world.instance(), request) == first
    assert len(await told(world, "sim/ranks")) == 1


async def test_one_that_is_stopped_drops_no_judge(world: World, instance: Instance) -> None:
    judge = {"model": "sim/ranks", "mode": "rank"}
    request = data(world, "sim/fast", "sim/ticks", judge=judge, requestId="straggler")
    running = asyncio.create_task(compared(instance, request))
    straggler = comparison_ids(generation_id("user", "straggler"), "user")[1]
    await runs(world, straggler)
    stop = {"generationId": straggler}
    assert (await world.instance().call("stop_generation", stop, "user"))["stopped"] is True
    result = await running
    assert result["results"][1]["finishReason"] == "stopped"
    assert result["judgement"]["ranking"] == [0]


async def test_a_stop_reaches_a_judge_that_writes(world: World, instance: Instance) -> None:
    judge = {"model": "sim/paid-ticks"}
    request = data(world, "sim/fast", "sim/crlf", judge=judge, requestId="judged")
    running = asyncio.create_task(compared(instance, request))
    whole = generation_id("user", "judged")
    judging = generation_id("user", comparison_request(whole, 2))
    await runs(world, judging)
    stopped = await world.instance().call("stop_generation", {"comparisonId": whole}, "user")
    assert stopped["stopped"] is True
    result = await running
    assert [r["finishReason"] for r in result["results"]] == ["stop", "stop"]
    assert result["judgement"]["finishReason"] == "stopped"


async def test_an_instance_that_goes_down_asks_none(world: World, instance: Instance) -> None:
    request = data(world, "sim/fast", "sim/ticks", judge={"model": "sim/ranks"})
    call = call_of(request, "user", streaming=True)
    running = asyncio.ensure_future(HANDLERS["execute_multi_model_prompt"](instance.app)(call))
    seen = b""
    while b'"result"' not in seen:  # the first one has answered
        await call.wake.wait()
        seen += b"".join(frame or b"" for frame in call.take())
    instance.app.generation.prompts.interrupt()
    result = await running
    assert result["results"][0]["finishReason"] == "stop"
    assert result["results"][1]["error"]["details"]["reason"] == "interrupted"
    assert result["judgement"]["error"]["details"]["reason"] == "interrupted"
    assert await told(world, "sim/ranks") == []
    assert len(await world.all("generations")) == 2


async def limit(instance: Instance, **limits: Any) -> None:
    await instance.call("save_app_settings", {"settings": {"limits": limits}, "revision": 1})


@pytest.mark.parametrize(("cap", "most"), [("requestsPerMinute", 2), ("usdPerDay", 0.001)])
async def test_a_comparison_whose_judge_does_not_fit_is_refused_as_one(
    world: World, instance: Instance, cap: str, most: float
) -> None:
    await limit(instance, **{cap: most})
    request = data(world, "sim/fast", "sim/crlf", judge={"model": "sim/paid"})
    refusal = await instance.refusal("execute_multi_model_prompt", request, "user")
    assert refusal.details["limit"] == cap
    assert await world.bodies() == []
    assert await world.all("generations") == {}
    assert all(counted == 0 for one in (await windows(world)).values() for counted in one.values())


async def test_a_judge_takes_no_place_beside_the_models(world: World, instance: Instance) -> None:
    await limit(instance, concurrent=2)
    request = data(world, "sim/fast", "sim/crlf", judge={"model": "sim/paid"})
    assert (await compared(instance, request))["judgement"]["finishReason"] == "stop"
    assert (await windows(world))["concurrent"]["count"] == 0


async def test_what_a_judge_may_cost_is_held_from_the_start_and_given_back(
    world: World, instance: Instance
) -> None:
    judge = {"model": "sim/paid"}
    request = data(world, "sim/ticks", "sim/fast", judge=judge, requestId="held")
    running = asyncio.create_task(compared(instance, request))
    whole = generation_id("user", "held")
    await runs(world, generation_id("user", comparison_request(whole, 0)))
    waits = await world.document(
        f"generations/{generation_id('user', comparison_request(whole, 2))}"
    )
    assert (waits["status"], waits["waits"]) == ("running", True)
    assert (await windows(world))["usd"]["nanoUsd"] == waits["reservedNanoUsd"] > 0
    stopped = await world.instance().call("stop_generation", {"comparisonId": whole}, "user")
    assert stopped["stopped"] is True
    result = await running
    assert "judgement" not in result
    assert waits["reservedNanoUsd"] <= result["estimate"] * NANO_PER_USD + 1
    await until(lambda: nothing_is_held(world))
    assert len(await world.all("generations")) == 2
    assert (await windows(world))["requests"]["count"] == 2


async def nothing_is_held(world: World) -> bool:
    counted = await windows(world)
    return counted["usd"]["nanoUsd"] == 0 == counted["concurrent"]["count"]


async def test_a_judge_of_no_answers_is_given_back(world: World, instance: Instance) -> None:
    request = data(world, "sim/empty", "sim/reset", judge={"model": "sim/paid"})
    assert "judgement" not in await compared(instance, request)
    await until(lambda: nothing_is_held(world))
    assert len(await world.all("generations")) == 2


async def test_the_same_request_twice_at_once_has_one_judge(
    world: World, instance: Instance
) -> None:
    request = data(world, "sim/fast", "sim/crlf", judge={"model": "sim/paid"}, requestId="twice")
    first, second = await asyncio.gather(*(compared(instance, request) for _ in range(2)))
    assert first["judgement"] == second["judgement"]
    assert first["judgement"]["finishReason"] == "stop"
    assert len(await told(world, "sim/paid")) == 1
    assert (await windows(world))["requests"]["count"] == 3
