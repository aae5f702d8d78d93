"""Tool calls and results between a caller's messages and a model's."""

import pytest

from firerouter.contract.base import parse
from firerouter.contract.messages import Message, StoredReasoning, ToolReply, ToolRequest
from firerouter.contract.prompts import ExecutePrompt
from firerouter.contract.tools import Tool, ToolResult
from firerouter.errors import InvalidArgument
from firerouter.generation.tool_turns import (
    check_names,
    check_results,
    pair_calls,
    to_client,
    to_message,
)

CALL = {"id": "c1", "name": "f", "arguments": "{}"}
C1, C2 = ToolRequest("c1", "f", "{}"), ToolRequest("c2", "g", "{}")
R1, R2 = ToolReply("c1", "one"), ToolReply("c2", "two")


def user(text: str) -> Message:
    return Message("user", text)


def test_what_lacks_its_other_half_is_not_sent() -> None:
    messages = [
        Message("tool", tool_replies=(ToolReply("c0", "old"),)),
        user("a"),
        Message("assistant", "Let me see", tool_requests=(C1,)),
        user("b"),
        Message("assistant", tool_requests=(C1,)),
        user("c"),
    ]
    assert pair_calls(messages, "a/b") == [
        user("a"),
        Message("assistant", "Let me see"),
        user("b"),
        user("c"),
    ]


def test_a_whole_round_is_sent_with_a_message_for_each_result() -> None:
    asked = Message("assistant", "Let me see", tool_requests=(C1, C2))
    for replies in ([(R1, R2)], [(R1,), (R2,)]):
        tools = [Message("tool", tool_replies=each) for each in replies]
        sent = pair_calls([user("a"), asked, *tools, user("b")], "a/b")
        one, two = Message("tool", tool_replies=(R1,)), Message("tool", tool_replies=(R2,))
        assert sent == [user("a"), asked, one, two, user("b")]


def test_a_result_that_is_there_twice_is_sent_once() -> None:
    asked = Message("assistant", tool_requests=(C1,))
    sent = pair_calls([asked, Message("tool", tool_replies=(R1, R1, R2))], "a/b")
    assert sent == [asked, Message("tool", tool_replies=(R1,))]


def test_arguments_that_are_no_object_are_sent_as_an_empty_one() -> None:
    for arguments in ("", "{", "[]", "1"):
        asked = Message("assistant", tool_requests=(ToolRequest("c1", "f", arguments),))
        sent = pair_calls([asked, Message("tool", tool_replies=(R1,))], "a/b")
        assert sent[0].tool_requests == (C1,)


def test_reasoning_goes_back_to_the_model_it_came_from() -> None:
    stored = StoredReasoning('[{"type": "reasoning.text", "text": "hm"}]', "a/b")
    message = Message("assistant", "Yes", stored_reasoning=stored)
    details: tuple[dict[str, object], ...] = ({"type": "reasoning.text", "text": "hm"},)
    assert pair_calls([message], "a/b") == [Message("assistant", "Yes", reasoning_details=details)]
    assert pair_calls([message], "c/d") == [Message("assistant", "Yes")]


def test_a_callers_reasoning_goes_to_any_model() -> None:
    details = [{"type": "reasoning.text", "text": "hm"}]
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "toolCalls": [CALL], "reasoningDetails": details},
        {"role": "tool", "toolCallId": "c1", "content": "one"},
    ]
    request = parse(ExecutePrompt, {"feature": "chat", "messages": turns})
    messages = [to_message(turn) for turn in request.messages or ()]
    assert messages == [
        user("a"),
        Message(
            "assistant",
            "b",
            tool_requests=(C1,),
            reasoning_details=({"type": "reasoning.text", "text": "hm"},),
        ),
        Message("tool", tool_replies=(R1,)),
    ]
    assert pair_calls(messages, "any/model") == messages


@pytest.mark.parametrize(
    ("arguments", "error"),
    [("{}", None), ("", None), ("{", "invalid_arguments"), ("[]", "invalid_arguments")],
)
def test_what_is_wrong_with_a_call_is_said(arguments: str, error: str | None) -> None:
    assert to_client({**CALL, "arguments": arguments}, {"f"}).get("error") == error
    assert to_client({**CALL, "arguments": arguments}, set())["error"] == "unknown_tool"


def results(*ids: str) -> list[ToolResult]:
    return [ToolResult(tool_call_id=id_, content="x") for id_ in ids]


def test_results_answer_all_pending_calls_in_any_order() -> None:
    check_results(results("c2", "c1"), Message("assistant", tool_requests=(C1, C2)))


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (
            ["c1", "c1"],
            "toolResults[1].toolCallId is the same as in an earlier entry: give one result for "
            "each call.",
        ),
        (
            ["c3"],
            "toolResults[0].toolCallId must be the id of a tool call in the conversation's last "
            "answer.",
        ),
        (["c2"], "toolResults must have a result for the tool call c1 as well."),
    ],
)
def test_what_is_wrong_with_results_is_said_plainly(ids: list[str], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_results(results(*ids), Message("assistant", tool_requests=(C1, C2)))
    assert refused.value.message == sentence


@pytest.mark.parametrize(
    ("ids", "pending", "field"),
    [
        (["c1"], [C1, C2], "toolResults"),
        (["c1", "c1"], [C1, C2], "toolResults[1].toolCallId"),
        (["c3"], [C1], "toolResults[0].toolCallId"),
        (["c1"], [], "toolResults[0].toolCallId"),
    ],
)
def test_results_that_do_not_fit_are_named(
    ids: list[str], pending: list[ToolRequest], field: str
) -> None:
    for last in (Message("assistant", tool_requests=tuple(pending)), None):
        with pytest.raises(InvalidArgument) as refused:
            check_results(results(*ids), last)
        if last is not None:
            assert refused.value.details["field"] == field


def test_a_tool_has_no_name_of_one_that_openrouter_runs() -> None:
    tools = [Tool(name="look"), Tool(name="web_search")]
    check_names(tools, ["openrouter:datetime"])
    with pytest.raises(InvalidArgument) as refused:
        check_names(tools, ["openrouter:datetime", "openrouter:web_search"])
    assert refused.value.details["field"] == "tools[1].name"
