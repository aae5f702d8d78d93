"""An answer that is to be JSON: looked at, repaired, and what is said where it is none."""

import asyncio
import secrets
import threading
from typing import Any

import pytest

from firerouter.contract import parse_answer
from tests.support.calls import ASK
from tests.support.eventually import until
from tests.support.in_process import Instance, World

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "grid": {"type": "array", "items": {}}},
    "required": ["city"],
}
WANTED = {"type": "json_schema", "name": "place", "schema": SCHEMA}
UPSTREAM = {
    "type": "json_schema",
    "json_schema": {"name": "place", "schema": SCHEMA, "strict": True},
}


async def feature(world: World, model: str = "sim/fast", **settings: Any) -> Instance:
    instance = world.instance()
    await instance.save("shaped", {"model": model, **settings})
    return instance


def data(marker: str = "x", **more: Any) -> dict[str, Any]:
    return {"feature": "shaped", "prompt": marker, **more}


def marked() -> str:
    return f"shape-{secrets.token_hex(6)}"


def faults(result: dict[str, Any]) -> list[str]:
    told = result.get("notices", [])
    return [notice["at"] for notice in told if notice["reason"] == "format_not_kept"]


async def test_a_schema_of_the_callers_shapes_the_answer(world: World) -> None:
    instance, marker = await feature(world), marked()
    messages, result = await instance.frames(ASK, data(marker, responseFormat=WANTED), "user")
    assert result["json"] == {"city": "simulated", "grid": ["simulated"]}
    assert "".join(m["delta"] for m in messages if m["type"] == "text") == result["text"]
    (body,) = await world.bodies(marker)
    assert body["response_format"] == UPSTREAM
    plain = await instance.call(ASK, data(responseFormat={"type": "json_object"}), "user")
    assert plain["json"]["simulated"] is True
    assert "json" not in await instance.call(ASK, data(responseFormat={"type": "text"}), "user")


async def test_json_is_sent_while_it_grows(world: World) -> None:
    instance = await feature(world, "z-ai/glm-4.5-air:free")
    many = {f"field{n}": {"type": "string"} for n in range(30)}
    wanted = {"type": "json_schema", "name": "many", "schema": {"properties": many}}
    asked = data(responseFormat=wanted, partialJson=True)
    messages, result = await instance.frames(ASK, asked, "user")
    grown = [m["json"] for m in messages if m["type"] == "json"]
    assert len(grown) > 1
    sizes = [len(json) for json in grown]
    assert sizes == sorted(sizes)
    *whole, _ = grown[0].items()  # the last one may be cut
    assert dict(whole).items() <= result["json"].items()
    assert "".join(m["delta"] for m in messages if m["type"] == "text") == result["text"]
    without, _ = await instance.frames(ASK, data(responseFormat=wanted), "user")
    assert not [m for m in without if m["type"] == "json"]


async def test_json_in_a_fence_is_json(world: World) -> None:
    instance = await feature(world, "sim/fenced-json", responseFormat=WANTED)
    result = await instance.call(ASK, data(), "user")
    assert result["text"].startswith("```json")
    assert result["json"]["city"] == "simulated"


async def test_a_long_answer_is_held_against_its_schema_as_any_other(world: World) -> None:
    instance = await feature(world, "sim/long-json", maxTokens=100)
    listed = {"items": {"type": "object", "properties": {"number": {"type": "integer"}}}}
    schema = {"type": "object", "properties": {"items": {"type": "array", **listed}}}
    wanted = {"type": "json_schema", "name": "list", "schema": schema}
    result = await instance.call(ASK, data(responseFormat=wanted), "user")
    assert len(result["text"]) > 100_000
    assert len(result["json"]["items"]) == 3_501
    listed["items"]["properties"] = {"number": {"type": "string"}}
    broken = await instance.call(ASK, data(responseFormat=wanted), "user")
    assert faults(broken) == ["$.items[0].number (type)"]


async def test_what_does_not_fit_the_schema_is_said(world: World) -> None:
    instance = await feature(world)
    never = {**WANTED, "schema": {**SCHEMA, "required": ["town"]}}
    result = await instance.call(ASK, data(responseFormat=never), "user")
    assert "json" not in result
    assert faults(result) == ["$ (required)"]
    assert result["finishReason"] == "stop"


