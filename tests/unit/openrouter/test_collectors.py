"""What an answer holds besides its text, collected from its chunks: calls, citations, reasoning."""

from typing import Any

import pytest

from firerouter.errors import AnswerTooLong, TooManyToolCalls, UpstreamMalformed
from firerouter.openrouter import OpenRouterLimits
from firerouter.openrouter.citations import CitationCollector
from firerouter.openrouter.file_annotations import FileAnnotations
from firerouter.openrouter.reasoning import ReasoningCollector
from firerouter.openrouter.tool_calls import ToolCallCollector

LIMITS = OpenRouterLimits()


def piece(index: Any = None, id_: Any = None, name: Any = None, arguments: Any = None) -> Any:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": id_, "type": "function", "function": function}


def finish(*chunks: list[Any]) -> list[tuple[str, str, str]]:
    calls = ToolCallCollector(LIMITS)
    for chunk in chunks:
        assert calls.add(chunk)
    return [(call["id"], call["name"], call["arguments"]) for call in calls.finish()]


def test_pieces_of_several_calls_may_come_in_turns() -> None:
    assert finish(
        [piece(0, "a", "f", "")],
        [piece(1, "b", "g", '{"y"')],
        [piece(0, None, None, '{"x":'), piece(1, None, None, ":2}")],
        [piece(0, None, None, "1}")],
    ) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_calls_without_an_index_begin_with_an_id() -> None:
    assert finish(
        [piece(None, "a", "f", "{")],
        [piece(None, None, None, "}")],
        [piece(None, "b", "g", "{}")],
    ) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_each_call_gets_an_id_of_its_own() -> None:
    ids = [id_ for id_, _, _ in finish([piece(0, "", "f", "{}"), piece(1, "", "g", "{}")])]
    assert len(set(ids)) == 2
    assert all(ids)


def test_a_split_character_is_joined_in_a_call() -> None:
    ((_, _, arguments),) = finish([piece(0, "a", "f", '"\ud83d'), piece(0, None, None, '\ude00"')])
    assert arguments == '"\U0001f600"'


@pytest.mark.parametrize("fragments", [[None], ["x"], [[]]])
def test_a_fragment_that_is_no_object_is_malformed(fragments: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        ToolCallCollector(LIMITS).add(fragments)


def test_a_call_without_a_name_is_malformed() -> None:
    with pytest.raises(UpstreamMalformed):
        finish([piece(0, "a", None, "{}")])


def test_a_field_without_calls_brings_none() -> None:
    odd: list[Any] = [None, [], "x", {}, 7]
    assert not any(ToolCallCollector(LIMITS).add(nothing) for nothing in odd)


def test_too_many_calls_and_too_long_arguments_end_the_answer() -> None:
    calls = ToolCallCollector(LIMITS)
    with pytest.raises(TooManyToolCalls):
        calls.add([piece(n, f"c{n}", "f", "") for n in range(LIMITS.tool_calls_max + 1)])
    calls = ToolCallCollector(LIMITS)
    long = piece(0, "a", "f", "x" * LIMITS.tool_arguments_max_chars)
    assert calls.add([long])
    with pytest.raises(AnswerTooLong):
        calls.add([long])


def test_citations_come_once_and_have_a_web_address() -> None:
    def cited(**told: Any) -> Any:
        return {"type": "url_citation", "url_citation": told}

    good = cited(url="https://a.test", title="A", start_index=0, end_index=0)
    odd = [
        cited(url="javascript:alert(1)"),
        cited(url=7),
        cited(url="https://a.test/" + "x" * LIMITS.url_max_chars),
        {"type": "file", "file": {}},
        None,
        "x",
    ]
    citations = CitationCollector(LIMITS)
    assert citations.add([good, good, *odd]) == [{"url": "https://a.test", "title": "A"}]
    assert citations.add([good]) == []
    assert citations.add(None) == citations.add("x") == []
    many = [cited(url=f"https://a.test/{n}") for n in range(2 * LIMITS.citations_max)]
    citations.add(many)
    assert len(citations.all) == LIMITS.citations_max


def collect(*chunks: Any, whole: bool = False) -> list[dict[str, Any]]:
    collector = ReasoningCollector(LIMITS.reasoning_details_max_bytes)
    for chunk in chunks:
        collector.add(chunk, whole=whole)
    return collector.all


SAID = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}


def test_pieces_of_one_reasoning_are_joined_with_its_signature() -> None:
    assert collect(
        [],
        [{**SAID, "text": "", "signature": ""}],
        [{**SAID, "text": "One "}],
        [{**SAID, "text": "two"}],
        [{**SAID, "signature": "c2ln"}],
    ) == [{**SAID, "text": "One two", "signature": "c2ln"}]


def test_long_reasoning_is_measured_by_what_it_adds_up_to() -> None:
    most = LIMITS.reasoning_details_max_bytes
    pieces = [[{**SAID, "text": "reason "}]] * 5_000
    assert sum(len(str(piece)) for piece in pieces) > 2 * most
    assert collect(*pieces) == [{**SAID, "text": "reason " * 5_000}]
    assert collect([{**SAID, "text": "x" * most}]) == []
    assert collect(*[[{**SAID, "text": "x" * 1_000}]] * 101) == []


def test_reasoning_details_stay_apart_and_in_order() -> None:
    secret = {"type": "reasoning.encrypted", "data": "eA==", "id": "r1", "index": 0}
    summary = {"type": "reasoning.summary", "summary": "S", "index": 1}
    other = {**SAID, "text": "x", "index": 2}
    assert collect([secret, secret], [summary], [other]) == [secret, secret, summary, other]
    assert collect([other, other], whole=True) == [other, other]
    assert collect([{**SAID, "id": "a"}], [{**SAID, "id": "b"}]) == [
        {**SAID, "id": "a"},
        {**SAID, "id": "b"},
    ]
    assert collect(None, "x", [None, 7]) == []


def test_reasoning_that_is_too_long_is_left_out_altogether() -> None:
    long = {**SAID, "text": "x" * LIMITS.reasoning_details_max_bytes}
    assert collect([{**SAID, "text": "a"}], [long], [{**SAID, "signature": "c"}]) == []


def test_an_annotation_of_a_file_is_kept_once_as_it_came() -> None:
    annotation = {"type": "file", "file": {"hash": "h", "content": []}}
    collector = FileAnnotations(max_bytes=1_000)
    for annotations in (None, "x", [None, {"type": "file"}], [annotation, annotation]):
        collector.add(annotations)
    assert dict(collector.all) == {"h": '{"type": "file", "file": {"hash": "h", "content": []}}'}


def test_annotations_that_are_too_long_are_left_out_altogether() -> None:
    collector = FileAnnotations(max_bytes=60)
    for name in ("a", "b", "c"):
        collector.add([{"type": "file", "file": {"hash": name, "content": []}}])
    assert collector.all == {}
