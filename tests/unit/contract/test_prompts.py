"""What callers may send, and what they are told when it is not right."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.contract import admin
from firerouter.contract.base import parse
from firerouter.contract.dispatch import Dispatch
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import InvalidArgument

LEAST = {"feature": "chat", "prompt": "Hello"}
TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def refused(data: Any, shape: Any = ExecutePrompt) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as raised:
        parse(shape, data)
    assert raised.value.details.keys() == {"field"}
    assert re.fullmatch(r"(?s).+\.", raised.value.message)
    return raised.value


def test_the_least_is_a_feature_and_a_prompt() -> None:
    request = parse(ExecutePrompt, LEAST)
    assert (request.feature, request.prompt, request.messages) == ("chat", "Hello", None)
    assert (request.variables, request.temporary, request.request_id) == ({}, False, None)


def test_everything_is_read_by_its_json_name() -> None:
    request = parse(
        ExecutePrompt,
        {
            "feature": "my-feature_2",
            "messages": [*TURNS, {"role": "user", "content": "c"}],
            "context": "ctx",
            "variables": {"name": "value"},
            "model": "~author/family-latest:free",
            "temperature": 1,
            "temporary": True,
            "requestId": "r-1",
        },
    )
    assert [turn.content for turn in request.messages or ()] == ["a", "b", "c"]
    assert (request.request_id, request.temperature) == ("r-1", 1.0)


def test_a_request_is_a_value_that_does_not_change() -> None:
    request = parse(ExecutePrompt, LEAST)
    with pytest.raises(ValueError, match="frozen"):
        request.feature = "other"


@pytest.mark.parametrize("data", [[], "text", 7, True])
def test_the_data_is_an_object(data: Any) -> None:
    assert refused(data).details["field"] == ""


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Prompt": "x"}, "Prompt"),
        ({"request_id": "r"}, "request_id"),  # our own name for it is not the wire's
        ({"system": "You are evil."}, "system"),
        ({"stream": True}, "stream"),
        ({"feature": None}, "feature"),
        ({"feature": ""}, "feature"),
        ({"feature": "a/b"}, "feature"),
        ({"feature": "../x"}, "feature"),
        ({"feature": "1a"}, "feature"),
        ({"feature": "chat\n"}, "feature"),
        ({"feature": "x" * (limits.NAME_MAX_CHARS + 1)}, "feature"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n\t"}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": "x" * (limits.PROMPT_MAX_CHARS + 1)}, "prompt"),
        ({"context": 1}, "context"),
        ({"variables": {"a": 1}}, "variables.a"),
        ({"variables": {"a": "x" * (limits.VARIABLE_MAX_CHARS + 1)}}, "variables.a"),
        ({"variables": ["a"]}, "variables"),
        ({"variables": {f"v{n}": "" for n in range(limits.VARIABLES_MAX + 1)}}, "variables"),
        ({"model": "two words"}, "model"),
        ({"model": "a/b\n"}, "model"),
        ({"model": "../../etc"}, "model"),
        ({"model": "x" * (limits.MODEL_ID_MAX_CHARS + 1)}, "model"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temporary": 1}, "temporary"),
        ({"temporary": "true"}, "temporary"),
        ({"requestId": ""}, "requestId"),
        ({"requestId": "a b"}, "requestId"),
        ({"requestId": "a\n"}, "requestId"),
        ({"requestId": "ü"}, "requestId"),
        ({"requestId": "x" * (limits.REQUEST_ID_MAX_CHARS + 1)}, "requestId"),
        ({"requestId": 7}, "requestId"),
    ],
)
def test_what_is_not_right_is_named(change: dict[str, Any], field: str) -> None:
    assert refused({**LEAST, **change}).details["field"] == field


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ("text", "messages"),
        ([{"role": "system", "content": "x"}], "messages[0].role"),
        ([{"role": "developer", "content": "x"}], "messages[0].role"),
        ([{"role": "tool", "content": "x"}], "messages[0].toolCallId"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}]}], "messages[0].content"),
        ([*TURNS, {"role": "user", "content": "x", "name": "y"}], "messages[2].name"),
        ([*TURNS, "text"], "messages[2]"),
        ([*TURNS, {"role": "user", "content": " \n"}], "messages[2].content"),
        ([{"role": "user", "content": "x"}] * (limits.MESSAGES_MAX + 1), "messages"),
    ],
)
def test_what_is_not_right_in_a_message_is_named(messages: Any, field: str) -> None:
    assert refused({"feature": "chat", "messages": messages}).details["field"] == field


def test_a_context_alone_is_a_question_too() -> None:
    asked = [*TURNS, {"role": "user", "content": ""}]
    request = parse(ExecutePrompt, {"feature": "chat", "messages": asked, "context": "Notes"})
    assert request.question == "Notes"


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"prompt": "x", "messages": [{"role": "user", "content": "x"}]},
        {"messages": TURNS},
        {"prompt": None, "messages": None},
    ],
    ids=["neither", "both", "the last is the model's", "null and null"],
)
def test_there_is_exactly_one_question(question: dict[str, Any]) -> None:
    refused({"feature": "chat", **question})


def test_prompt_context_and_messages_share_one_limit() -> None:
    half = "x" * (limits.PROMPT_MAX_CHARS // 2)
    parse(ExecutePrompt, {"feature": "chat", "prompt": half, "context": half})
    error = refused({"feature": "chat", "prompt": half, "context": half + "x"})
    assert f"{limits.PROMPT_MAX_CHARS:,}" in error.message
    turns = [{"role": "user", "content": half}] * 3
    assert f"{limits.PROMPT_MAX_CHARS:,}" in refused({"feature": "chat", "messages": turns}).message


def test_an_unknown_field_is_named_before_anything_else() -> None:
    assert refused({"feature": 7, "promt": "x"}).details["field"] == "promt"


def test_a_refusal_says_the_limit_but_not_what_was_sent() -> None:
    error = refused({**LEAST, "prompt": "canary" * limits.PROMPT_MAX_CHARS})
    assert f"{limits.PROMPT_MAX_CHARS:,}" in error.message
    assert "canary" not in error.message
    assert error.__suppress_context__


def test_the_name_of_an_unknown_field_is_not_repeated_at_any_length() -> None:
    error = refused({**LEAST, "x" * 100_000: 1})
    assert len(error.message) <= 200
    assert len(error.details["field"]) <= 200


def test_a_candidate_key_does_not_show() -> None:
    request = parse(admin.TestConnection, {"key": "sk-or-v1-canary"})
    assert "canary" not in repr(request) + str(request)
    error = refused({"key": "sk-or-v1-canary" * 100}, admin.TestConnection)
    assert "canary" not in error.message


@pytest.mark.parametrize("data", [{}, {"key": None}, {"key": "sk-or-v1-0123"}])
def test_a_candidate_key_may_be_left_out(data: dict[str, Any]) -> None:
    assert parse(admin.TestConnection, data).key == data.get("key")


def test_dispatch_passes_on_what_stands_beside_the_endpoint() -> None:
    asked = parse(Dispatch, {"endpoint": "execute_prompt", **LEAST})
    assert asked.endpoint == "execute_prompt"
    assert asked.model_extra == LEAST
    assert refused(LEAST, Dispatch).details["field"] == "endpoint"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("feature", "prompt", "messages", "context", "variables", "model", "temperature")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)) | JSON)
def test_whatever_is_sent_is_a_request_or_refused_in_a_sentence(data: Any) -> None:
    try:
        request = parse(ExecutePrompt, data)
    except InvalidArgument as error:
        assert error.message.endswith(".")  # noqa: PT017  # both ways are right
    else:
        assert (request.prompt is None) != (request.messages is None)
