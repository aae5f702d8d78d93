"""Answers in the forms that providers make up, and histories that providers refuse, end to end."""

import asyncio
import secrets
from typing import Any

import pytest

from firerouter.callable import CallableError
from scripts.standins.openrouter.completions import REASONING
from scripts.standins.openrouter.odd_shapes import IMAGE_BYTES
from tests.support.calls import ASK
from tests.support.in_process import Instance, World
from tests.support.tools import CLOCK, WEATHER

AT_ONCE_S = 15.0  # of a busy machine; the silence that a feature allows is far longer
SLOW: dict[str, Any] = {"firstTokenS": 100, "idleS": 100, "totalS": 200}


async def asking(world: World, model: str, **settings: Any) -> Instance:
    """Return an instance whose feature `chat` asks this model."""
    document = {"model": model, "titles": "beginning", **SLOW, **settings}
    await world.write("features/chat", {"enabled": True, "revision": 1, "settings": document})
    await world.write("config/app", {"freeModelsOnly": False})
    return world.instance()


async def ask(instance: Instance, prompt: str, **more: Any) -> Any:
    return await instance.call(ASK, {"feature": "chat", "prompt": prompt, **more}, "user")


async def fails(instance: Instance, prompt: str, **more: Any) -> CallableError:
    return await instance.refusal(ASK, {"feature": "chat", "prompt": prompt, **more}, "user")


def marked() -> str:
    return f"odd-{secrets.token_hex(6)}"


# -- ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["sim/held-after-done", "sim/held-after-finish", "sim/done-with-space"]
)
async def test_an_answer_that_is_whole_ends_at_once(world: World, model: str) -> None:
    instance, marker = await asking(world, model), marked()
    async with asyncio.timeout(AT_ONCE_S):
        result = await ask(instance, marker)
    assert result["text"].endswith(marker)
    assert (result["finishReason"], len(result["attempts"])) == ("stop", 1)
    assert not result["usage"].get("costIsEstimate")
    assert len(await world.bodies(marker)) == 1


@pytest.mark.parametrize("model", ["sim/blank-finish", "sim/network-error"])
async def test_an_answer_without_a_sound_end_is_a_cut_one(world: World, model: str) -> None:
    instance, marker = await asking(world, model, cacheSeconds=60), marked()
    for times in (1, 2):
        failure = await fails(instance, marker, conversationId="new")
        assert failure.reason == "stream_cut"
        assert len(await world.bodies(marker)) == times  # once a call, and never from the cache
    messages = (await world.all("users/user/conversations")).keys()
    for conversation in messages:
        stored = await world.all(f"users/user/conversations/{conversation}/messages")
        (answer,) = [one for one in stored.values() if one["role"] == "assistant"]
        assert (answer["text"], answer["status"]) == ("This is a ", "failed")


@pytest.mark.parametrize(
    ("model", "reason"), [("sim/max-tokens", "length"), ("sim/guardrail", "content_filter")]
)
async def test_a_providers_word_for_an_end_is_ours(world: World, model: str, reason: str) -> None:
    instance, marker = await asking(world, model, cacheSeconds=60), marked()
    for times in (1, 2):
        result = await ask(instance, marker)
        assert (result["text"], result["finishReason"]) == ("This is a ", reason)
        assert len(await world.bodies(marker)) == times


async def test_an_answer_of_reasoning_alone_says_why_there_is_no_text(world: World) -> None:
    result = await ask(await asking(world, "sim/length-no-text"), marked())
    assert (result["text"], result["finishReason"]) == ("", "length")
    (notice,) = result["notices"]
    assert notice["reason"] == "no_text"
    assert "length limit" in notice["message"]


async def test_what_shares_a_packet_with_an_error_is_shown_and_charged_once(world: World) -> None:
    instance, marker = await asking(world, "sim/paid-packet-error"), marked()
    streaming = instance.begin(ASK, {"feature": "chat", "prompt": marker}, "user")
    with pytest.raises(CallableError) as failed:
        await streaming.task
    assert failed.value.reason == "upstream_busy"
    assert failed.value.details["usage"]["completionTokens"] == 5
    assert failed.value.details["usage"]["cost"] > 0
    frames = [frame for frame in streaming.call.take() if frame and b'"text"' in frame]
    assert len(frames) > 0
    assert len(await world.bodies(marker)) == 1
    (entry,) = (await world.all("generations")).values()
    assert (entry["costIsEstimate"], len(entry["attempts"])) == (False, 1)
    assert entry["costNanoUsd"] > 5 * 15_000


