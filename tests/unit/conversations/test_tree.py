"""A conversation's tree: positions in it, and messages as documents of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.conversations.conversation_export import (
    chosen_path,
    join_messages,
    to_markdown,
)
from firerouter.conversations.tree import (
    Question,
    Summary,
    Thread,
    ThreadPlace,
    TreePosition,
    answer_document,
    extras_of,
    parent_of,
    position_of,
    split_message,
    summary_of,
    title_of,
)
from firerouter.files.annotations import AnnotationPieces

PLACE = ThreadPlace("ann", "c1", "g1", "talk", TreePosition("a0", 2), page=3)
FILE: dict[str, object] = {"path": "p", "contentType": "image/png", "bytes": 1}


def test_a_client_finds_the_answer_unless_it_is_not_stored() -> None:
    assert PLACE.ids() == {"conversationId": "c1", "messageId": "ag1"}
    passing = ThreadPlace("ann", "c1", "g1", "talk", persisted=False)
    assert passing.ids() == {"conversationId": "c1"}


def test_an_answer_follows_its_question() -> None:
    asked = Thread(PLACE, Question("user", "x"))
    assert asked.answered == TreePosition("qg1", 3)
    assert Thread(PLACE).answered == TreePosition("a0", 2), "a regeneration's question exists"


def test_the_ledger_holds_what_is_needed_to_write_both() -> None:
    thread = Thread(PLACE, Question("user", "x", "About"))
    assert thread.entry_place() == {
        "conversationId": "c1",
        "messageId": "ag1",
        "parent": "qg1",
        "parentPage": 3,
        "regenerates": False,
    }
    question = thread.entry_question()
    assert question == {
        "role": "user",
        "text": "x",
        "context": "About",
        "parent": "a0",
        "parentPage": 2,
        "feature": "talk",
        "begins": False,
    }
    assert Question.from_document(question) == thread.question
    assert Thread(PLACE).entry_question() is None
    passing = ThreadPlace("ann", "c1", "g1", "talk", persisted=False)
    assert Thread(passing, Question("user", "x")).entry_question() is None


def test_files_go_with_a_question_and_with_nothing_else() -> None:
    thread = Thread(PLACE, Question("user", "x"))
    attached = thread.with_attachments([FILE])
    assert attached.question == Question("user", "x", attachments=(FILE,))
    assert thread.question == Question("user", "x")
    assert thread.with_attachments([]) is thread
    assert Thread(PLACE).with_attachments([FILE]) == Thread(PLACE)


@pytest.mark.parametrize(
    "question",
    [
        Question("user", "x"),
        Question("user", "x", "About", attachments=(FILE,)),
        Question("tool", tool_results=({"toolCallId": "c1", "content": "y"},)),
    ],
)
def test_a_question_comes_back_from_its_document(question: Question) -> None:
    document = json.loads(json.dumps(question.to_document()))
    assert Question.from_document(document) == question


@pytest.mark.parametrize(
    ("message", "page", "position"),
    [
        ("a1", 2, TreePosition("a1", 2)),
        ("a1", "2", TreePosition()),
        ("a1", True, TreePosition()),
        (None, 2, TreePosition()),
        (7, 2, TreePosition()),
    ],
)
def test_a_malformed_position_is_the_beginning(
    message: object, page: object, position: TreePosition
) -> None:
    assert position_of(message, page) == position
    assert parent_of({"parent": message, "parentPage": page}) == position


@pytest.mark.parametrize("summary", [None, "x", {}, {"text": ""}, {"text": "x"}, {"upTo": "a"}])
def test_a_malformed_summary_is_none(summary: object) -> None:
    assert summary_of({"summary": summary}, 10) is None


def test_a_summary_comes_back_from_its_document_and_is_bounded() -> None:
    document: dict[str, object] = {"summary": Summary("x" * 20, "a1").to_document()}
    assert summary_of(document, 100) == Summary("x" * 20, "a1")
    assert summary_of(document, 5) == Summary("xxxxx", "a1")


def test_an_answer_holds_what_clients_show_and_what_its_model_wants_back() -> None:
    result: dict[str, Any] = {
        "generationId": "g1",
        "text": "Yes",
        "reasoning": "Hm",
        "model": "a/b",
        "usage": {"cost": 0.1},
        "reasoningDetails": [{"type": "reasoning.text", "text": "Hm"}],
        "attempts": [{"model": "c/d", "reason": "upstream_busy"}, {"model": "a/b"}],
        "images": [{**FILE, "index": 0, "data": "AAAA"}, {"index": 1, "data": "AAAA"}],
        "notices": [],
        "cached": False,
    }
    pieces = AnnotationPieces({"ag1.0": "[{}]"})
    assert answer_document("talk", result, "failed", "upstream_busy", pieces) == {
        "role": "assistant",
        "text": "Yes",
        "reasoningDetails": '[{"type": "reasoning.text", "text": "Hm"}]',
        "askedModel": "a/b",
        "reading": {"documents": ["ag1.0"], "bytes": 4},
        "status": "failed",
        "feature": "talk",
        "model": "a/b",
        "reasoning": "Hm",
        "usage": {"cost": 0.1},
        "images": [FILE],
        "error": "upstream_busy",
    }
    assert answer_document("talk", {"text": ""}, "stopped", None, None) == {
        "role": "assistant",
        "text": "",
        "status": "stopped",
        "feature": "talk",
    }


def test_extras_are_what_a_model_gets_beside_text_and_files() -> None:
    message = {"text": "x", "toolCalls": [1], "toolResults": [], "reading": {"bytes": 1}}
    assert extras_of(message) == {"toolCalls": [1], "reading": {"bytes": 1}}


@given(st.text(max_size=40), st.text(max_size=40), st.integers(1, 7))
def test_a_long_message_is_joined_to_what_it_was(text: str, reasoning: str, most: int) -> None:
    message: dict[str, object] = {"role": "assistant", "text": text, "reasoning": reasoning}
    documents = dict(split_message("a1", message, most))
    for document in documents.values():
        assert all(len(str(document.get(name, ""))) <= most for name in ("text", "reasoning"))
    (whole,) = join_messages(documents).values()
    assert (whole["text"], whole["reasoning"]) == (text, reasoning)
    assert whole["parts"] == len(documents) - 1


def test_the_chosen_path_is_read_from_its_end() -> None:
    messages: dict[str, dict[str, object]] = {
        "q1": {"role": "user", "text": "One"},
        "a1": {"role": "assistant", "text": "Two", "parent": "q1", "images": [FILE]},
        "a2": {"role": "assistant", "text": "Other", "parent": "q1"},
        "q2": {"role": "user", "text": "", "parent": "a1", "attachments": [FILE, FILE]},
        "t1": {"role": "tool", "parent": "q2", "toolResults": [{"content": "Rain"}]},
    }
    head = {"leaf": "t1", "title": "Weather"}
    path = chosen_path(head, messages)
    assert path == ["q1", "a1", "q2", "t1"]
    assert to_markdown([messages[id_] for id_ in path], "Weather") == (
        "# Weather\n\n## You\n\nOne\n\n## Assistant\n\nTwo\n\nImages: 1\n\n"
        "## You\n\nAttached: a file, a file\n\n## Tool\n\nRain\n"
    )


def test_a_circle_in_a_tree_ends() -> None:
    messages: dict[str, dict[str, object]] = {"a": {"parent": "b"}, "b": {"parent": "a"}}
    assert len(chosen_path({"leaf": "a"}, messages)) == 3


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("One\n  two", "One two"),
        ("", ""),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 20, ("word " * 12)[:59].rstrip() + "…"),
    ],
)
def test_a_title_is_one_short_line(text: str, title: str) -> None:
    assert title_of(text) == title
