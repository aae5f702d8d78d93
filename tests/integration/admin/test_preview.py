"""`test_feature_settings`: an admin sees settings at work that nobody has saved."""

import secrets
from typing import Any

import pytest

from scripts.devtools.callable_client import CallableClient, CallableFailure
from scripts.devtools.suite import Suite
from tests.support.calls import ADMIN
from tests.support.in_process import World

TEST, SAVE = "test_feature_settings", "save_feature_settings"
ASKED = {"feature": "chat", "prompt": "Hi"}
TRIED = {"model": "sim/fast", "systemPrompt": "Speak of {{topic}}.", "maxTokens": 200}


async def test_an_admin_streams_an_answer_from_settings_that_are_not_saved(
    suite: Suite, admin: str, app_check: str, client: CallableClient
) -> None:
    feature = f"tried-{secrets.token_hex(4)}"
    asked = {
        "feature": feature,
        "prompt": "Hi",
        "variables": {"topic": "rain"},
        "settings": {**TRIED, "topK": 3},
    }
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        frames = [frame async for frame in as_admin.stream(TEST, asked)]
        whole = await as_admin.call(TEST, asked)
        with pytest.raises(CallableFailure) as refused:
            await as_admin.call(TEST, {**asked, "settings": {"temperature": 3, "model": "x"}})
    messages = [value for kind, value in frames if kind == "message"]
    kind, result = frames[-1]
    assert kind == "result"
    assert messages[0]["type"] == "start"
    assert "".join(m["delta"] for m in messages if m["type"] == "text") == result["text"]
    for each in (result, whole):
        assert (each["test"], "revision" in each, each["model"]) == (True, False, "sim/fast")
        assert each["usage"]["cost"] == 0
        assert 0 < each["timing"]["firstTokenMs"] <= each["timing"]["totalMs"]
        assert [(w["field"], w["reason"]) for w in each["warnings"]] == [("topK", "not_supported")]
    assert refused.value.details["reason"] == "settings_refused"
    assert refused.value.details["field"] == "temperature"
    with pytest.raises(CallableFailure) as unknown:  # nothing of it was kept
        await client.call("execute_prompt", {"feature": feature, "prompt": "x"})
    assert unknown.value.details["reason"] == "feature_unknown"


async def test_the_ledger_marks_it_and_nothing_else_is_kept(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", {"model": "sim/u2028"})
    result = await instance.call(
        TEST, {**ASKED, "settings": TRIED, "variables": {"topic": "x"}, "requestId": "t-1"}
    )
    entry = await world.document(f"generations/{result['generationId']}")
    assert (entry["test"], entry["uid"], entry["status"]) == (True, ADMIN, "done")
    assert (entry["revision"], entry["model"]) == (None, "sim/fast")
    ordinary = await instance.ask("chat")
    assert (ordinary["model"], "test" in ordinary) == ("sim/u2028", False)
    entry = await world.document(f"generations/{ordinary['generationId']}")
    assert entry["test"] is False
    assert [*await world.revisions("chat")] == [1]
    assert len(await world.audit()) == 1


async def test_what_is_stored_can_be_tried_switched_off_or_not(world: World) -> None:
    instance = world.instance()
    await instance.save("chat", {"model": "sim/fast"}, enabled=False)
    assert (await instance.refusal("execute_prompt", ASKED)).reason == "feature_disabled"
    result = await instance.call(TEST, ASKED)
    assert (result["model"], result["revision"], result["warnings"]) == ("sim/fast", 1, [])
    default = await instance.call(TEST, {**ASKED, "feature": "summarize"})
    assert default["revision"] == 0
    for data in ({"feature": "new"}, {"feature": "new", "settings": None}):
        refused = await instance.refusal(TEST, {"prompt": "x", **data})
        assert (refused.reason, refused.details["field"]) == ("feature_unknown", "feature")
    tried = await instance.call(
        TEST, {"feature": "new", "prompt": "x", "settings": {"model": "sim/fast", "stream": False}}
    )
    assert tried["text"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"settings": {"nope": 1}}, "settings_refused", "nope"),
    ({"settings": {"model": "sim/paid"}}, "settings_refused", "model"),
    ({"settings": {"model": "no/such"}}, "settings_refused", "model"),
    (
        {"settings": {**TRIED, "parameters": {"model": "x"}}},
        "settings_refused",
        "parameters.model",
    ),
    ({"settings": TRIED}, "invalid_argument", "variables.topic"),
    ({"settings": [], "variables": {}}, "invalid_argument", "settings"),
    ({"temperature": 1, "settings": {"model": "sim/fast"}}, "invalid_argument", "temperature"),
    ({"model": "sim/u2028", "settings": {"model": "sim/fast"}}, "model_not_allowed", "model"),
    ({"admin": True}, "invalid_argument", "admin"),
]


async def test_what_cannot_be_tried_is_said_and_asks_nobody(world: World) -> None:
    instance = world.instance()
    for data, reason, field in REFUSED:
        refused = await instance.refusal(TEST, {**ASKED, **data})
        assert (refused.reason, refused.details["field"]) == (reason, field)
    assert await world.all("generations") == {}


async def test_what_becomes_of_a_model_that_fails_is_seen(world: World) -> None:
    settings = {"model": "sim/402", "fallbackModels": ["sim/fast"]}
    messages, result = await world.instance().frames(TEST, {**ASKED, "settings": settings})
    assert [m["reason"] for m in messages if m["type"] == "retry"] == ["no_credit"]
    assert (result["model"], result["test"]) == ("sim/fast", True)


async def test_with_streaming_off_a_streaming_caller_gets_the_whole_at_its_end(
    world: World,
) -> None:
    instance = world.instance()
    await instance.save("chat", {"model": "sim/fast", "stream": False})
    for name in (TEST, "execute_prompt"):
        messages, result = await instance.frames(name, ASKED)
        assert [message["type"] for message in messages] == ["start"]
        assert result["text"]


async def test_the_model_that_is_tested_answers_whatever_the_admin_prefers(world: World) -> None:
    instance = world.instance()
    settings = {"model": "sim/fast", "allowedModels": ["sim/u2028"]}
    await instance.save("chat", settings)
    await instance.call("set_preferences", {"feature": "chat", "model": "sim/u2028"})
    assert (await instance.ask("chat", ADMIN))["model"] == "sim/u2028"
    for tried in ({}, {"settings": settings}):
        result = await instance.call(TEST, {**ASKED, **tried})
        assert (result["model"], "notices" in result) == ("sim/fast", False)
    assert (await instance.call(TEST, {**ASKED, "model": "sim/u2028"}))["model"] == "sim/u2028"
