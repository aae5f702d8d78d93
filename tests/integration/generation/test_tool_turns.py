"""Tools that the app runs: declared, asked for, answered, call after call; and citations."""

import asyncio
import base64
import json
import secrets
from typing import Any

import pytest

from firerouter import limits
from firerouter.conversations.limits import ConversationLimits
from tests.support.calls import ASK
from tests.support.in_process import World
from tests.support.tools import CLOCK, WEATHER, tools_feature


def data(prompt: str = "Please use a tool", **more: Any) -> dict[str, Any]:
    return {"feature": "tools", "prompt": prompt, "tools": [WEATHER], **more}


TOOLS_ALONE = "openai/gpt-oss-20b:free"  # does not say that it can be kept to one call at a time


def marked() -> str:
    return f"tool-{secrets.token_hex(6)}"


async def test_a_call_streams_whole_and_its_result_goes_back(world: World) -> None:
    instance = await tools_feature(world)
    marker = marked()
    messages, result = await instance.frames(ASK, data(marker), "user")
    (call,) = result["toolCalls"]
    assert call == {"id": call["id"], "name": "get_weather", "arguments": '{"city": "simulated"}'}
    assert [m for m in messages if m["type"] == "tool_call"] == [
        {"type": "tool_call", "index": 0, **call}
    ]
    assert result["finishReason"] == "tool_calls"
    assert result["text"] == ""
    turns = [
        {"role": "user", "content": marker},
        {"role": "assistant", "toolCalls": result["toolCalls"]},
        {"role": "tool", "toolCallId": call["id"], "content": "Rain"},
    ]
    more = {"feature": "tools", "messages": turns, "tools": [WEATHER]}
    answer = await instance.call(ASK, more, "user")
    assert "It read the tool's result" in answer["text"]
    assert "toolCalls" not in answer
    first, second = await world.bodies(marker)
    assert first["tools"] == second["tools"] == [{"type": "function", "function": WEATHER}]
    upstream = {"name": "get_weather", "arguments": call["arguments"]}
    assert second["messages"][-2:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call["id"], "type": "function", "function": upstream}],
        },
        {"role": "tool", "tool_call_id": call["id"], "content": "Rain"},
    ]


async def test_a_file_stays_with_the_rounds_that_follow_it(world: World) -> None:
    instance = await tools_feature(world, "sim/parallel-tools")
    marker = marked()
    notes = base64.b64encode(f"notes on {marker}".encode()).decode()
    more = {"tools": [WEATHER, CLOCK], "conversationId": "new"}
    file = {"data": notes, "contentType": "text/plain", "name": "notes.txt"}
    asked = data(marker, **more, attachments=[file])
    first = await instance.call(ASK, asked, "user")
    results = [{"toolCallId": c["id"], "content": "fine"} for c in first["toolCalls"]]
    here = {"feature": "tools", **more, "conversationId": first["conversationId"]}
    await instance.call(ASK, {**here, "toolResults": results}, "user")
    *_, body = await world.bodies(marker)
    question, answer, *tools = body["messages"]
    assert f"notes on {marker}" in json.dumps(question["content"])
    assert [call["id"] for call in answer["tool_calls"]] == [r["toolCallId"] for r in results]
    assert [tool["role"] for tool in tools] == ["tool", "tool"]


async def test_several_rounds_in_a_conversation(world: World) -> None:
    instance = await tools_feature(world, "sim/parallel-tools", titles="beginning")
    marker = marked()
    both = {"tools": [WEATHER, CLOCK]}
    first = await instance.call(ASK, data(marker, conversationId="new", **both), "user")
    assert [call["name"] for call in first["toolCalls"]] == ["get_weather", "get_time"]
    here = {"feature": "tools", "conversationId": first["conversationId"], **both}
    results = [
        {"toolCallId": call["id"], "content": f"{call['name']} says {marker}"}
        for call in first["toolCalls"]
    ]
    second = await instance.call(ASK, {**here, "toolResults": results}, "user")
    assert "It read the tool's result" in second["text"]
    third = await instance.call(ASK, {**here, "prompt": f"And now? {marker}"}, "user")
    again = await instance.call(ASK, {**here, "regenerate": second["messageId"]}, "user")
    assert again["conversationId"] == first["conversationId"]
    bodies = await world.bodies(marker)
    roles = [[message["role"] for message in body["messages"]] for body in bodies]
    round_ = ["user", "assistant", "tool", "tool"]
    assert roles == [["user"], round_, [*round_, "assistant", "user"], round_]
    assert third["toolCalls"]

    home = f"users/user/conversations/{first['conversationId']}"
    kept = await world.all(f"{home}/messages")
    assert kept[first["messageId"]]["toolCalls"] == first["toolCalls"]
    (turn,) = [message for message in kept.values() if message["role"] == "tool"]
    assert turn["toolResults"] == results
    assert turn["parent"] == first["messageId"]
    exported = await instance.call(
        "export_conversation",
        {"conversationId": first["conversationId"], "format": "markdown"},
        "user",
    )
    assert "## Tool\n\nget_weather says" in exported["markdown"]