async def test_what_was_written_before_a_failure_is_told_if_nothing_else_has_it(
    world: World,
) -> None:
    instance = await asking(world, "sim/cut-mid-stream")
    for elsewhere in ({}, {"temporary": True}, {"requestId": "r"}):
        failure = await fails(instance, "Hi", **elsewhere)
        assert failure.details["text"] == "This is a "
    stored = await fails(instance, "Hi", conversationId="new")
    assert "text" not in stored.details
    refused = await fails(await asking(world, "sim/503"), "Hi")
    assert "text" not in refused.details


# -- usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["sim/paid-zero-usage", "sim/paid-floats", "sim/paid"])
async def test_odd_usage_counts_like_any_other(world: World, model: str) -> None:
    result = await ask(await asking(world, model), "Hi")
    usage = result["usage"]
    assert usage["completionTokens"] == len(result["text"].split())
    assert usage["promptTokens"] > 0
    assert all(type(usage[name]) is int for name in ("promptTokens", "completionTokens"))
    assert usage["cost"] > 0
    assert not usage.get("costIsEstimate")


async def test_of_two_answers_the_first_one_is_read(world: World) -> None:
    marker = marked()
    result = await ask(await asking(world, "sim/two-choices"), marker)
    assert result["text"].endswith(marker)
    assert "?" not in result["text"]


async def test_json_between_sentences_is_the_json(world: World) -> None:
    instance = await asking(world, "sim/wrapped-json", allowResponseFormat=True)
    result = await ask(instance, "Hi", responseFormat={"type": "json_object"})
    assert result["json"]["simulated"] is True
    assert "notices" not in result
    assert result["text"].startswith("Sure!")


@pytest.mark.parametrize("temporary", [False, True])
async def test_a_picture_of_4k_is_stored_and_charged(world: World, temporary: bool) -> None:
    instance = await asking(world, "sim/paid-4k-image", kind="image")
    result = await ask(instance, marked(), temporary=temporary)
    (image,) = result["images"]
    assert (image["contentType"], image["bytes"]) == ("image/png", IMAGE_BYTES)
    if temporary:
        assert len(image["data"]) == 4 * IMAGE_BYTES // 3
    else:
        assert len(await world.content(image["path"])) == IMAGE_BYTES
    assert result["usage"]["cost"] == 0.24
    (entry,) = (await world.all("generations")).values()
    assert (entry["costNanoUsd"], entry["costIsEstimate"]) == (240_000_000, False)


# -- tools and reasoning ---------------------------------------------------------------------------


async def test_calls_that_share_an_index_are_told_apart(world: World) -> None:
    instance = await asking(world, "sim/shared-index", allowTools=True)
    messages, result = await instance.frames(
        ASK, {"feature": "chat", "prompt": marked(), "tools": [WEATHER, CLOCK]}, "user"
    )
    calls = [(call["name"], call["arguments"]) for call in result["toolCalls"]]
    names = ("get_weather", "get_time")
    assert calls == [(name, f'{{"number": {n}}}') for name in names for n in (1, 2, 3)]
    assert len({call["id"] for call in result["toolCalls"]}) == 6
    told = [message for message in messages if message["type"] == "tool_call"]
    assert [message["id"] for message in told] == [call["id"] for call in result["toolCalls"]]


async def test_calls_without_index_and_id_are_told_apart(world: World) -> None:
    instance = await asking(world, "sim/odd-tools", allowTools=True)
    result = await ask(instance, marked(), tools=[WEATHER, CLOCK])
    assert [(call["name"], call["arguments"]) for call in result["toolCalls"]] == [
        ("get_weather", '{"number": 0}'),
        ("get_time", '{"number": 1}'),
    ]
    assert not any("error" in call for call in result["toolCalls"])


