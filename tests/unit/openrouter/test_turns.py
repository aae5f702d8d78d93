"""Histories, and what is sent of them: a form that every provider accepts."""

from itertools import pairwise
from typing import Any

import pytest

from firerouter.contract.messages import (
    DocumentPart,
    ImagePart,
    Message,
    TextPart,
    ToolReply,
    ToolRequest,
)
from firerouter.openrouter.requests import upstream_messages
from firerouter.openrouter.turns import BEGINNING, HAS_RESULTS, NO_RESULT, in_turns

SYSTEM = Message("system", "Be kind.")
CALL = ToolRequest("c1", "f", "{}")
IMAGE = ImagePart("data:image/png;base64,AA==")
PDF = DocumentPart("a.pdf", "data:application/pdf;base64,AA==")


def user(text: str, *parts: Any) -> Message:
    return Message("user", text, parts)


def answer(text: str = "", **fields: Any) -> Message:
    return Message("assistant", text, **fields)


def result(content: str) -> Message:
    return Message("tool", tool_replies=(ToolReply("c1", content),))


CALLS = answer(tool_requests=(CALL,))
HISTORIES: dict[str, tuple[list[Message], list[Message]]] = {
    "questions and answers": (
        [SYSTEM, user("a"), answer("b"), user("c")],
        [SYSTEM, user("a"), answer("b"), user("c")],
    ),
    "a question that got no answer": ([user("a"), user("b")], [user("a\n\nb")]),
    "two of them": ([SYSTEM, user("a"), user("b"), user("c")], [SYSTEM, user("a\n\nb\n\nc")]),
    "an answer that is empty": ([user("a"), answer(""), user("b")], [user("a\n\nb")]),
    "an answer that is blank": ([user("a"), answer(" \n "), user("b")], [user("a\n\nb")]),
    "an answer that is reasoning alone": (
        [user("a"), answer(reasoning_details=({"type": "x"},)), user("b")],
        [user("a\n\nb")],
    ),
    "a question that is blank": (
        [user("a"), answer("b"), user(" "), answer("c"), user("d")],
        [user("a"), answer("b\n\nc"), user("d")],
    ),
    "two answers": (
        [user("a"), answer("b"), answer("c"), user("d")],
        [user("a"), answer("b\n\nc"), user("d")],
    ),
    "an answer first": (
        [SYSTEM, answer("Hi, I am Bob."), user("a")],
        [SYSTEM, user(BEGINNING), answer("Hi, I am Bob."), user("a")],
    ),
    "a call and its result": (
        [user("a"), CALLS, result("r")],
        [user("a"), CALLS, result("r")],
    ),
    "a result that got no answer": (
        [user("a"), CALLS, result("r"), user("b")],
        [user("a"), CALLS, result("r"), answer(HAS_RESULTS), user("b")],
    ),
    "a result whose answer is blank": (
        [user("a"), CALLS, result("r"), answer("\n"), user("b")],
        [user("a"), CALLS, result("r"), answer(HAS_RESULTS), user("b")],
    ),
    "results that are empty": (
        [user("a"), CALLS, result(""), answer("b"), user("c"), CALLS, result(" \n")],
        [user("a"), CALLS, result(NO_RESULT), answer("b"), user("c"), CALLS, result(NO_RESULT)],
    ),
    "calls beside blank text": (
        [user("a"), answer("\n", tool_requests=(CALL,)), result("r")],
        [user("a"), CALLS, result("r")],
    ),
    "calls after an answer": (
        [user("a"), answer("b"), CALLS, result("r")],
        [user("a"), answer("b", tool_requests=(CALL,)), result("r")],
    ),
    "a system prompt that is blank": ([Message("system", " \n"), user("a")], [user("a")]),
    "a file without words": ([user(" ", IMAGE)], [user("", IMAGE)]),
    "a file that is blank": ([user("a", TextPart("\n"), IMAGE)], [user("a", IMAGE)]),
    "questions with files": (
        [user("a", IMAGE), user("b", PDF)],
        [user("a", IMAGE, TextPart("b"), PDF)],
    ),
    "a file, then a question": ([user("", IMAGE), user("b")], [user("", IMAGE, TextPart("b"))]),
    "a question, then a file": ([user("a"), user("", IMAGE)], [user("a", IMAGE)]),
    "a blank answer that a file was read for": (
        [user("", PDF), answer("", annotations=({"type": "file"},)), user("b")],
        [user("", PDF), answer("I have read it.", annotations=({"type": "file"},)), user("b")],
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_what_is_sent_of_a_history(history: str) -> None:
    messages, sent = HISTORIES[history]
    assert in_turns(messages) == sent
    assert in_turns(sent) == sent
    assert upstream_messages(messages) == upstream_messages(sent)


@pytest.mark.parametrize("history", HISTORIES)
def test_roles_alternate_and_nothing_is_blank(history: str) -> None:
    sent = upstream_messages(HISTORIES[history][0])
    said = [message for message in sent if message["role"] != "system"]
    assert said[0]["role"] == "user"
    for one, next_ in pairwise(said):
        follows = {"user": {"assistant"}, "assistant": {"user", "tool"}, "tool": {"assistant"}}
        assert next_["role"] in follows[str(one["role"])]
    for message in sent:
        content = message["content"]
        parts: Any = content if isinstance(content, list) else [{"text": content}]
        for part in parts:
            assert part.get("text", "said") is None or part.get("text", "said").strip()
        assert content is not None or message["tool_calls"]