async def test_an_answer_that_is_cut_short_is_said_too(world: World) -> None:
    instance = await feature(world, "sim/worse-json", maxTokens=2, responseFormat=WANTED)
    result = await instance.call(ASK, data(), "user")
    assert (result["finishReason"], faults(result)) == ("length", ["$ (json)"])


async def test_a_repair_is_one_more_call_whose_cost_counts(world: World) -> None:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    settings = {"model": "sim/paid-bad-json", "responseFormat": WANTED, "repairJson": True}
    await instance.save("shaped", settings)
    marker = marked()
    messages, result = await instance.frames(ASK, data(marker), "user")
    assert result["json"]["city"] == "simulated"
    assert not faults(result)
    kinds = [message["type"] for message in messages]
    after = messages[kinds.index("repair") + 1 :]
    assert messages[kinds.index("repair")]["at"] == "$ (json)"
    assert "".join(m["delta"] for m in after if m["type"] == "text") == result["text"]
    first, second = await world.bodies(marker)
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][0] == first["messages"][0]
    assert len(result["attempts"]) == 2
    prices = (result["usage"]["promptTokens"], result["usage"]["completionTokens"])
    assert result["usage"]["cost"] == pytest.approx(prices[0] * 3e-6 + prices[1] * 15e-6)
    entry = await world.document(f"generations/{result['generationId']}")
    assert entry["costNanoUsd"] == pytest.approx(result["usage"]["cost"] * 1e9)
    assert all(attempt["upstreamId"] for attempt in entry["attempts"])
    assert len(await world.all("generations")) == 1


async def test_what_cannot_be_repaired_is_said_after_one_try(world: World) -> None:
    instance = await feature(world, "sim/worse-json", responseFormat=WANTED, repairJson=True)
    marker = marked()
    result = await instance.call(ASK, data(marker), "user")
    assert faults(result) == ["$ (json)"]
    assert len(await world.bodies(marker)) == 2


async def test_a_repair_that_is_stopped_before_its_first_token_leaves_the_first_answer(
    world: World,
) -> None:
    instance, marker = (
        await feature(world, "sim/bad-json-silent", responseFormat=WANTED, repairJson=True),
        marked(),
    )
    asked = data(marker, requestId="r1", conversationId="new")
    running = asyncio.create_task(instance.call(ASK, asked, "user"))

    async def is_repaired() -> bool:
        return len(await world.bodies(marker)) == 2

    await until(is_repaired)
    assert (await instance.call("stop_generation", {"requestId": "r1"}, "user"))["stopped"]
    result = await running
    assert (result["finishReason"], result["text"]) == ("stopped", "Sure! Here it is: {")
    assert [attempt.get("reason") for attempt in result["attempts"]] == [None, "stopped"]
    place = f"users/user/conversations/{result['conversationId']}/messages/{result['messageId']}"
    assert (await world.document(place))["text"] == result["text"]


async def test_a_repair_that_fails_leaves_the_first_answer_and_is_logged(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"responseFormat": WANTED, "repairJson": True, "firstTokenS": 1}
    instance, marker = await feature(world, "sim/bad-json-silent", **settings), marked()
    result = await instance.call(ASK, data(marker), "user")
    assert (result["finishReason"], result["text"]) == ("stop", "Sure! Here it is: {")
    assert [a.get("reason") for a in result["attempts"]] == [None, "upstream_timeout"]
    assert faults(result)
    assert len(await world.bodies(marker)) == 2
    assert "not_repaired" in capfd.readouterr().out


async def test_without_the_setting_nothing_is_repaired(world: World) -> None:
    instance = await feature(world, "sim/bad-json", responseFormat=WANTED)
    marker = marked()
    result = await instance.call(ASK, data(marker), "user")
    assert faults(result) == ["$ (json)"]
    assert len(await world.bodies(marker)) == 1