async def test_results_have_to_fit_the_calls(world: World) -> None:
    instance = await tools_feature(world, "sim/parallel-tools")
    first = await instance.call(ASK, data(tools=[WEATHER, CLOCK], conversationId="new"), "user")
    here = {"feature": "tools", "conversationId": first["conversationId"]}
    one, other = ({"toolCallId": call["id"], "content": "x"} for call in first["toolCalls"])
    for results, field in (
        ([one], "toolResults"),
        ([one, one], "toolResults[1].toolCallId"),
        ([one, {**other, "toolCallId": "nope"}], "toolResults[1].toolCallId"),
    ):
        error = await instance.refusal(ASK, {**here, "toolResults": results}, "user")
        assert (error.reason, error.details["field"]) == ("invalid_argument", field)
    # whoever goes on without them: a call that nobody answered is not sent
    marker = marked()
    await instance.call(ASK, {**here, "prompt": marker}, "user")
    (body,) = await world.bodies(marker)
    (message,) = body["messages"]
    assert message["role"] == "user"
    assert message["content"].endswith(f"\n\n{marker}")


async def test_arguments_that_are_no_json_are_said_and_do_no_harm_later(world: World) -> None:
    instance = await tools_feature(world, "sim/bad-arguments")
    first = await instance.call(ASK, data(conversationId="new"), "user")
    (call,) = first["toolCalls"]
    assert call["error"] == "invalid_arguments"
    assert call["arguments"] == '{"city": "Syd'
    await instance.save("tools", {"model": "sim/fast"}, 1)
    here = {"feature": "tools", "conversationId": first["conversationId"]}
    results = [{"toolCallId": call["id"], "content": "invalid JSON"}]
    fresh = world.instance()
    assert (await fresh.call(ASK, {**here, "toolResults": results}, "user"))["text"]


async def test_a_tool_that_nobody_declared_is_said(world: World) -> None:
    instance = await tools_feature(world, "sim/unknown-tool")
    result = await instance.call(ASK, data(), "user")
    assert [call["error"] for call in result["toolCalls"]] == ["unknown_tool"]


@pytest.mark.parametrize(
    ("model", "reason"),
    [("sim/10000-tools", "too_many_tool_calls"), ("sim/long-arguments", "answer_too_long")],
)
async def test_too_many_calls_and_too_long_ones_end_it(
    world: World, model: str, reason: str
) -> None:
    instance = await tools_feature(world, model)
    error = await instance.refusal(ASK, data(), "user")
    assert (error.reason, error.details["part"]) == (reason, "toolCalls")
    entry = await world.document(f"generations/{error.details['generationId']}")
    assert (entry["status"], entry["error"]) == ("failed", reason)
    counters = await world.all("quotas/user/windows")
    assert counters["concurrent"]["count"] == 0


async def test_which_tool_is_the_callers_to_say(world: World) -> None:
    instance = await tools_feature(world, tools=[{"type": "openrouter:datetime"}])
    marker = marked()
    more = {"tools": [WEATHER, CLOCK], "toolChoice": "get_time", "parallelToolCalls": False}
    result = await instance.call(ASK, data(marker, **more), "user")
    assert [call["name"] for call in result["toolCalls"]] == ["get_time"]
    (body,) = await world.bodies(marker)
    assert [tool["type"] for tool in body["tools"]] == ["openrouter:datetime", *2 * ["function"]]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_time"}}
    assert body["parallel_tool_calls"] is False
    none = await instance.call(ASK, data(toolChoice="none"), "user")
    assert none["finishReason"] == "stop"


