"""Reasoning: streamed apart from the text, and what a model thought goes back to it unchanged."""

import secrets
from typing import Any

from firerouter.app.limits import Limits
from firerouter.openrouter import OpenRouterLimits
from tests.support.calls import ASK
from tests.support.in_process import World
from tests.support.tools import WEATHER, tools_feature

THOUGHT = "The user asks something; a simulated answer is enough."
DETAILS = [
    {
        "type": "reasoning.text",
        "text": THOUGHT,
        "signature": "c2ltdWxhdGVk",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
]
THINKS: dict[str, Any] = {"reasoning": {"effort": "low"}}


async def test_thoughts_stream_apart_and_go_back_to_the_model_that_had_them(world: World) -> None:
    instance = await tools_feature(
        world, **THINKS, allowedModels=["sim/parallel-tools"], titles="beginning"
    )
    marker = f"thought-{secrets.token_hex(6)}"
    here = {"feature": "tools", "conversationId": "new", "prompt": marker}
    messages, first = await instance.frames(ASK, here, "user")
    assert "".join(m["delta"] for m in messages if m["type"] == "reasoning") == THOUGHT
    assert first["reasoning"] == THOUGHT
    assert first["reasoningDetails"] == DETAILS
    here["conversationId"] = first["conversationId"]
    await instance.call(ASK, here, "user")
    await instance.call(ASK, {**here, "model": "sim/parallel-tools"}, "user")
    _, second, third = await world.bodies(marker)
    assert second["reasoning"] == {"effort": "low"}
    assert [m.get("reasoning_details") for m in second["messages"]] == [None, DETAILS, None]
    assert not any("reasoning_details" in message for message in third["messages"])


async def test_thoughts_go_back_between_a_call_and_its_result(world: World) -> None:
    instance = await tools_feature(world, **THINKS)
    marker = f"thought-tool-{secrets.token_hex(6)}"
    asked = {"feature": "tools", "prompt": marker, "tools": [WEATHER]}
    result = await instance.call(ASK, asked, "user")
    told = {name: result[name] for name in ("toolCalls", "reasoningDetails")}
    (call,) = result["toolCalls"]
    messages = [
        {"role": "user", "content": marker},
        {"role": "assistant", **told},
        {"role": "tool", "toolCallId": call["id"], "content": "Rain"},
    ]
    await instance.call(ASK, {"feature": "tools", "messages": messages}, "user")
    _, second = await world.bodies(marker)
    assert second["messages"][1]["reasoning_details"] == DETAILS
    assert second["messages"][1]["tool_calls"]


async def test_thoughts_too_long_to_go_back_are_said_to_be(world: World) -> None:
    instance = await tools_feature(world, **THINKS)
    here = {"feature": "tools", "conversationId": "new", "prompt": "Why?"}
    short = await instance.call(ASK, here, "user")
    assert "notices" not in short
    narrow = world.instance(
        limits=Limits(openrouter=OpenRouterLimits(reasoning_details_max_bytes=100))
    )
    result = await narrow.call(ASK, here, "user")
    assert [notice["reason"] for notice in result["notices"]] == ["reasoning_not_kept"]
    assert result["reasoning"] == THOUGHT
    assert "reasoningDetails" not in result
