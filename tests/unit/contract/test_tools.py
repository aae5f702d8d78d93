"""Tools as a caller declares them, as a model is sent them, and as it asks for them in pieces."""

from typing import Any

import pytest

from firerouter import limits
from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import AnswerTooLong, InvalidArgument, TooManyToolCalls, UpstreamMalformed
from firerouter.openrouter import OpenRouterLimits
from firerouter.openrouter.citations import CitationCollector
from firerouter.openrouter.reasoning import ReasoningCollector
from firerouter.openrouter.tool_calls import ToolCallCollector

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


# -- in pieces -----------------------------------------------------------------------------------


def piece(index: Any = None, id_: Any = None, name: Any = None, arguments: Any = None) -> Any:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": id_, "type": "function", "function": function}


def whole(*chunks: list[Any]) -> list[tuple[str, str, str]]:
    calls = ToolCallCollector(OpenRouterLimits())
    for chunk in chunks:
        assert calls.add(chunk)
    return [(call["id"], call["name"], call["arguments"]) for call in calls.finish()]


def test_pieces_of_several_calls_by_turns() -> None:
    assert whole(
        [piece(0, "a", "f", "")],
        [piece(1, "b", "g", '{"y"')],
        [piece(0, None, None, '{"x":'), piece(1, None, None, ":2}")],
        [piece(0, None, None, "1}")],
    ) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_calls_without_an_index_begin_with_an_id() -> None:
    assert whole(
        [piece(None, "a", "f", "{")],
        [piece(None, None, None, "}")],
        [piece(None, "b", "g", "{}")],
    ) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_each_call_gets_an_id_of_its_own() -> None:
    ids = [id_ for id_, _, _ in whole([piece(0, "", "f", "{}"), piece(1, "", "g", "{}")])]
    assert len(set(ids)) == 2
    assert all(ids)


def test_half_a_character_is_no_part_of_a_call() -> None:
    ((_, _, arguments),) = whole([piece(0, "a", "f", '"\ud83d'), piece(0, None, None, '\ude00"')])
    assert arguments == '"\U0001f600"'


@pytest.mark.parametrize("fragments", [[None], ["x"], [[]]])
def test_what_is_no_call_is_malformed(fragments: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        ToolCallCollector(OpenRouterLimits()).add(fragments)


def test_a_call_without_a_name_is_malformed() -> None:
    with pytest.raises(UpstreamMalformed):
        whole([piece(0, "a", None, "{}")])


def test_nothing_is_no_call() -> None:
    odd: list[Any] = [None, [], "x", {}, 7]
    assert not any(ToolCallCollector(OpenRouterLimits()).add(nothing) for nothing in odd)


def test_too_many_and_too_long() -> None:
    calls = ToolCallCollector(OpenRouterLimits())
    with pytest.raises(TooManyToolCalls):
        calls.add([piece(n, f"c{n}", "f", "") for n in range(limits.TOOL_CALLS_MAX + 1)])
    calls = ToolCallCollector(OpenRouterLimits())
    long = piece(0, "a", "f", "x" * limits.TOOL_ARGUMENTS_MAX_CHARS)
    assert calls.add([long])
    with pytest.raises(AnswerTooLong):
        calls.add([long])


def test_citations_come_once_and_lead_somewhere() -> None:
    def cited(**told: Any) -> Any:
        return {"type": "url_citation", "url_citation": told}

    good = cited(url="https://a.test", title="A", start_index=0, end_index=0)
    odd = [
        cited(url="javascript:alert(1)"),
        cited(url=7),
        cited(url="https://a.test/" + "x" * OpenRouterLimits().url_max_chars),
        {"type": "file", "file": {}},
        None,
        "x",
    ]
    citations = CitationCollector(OpenRouterLimits())
    assert citations.add([good, good, *odd]) == [{"url": "https://a.test", "title": "A"}]
    assert citations.add([good]) == []
    assert citations.add(None) == citations.add("x") == []
    many = [cited(url=f"https://a.test/{n}") for n in range(2 * OpenRouterLimits().citations_max)]
    citations.add(many)
    assert len(citations.all) == OpenRouterLimits().citations_max


def thoughts(*chunks: Any, whole: bool = False) -> list[dict[str, Any]]:
    made = ReasoningCollector(limits.REASONING_DETAILS_MAX_BYTES)
    for chunk in chunks:
        made.add(chunk, whole=whole)
    return made.all


SAID = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}


def test_pieces_of_a_thought_are_one_with_its_signature() -> None:
    assert thoughts(
        [],
        [{**SAID, "text": "", "signature": ""}],
        [{**SAID, "text": "One "}],
        [{**SAID, "text": "two"}],
        [{**SAID, "signature": "c2ln"}],
    ) == [{**SAID, "text": "One two", "signature": "c2ln"}]


def test_long_thoughts_are_measured_by_what_they_come_to() -> None:
    most = limits.REASONING_DETAILS_MAX_BYTES
    pieces = [[{**SAID, "text": "thought "}]] * 5_000
    assert sum(len(str(piece)) for piece in pieces) > 2 * most
    assert thoughts(*pieces) == [{**SAID, "text": "thought " * 5_000}]
    assert thoughts([{**SAID, "text": "x" * most}]) == []
    assert thoughts(*[[{**SAID, "text": "x" * 1_000}]] * 101) == []


def test_thoughts_stay_apart_and_in_order() -> None:
    secret = {"type": "reasoning.encrypted", "data": "eA==", "id": "r1", "index": 0}
    summary = {"type": "reasoning.summary", "summary": "S", "index": 1}
    other = {**SAID, "text": "x", "index": 2}
    assert thoughts([secret, secret], [summary], [other]) == [secret, secret, summary, other]
    assert thoughts([other, other], whole=True) == [other, other]
    assert thoughts([{**SAID, "id": "a"}], [{**SAID, "id": "b"}]) == [
        {**SAID, "id": "a"},
        {**SAID, "id": "b"},
    ]
    assert thoughts(None, "x", [None, 7]) == []


def test_thoughts_that_are_too_long_are_all_left_out() -> None:
    long = {**SAID, "text": "x" * limits.REASONING_DETAILS_MAX_BYTES}
    assert thoughts([{**SAID, "text": "a"}], [long], [{**SAID, "signature": "c"}]) == []