async def test_a_clash_with_a_tool_of_the_features_is_refused(world: World) -> None:
    instance = await tools_feature(world, tools=[{"type": "openrouter:datetime"}])
    error = await instance.refusal(ASK, data(tools=[CLOCK, {"name": "datetime"}]), "user")
    assert error.details["field"] == "tools[1].name"
    await instance.save("tools", {"model": "sim/fast", "allowTools": False}, 1)
    error = await world.instance().refusal(ASK, data(), "user")
    assert (error.reason, error.details["field"]) == ("invalid_argument", "tools")


async def test_what_the_model_cannot_do_is_refused_or_dropped_as_the_feature_says(
    world: World,
) -> None:
    model = "sim/plain"
    instance = await tools_feature(world, model, allowTemperature=True)
    error = await instance.refusal(ASK, data(toolChoice="required"), "user")
    assert (error.reason, error.details["field"]) == ("invalid_argument", "tools")
    await instance.save("tools", {"model": model, "unsupported": "drop"}, 1)
    marker = marked()
    result = await world.instance().call(ASK, data(marker, toolChoice="required"), "user")
    dropped = [n["field"] for n in result["notices"] if n["reason"] == "parameter_dropped"]
    assert dropped == ["tools", "toolChoice"]
    (body,) = await world.bodies(marker)
    assert not {"tools", "tool_choice"} & body.keys()


@pytest.mark.parametrize(
    ("model", "more", "upstream"),
    [
        ("sim/plain", {"temperature": 0.5}, "temperature"),
        (TOOLS_ALONE, {"tools": [WEATHER], "parallelToolCalls": False}, "parallel_tool_calls"),
    ],
)
async def test_what_else_it_does_not_take_is_refused_or_dropped_too(
    world: World, model: str, more: dict[str, Any], upstream: str
) -> None:
    field = list(more)[-1]
    instance = await tools_feature(world, model, allowTemperature=True)
    marker = marked()
    asked = {"feature": "tools", "prompt": marker, **more}
    error = await instance.refusal(ASK, asked, "user")
    assert (error.reason, error.details["field"]) == ("invalid_argument", field)
    assert await world.bodies(marker) == []
    dropping = {"model": model, "allowTemperature": True, "unsupported": "drop"}
    await instance.save("tools", dropping, 1)
    result = await world.instance().call(ASK, asked, "user")
    assert [n["field"] for n in result["notices"]] == [field]
    (body,) = await world.bodies(marker)
    assert upstream not in body


async def test_a_fallback_that_would_leave_a_part_out_is_not_asked(world: World) -> None:
    instance = await tools_feature(world, "sim/404", fallbackModels=["sim/plain", "sim/fast"])
    result = await instance.call(ASK, data(), "user")
    assert [attempt["model"] for attempt in result["attempts"]] == ["sim/404", "sim/fast"]
    del (without := data())["tools"]
    result = await instance.call(ASK, without, "user")
    assert [attempt["model"] for attempt in result["attempts"]] == ["sim/404", "sim/plain"]


async def test_an_allowed_model_that_leaves_the_admins_settings_out_says_so(world: World) -> None:
    instance = world.instance()
    settings = {
        "model": "sim/fast",
        "allowedModels": ["sim/plain"],
        "titles": "beginning",
        "temperature": 0.2,
        "topP": 0.9,
    }
    saving = {"feature": "tools", "settings": settings, "revision": 0}
    saved = await instance.call("save_feature_settings", saving)
    (warning,) = saved["warnings"]
    assert (warning["field"], warning["reason"]) == ("allowedModels[0]", "not_supported")
    asked = {"feature": "tools", "prompt": "x"}
    result = await instance.call(ASK, {**asked, "model": "sim/plain"}, "user")
    (notice,) = result["notices"]
    assert (notice["reason"], notice["field"]) == ("parameter_dropped", "temperature")
    assert "notices" not in await instance.call(ASK, asked, "user")


async def test_the_same_request_again_has_the_calls_too(world: World) -> None:
    instance = await tools_feature(world)
    first = await instance.call(ASK, data(requestId="r1"), "user")
    assert (await instance.call(ASK, data(requestId="r1"), "user"))["toolCalls"] == (
        first["toolCalls"]
    )
    resumed = {"resume": first["generationId"]}
    assert (await world.instance().call(ASK, resumed, "user"))["toolCalls"] == first["toolCalls"]