async def test_reasoning_in_details_alone_is_shown(world: World) -> None:
    instance = await asking(world, "sim/reasoning-details")
    messages, result = await instance.frames(ASK, {"feature": "chat", "prompt": "Hi"}, "user")
    shown = [message["delta"] for message in messages if message["type"] == "reasoning"]
    assert "".join(shown) == result["reasoning"] == "".join(REASONING)
    (detail,) = result["reasoningDetails"]
    assert detail["text"] == "".join(REASONING)


@pytest.mark.parametrize("stored", [True, False], ids=["conversation", "messages"])
async def test_plain_reasoning_goes_back_with_its_calls(world: World, stored: bool) -> None:
    instance = await asking(world, "sim/plain-reasoning", allowTools=True)
    marker = f"use the tool {marked()}"
    place: dict[str, Any] = {"conversationId": "new"} if stored else {}
    called = await ask(instance, marker, tools=[WEATHER], **place)
    (call,) = called["toolCalls"]
    assert called["reasoning"] == "".join(REASONING)
    if stored:
        results = [{"toolCallId": call["id"], "content": "Rain"}]
        here = {"conversationId": called["conversationId"], "toolResults": results}
    else:
        told = {name: called[name] for name in ("toolCalls", "reasoningDetails")}
        question = {"role": "user", "content": marker}
        result = {"role": "tool", "toolCallId": call["id"], "content": "Rain"}
        here = {"messages": [question, {"role": "assistant", **told}, result]}
    data = {"feature": "chat", "tools": [WEATHER], **here}
    answer = await instance.call(ASK, data, "user")
    assert "It read the tool's result" in answer["text"]
    *_, last = await world.bodies(marker)
    assert last["messages"][1]["reasoning"] == "".join(REASONING)
    assert "reasoning_details" not in last["messages"][1]


# -- histories -------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["sim/503", "sim/empty", "sim/cut-mid-stream", "sim/no-finish"])
async def test_after_a_failed_turn_a_conversation_goes_on(world: World, first: str) -> None:
    """Where a provider wants turns to alternate, and refuses blank ones."""
    instance = await asking(world, first)
    one, two = marked(), marked()
    await fails(instance, one, conversationId="new")
    (conversation,) = await world.all("users/user/conversations")
    instance = await asking(world, "sim/strict-turns")
    result = await ask(instance, two, conversationId=conversation)
    assert two in result["text"]
    *_, body = await world.bodies(two)
    assert one in str(body["messages"])
    again = await ask(instance, "And then?", conversationId=conversation)
    assert again["finishReason"] == "stop"


async def test_after_a_blank_answer_a_conversation_goes_on(world: World) -> None:
    instance, one, two = await asking(world, "sim/blank-first"), marked(), marked()
    first = await ask(instance, one, conversationId="new")
    assert first["text"].strip() == ""
    result = await ask(instance, two, conversationId=first["conversationId"])
    assert two in result["text"]
    *_, body = await world.bodies(two)
    assert body["messages"] == [{"role": "user", "content": f"{one}\n\n{two}"}]


async def test_after_calls_that_nobody_answered_a_conversation_goes_on(world: World) -> None:
    instance = await asking(world, "sim/parallel-tools", allowTools=True)
    one, two = marked(), marked()
    called = await ask(instance, one, tools=[WEATHER], conversationId="new")
    instance = await asking(world, "sim/strict-turns")
    await ask(instance, two, conversationId=called["conversationId"])
    *_, body = await world.bodies(two)
    assert body["messages"] == [{"role": "user", "content": f"{one}\n\n{two}"}]


async def test_a_callers_blank_messages_are_left_out(world: World) -> None:
    instance, marker = await asking(world, "sim/strict-turns", allowTools=True), marked()
    call = {"id": "c1", "name": "get_time", "arguments": "{}"}
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "content": "Hi, I am Bob."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": marker},
        {"role": "assistant", "content": " ", "toolCalls": [call]},
        {"role": "tool", "toolCallId": "c1", "content": ""},
    ]
    await instance.call(ASK, {"feature": "chat", "messages": messages}, "user")
    (body,) = await world.bodies(marker)
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "tool"]
    assert body["messages"][2]["content"] == f"a\n\n{marker}"
    assert body["messages"][-1]["content"] == "(no output)"