async def test_a_format_that_the_feature_has_is_not_the_callers_to_change(world: World) -> None:
    instance = await feature(world, responseFormat={"type": "json_object"})
    error = await instance.refusal(ASK, data(responseFormat=WANTED), "user")
    assert (error.reason, error.details["field"]) == ("invalid_argument", "responseFormat")
    assert "json" in await instance.call(ASK, data(), "user")
    await instance.save("shaped", {"model": "sim/fast", "allowResponseFormat": False}, 1)
    error = await world.instance().refusal(ASK, data(responseFormat=WANTED), "user")
    assert error.details["field"] == "responseFormat"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"type": "yaml"}, "responseFormat.type"),
        ({"type": "json_schema"}, "responseFormat"),
        ({**WANTED, "schema": {"type": "no"}}, "responseFormat.schema"),
        ({**WANTED, "schema": {"properties": []}}, "responseFormat.schema"),
        ({**WANTED, "schema": 7}, "responseFormat.schema"),
        ({**WANTED, "schema": {"title": "x", "$ref": "#/title"}}, "responseFormat.schema"),
        ({**WANTED, "name": "two words"}, "responseFormat.name"),
        ({**WANTED, "schema": {"x": "y" * 20_001}}, "responseFormat.schema"),
    ],
)
async def test_a_schema_that_is_none_is_named(
    world: World, wanted: dict[str, Any], field: str
) -> None:
    error = await world.instance().refusal(ASK, data(responseFormat=wanted), "user")
    assert (error.reason, error.details["field"]) == ("invalid_argument", field)
    if wanted["type"] == "json_schema" and "schema" in wanted:
        settings = {"feature": "shaped", "settings": {"responseFormat": wanted}, "revision": 0}
        error = await world.instance().refusal("save_feature_settings", settings)
        assert error.details["errors"][0]["field"] == field


async def test_a_model_without_json_is_refused_or_goes_without(world: World) -> None:
    instance = await feature(world, "sim/plain")
    error = await instance.refusal(ASK, data(responseFormat=WANTED), "user")
    assert error.details["field"] == "responseFormat"
    await instance.save("shaped", {"model": "sim/plain", "unsupported": "drop"}, 1)
    result = await world.instance().call(ASK, data(responseFormat=WANTED), "user")
    assert [notice["field"] for notice in result["notices"]] == ["responseFormat"]
    assert "json" not in result


async def test_the_same_request_again_has_the_json_too(world: World) -> None:
    instance = await feature(world, responseFormat=WANTED, cacheSeconds=60)
    first = await instance.call(ASK, data(requestId="r1"), "user")
    fresh = world.instance()
    assert (await fresh.call(ASK, data(requestId="r1"), "user"))["json"] == first["json"]
    resumed = await fresh.call(ASK, {"resume": first["generationId"]}, "user")
    assert resumed["json"] == first["json"]
    assert "hasJson" not in resumed
    cached = await fresh.call(ASK, data(), "user")
    assert cached["cached"]
    assert cached["json"] == first["json"]


async def test_a_result_that_cannot_be_made_ends_its_entry_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls_over(*_: Any) -> Any:
        raise RuntimeError

    instance = await feature(world, responseFormat=WANTED)
    monkeypatch.setattr("firerouter.generation.result.result_fields", falls_over)
    error = await instance.refusal(ASK, data(conversationId="new"), "user")
    assert error.reason == "internal"
    entry = await world.document(f"generations/{error.details['generationId']}")
    assert (entry["status"], entry["error"]) == ("failed", "internal")
    assert (await world.document("quotas/user/windows/concurrent"))["count"] == 0
    place = f"users/user/conversations/{entry['place']['conversationId']}/messages"
    answer = await world.document(f"{place}/{entry['place']['messageId']}")
    assert answer["text"]


@pytest.mark.parametrize("repairs", [False, True])
async def test_each_answer_is_validated_once_and_off_the_event_loop(
    world: World, monkeypatch: pytest.MonkeyPatch, repairs: bool
) -> None:
    looked: list[tuple[str, bool]] = []

    def counted(text: str, wanted: Any) -> Any:
        looked.append((text, threading.current_thread() is threading.main_thread()))
        return parse_answer(text, wanted)

    monkeypatch.setattr("firerouter.generation.answer.parse_answer", counted)
    model = "sim/bad-json" if repairs else "sim/fast"
    instance = await feature(world, model, repairJson=repairs, responseFormat=WANTED)
    messages, result = await instance.frames(ASK, data(marked()), "user")
    assert "json" in result
    repaired = sum(message["type"] == "repair" for message in messages)
    assert (len(looked), repaired) == ((2, 1) if repairs else (1, 0))
    assert looked[-1] == (result["text"], False)
    assert not any(on_loop for _, on_loop in looked)