async def test_who_joins_late_gets_the_calls_that_were_sent(world: World) -> None:
    instance = await tools_feature(world, "sim/parallel-tools")
    both = await asyncio.gather(
        *(instance.frames(ASK, data(requestId="r2"), "user") for _ in range(2))
    )
    for messages, result in both:
        called = [m for m in messages if m["type"] == "tool_call"]
        assert [call["id"] for call in called] == [call["id"] for call in result["toolCalls"]]


async def test_citations_stream_and_are_kept(world: World) -> None:
    instance = await tools_feature(world, "sim/cites")
    messages, result = await instance.frames(
        ASK, {"feature": "tools", "prompt": "x", "conversationId": "new"}, "user"
    )
    expected: list[dict[str, Any]] = [
        {"url": "https://example.com/a", "title": "A", "startIndex": 0, "endIndex": 4},
        {"url": "https://example.com/b", "title": "B"},
    ]
    assert result["citations"] == expected
    frames = [m for m in messages if m["type"] == "citation"]
    assert frames == [{"type": "citation", "index": n, **c} for n, c in enumerate(expected)]
    home = f"users/user/conversations/{result['conversationId']}/messages"
    assert (await world.document(f"{home}/{result['messageId']}"))["citations"] == expected


async def test_an_answer_that_was_kept_cites_as_well(world: World) -> None:
    instance = await tools_feature(world, "sim/cites", cacheSeconds=60)
    plain = {"feature": "tools", "prompt": "x"}
    first = await instance.call(ASK, plain, "user")
    messages, again = await instance.frames(ASK, plain, "user")
    assert again["cached"]
    assert again["citations"] == first["citations"]
    assert [m["url"] for m in messages if m["type"] == "citation"] == [
        citation["url"] for citation in first["citations"]
    ]


def test_the_bounds_hold_what_a_document_can() -> None:
    calls = limits.TOOL_ARGUMENTS_MAX_CHARS * 4 + ConversationLimits().part_chars * 4
    assert calls < 1_000_000


async def test_a_tool_of_openrouters_own_is_sent_and_the_pages_it_found_come_back(
    world: World,
) -> None:
    instance = world.instance()
    await instance.call("save_app_settings", {"settings": {"freeModelsOnly": False}, "revision": 0})
    search = {"type": "openrouter:web_search", "parameters": {"max_results": 3}}
    await instance.save("search", {"model": "sim/cites", "tools": [search], "titles": "beginning"})
    marker = marked()
    asked = {"feature": "search", "prompt": marker, "conversationId": "new", "tools": [CLOCK]}
    messages, result = await instance.frames(ASK, asked, "user")
    (body,) = await world.bodies(marker)
    assert body["tools"] == [search, {"type": "function", "function": CLOCK}]
    pages = [m["url"] for m in messages if m["type"] == "citation"]
    assert pages == [citation["url"] for citation in result["citations"]]
    assert pages == ["https://example.com/a", "https://example.com/b"]
    named = {"name": "web_search"}
    clash = await instance.refusal(ASK, {**asked, "tools": [named]}, "user")
    assert clash.details["field"] == "tools[0].name"


async def test_a_round_of_tools_is_told_whole_however_little_room_there_is(world: World) -> None:
    instance = await tools_feature(world, "sim/8k", maxTokens=8_000)
    marker = marked()
    long = f"Please use a tool {marker} " + "word " * 60  # more than there is room for
    await instance.call(ASK, data(f"Before {marker}", conversationId="new"), "user")
    first = await instance.call(ASK, data(long, conversationId="new"), "user")
    (call,) = first["toolCalls"]
    here = {"feature": "tools", "conversationId": first["conversationId"], "tools": [WEATHER]}
    results = [{"toolCallId": call["id"], "content": "Rain " * 40}]
    second = await instance.call(ASK, {**here, "toolResults": results}, "user")
    await instance.call(ASK, {**here, "regenerate": second["messageId"]}, "user")
    round_ = ["user", "assistant", "tool"]
    bodies = await world.bodies(marker)
    assert [[m["role"] for m in body["messages"]] for body in bodies[2:]] == [round_, round_]
    assert all(body["messages"][0]["content"] == long for body in bodies[2:])
    follows = marked()
    await instance.call(ASK, {**here, "prompt": follows}, "user")
    (body,) = await world.bodies(follows)
    assert [m["role"] for m in body["messages"]] == ["user"], "a round is left out whole too"
