"""Tools as a caller declares them, as a model is sent them, and as a caller gets its calls."""

from typing import Any

import pytest

from firerouter import limits
from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import InvalidArgument

CALL = {"id": "c1", "name": "f", "arguments": "{}"}
USER = {"role": "user", "content": "x"}
CALLED = {"role": "assistant", "toolCalls": [CALL]}
RESULT = {"role": "tool", "toolCallId": "c1", "content": "y"}


def field_of(**data: Any) -> str:
    with pytest.raises(InvalidArgument) as refused:
        parse(ExecutePrompt, {"feature": "chat", **data})
    return str(refused.value.details["field"])


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        ([{}], "tools[0].name"),
        ([{"name": "two words"}], "tools[0].name"),
        ([{"name": "x" * 65}], "tools[0].name"),
        ([{"name": "auto"}], "tools[0].name"),
        ([{"name": "f"}, {"name": "g"}, {"name": "f"}], "tools[2].name"),
        ([{"name": "f", "extra": 1}], "tools[0].extra"),
        ([{"name": "f", "parameters": {}}], "tools[0].parameters"),
        ([{"name": "f", "parameters": {"type": "string"}}], "tools[0].parameters"),
        ([{"name": "f", "parameters": {"type": "object", "required": "a"}}], "tools[0].parameters"),
        (
            [{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "no"}}}}],
            "tools[0].parameters",
        ),
        ([{"name": "f", "description": "x" * 4001}], "tools[0].description"),
        ([{"name": f"f{n}"} for n in range(limits.CALLER_TOOLS_MAX + 1)], "tools"),
        (
            [
                {"name": f"f{n}", "parameters": {"type": "object", "title": "x" * 15_000}}
                for n in range(8)
            ],
            "tools",
        ),
    ],
)
def test_a_declaration_that_is_not_right_is_named(tools: Any, field: str) -> None:
    assert field_of(prompt="x", tools=tools) == field


@pytest.mark.parametrize("choice", ["g", "required", ""])
def test_a_choice_has_to_be_one(choice: str) -> None:
    assert field_of(prompt="x", toolChoice=choice) == "toolChoice"


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([RESULT], "messages[0].toolCallId"),
        ([USER, {"role": "tool", "content": "y"}], "messages[1].toolCallId"),
        ([USER, CALLED, {**RESULT, "toolCallId": "c2"}], "messages[2].toolCallId"),
        ([USER, CALLED, RESULT, RESULT], "messages[3].toolCallId"),
        ([USER, CALLED, USER], "messages[1].toolCalls"),
        ([USER, {**CALLED, "toolCalls": [CALL, CALL]}, RESULT], "messages[1].toolCalls"),
        ([{**USER, "toolCalls": [CALL]}], "messages[0].toolCalls"),
        ([{**USER, "toolCallId": "c1"}], "messages[0].toolCallId"),
        ([{"role": "assistant"}, USER], "messages[0].content"),
        ([{**USER, "reasoningDetails": [{}]}], "messages[0].reasoningDetails"),
        (
            [USER, {**CALLED, "reasoningDetails": [{"x": "y" * 100_001}]}, RESULT],
            "messages[1].reasoningDetails",
        ),
        ([USER, {**CALLED, "toolCalls": [{"id": "c"}]}, RESULT], "messages[1].toolCalls[0].name"),
    ],
)
def test_calls_and_results_have_to_fit(messages: Any, field: str) -> None:
    assert field_of(messages=messages) == field


@pytest.mark.parametrize(
    "data",
    [
        {"toolResults": [{"toolCallId": "c", "content": ""}]},
        {"toolResults": [{"toolCallId": "c", "content": ""}], "conversationId": "new"},
        {
            "toolResults": [{"toolCallId": "c", "content": ""}],
            "conversationId": "c1",
            "prompt": "x",
        },
        {
            "toolResults": [{"toolCallId": "c", "content": ""}],
            "conversationId": "c1",
            "context": "x",
        },
        {"messages": [USER, CALLED]},
    ],
)
def test_results_go_where_the_calls_came_from(data: dict[str, Any]) -> None:
    field_of(**data)


def test_a_whole_round_is_a_request() -> None:
    request = parse(ExecutePrompt, {"feature": "chat", "messages": [USER, CALLED, RESULT]})
    assert request.messages is not None
    assert [message.role for message in request.messages] == ["user", "assistant", "tool"]
