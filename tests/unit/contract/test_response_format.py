"""JSON in an answer: what is around it, and what there is of it while it is not whole yet."""

from typing import Any

import pytest

from firerouter.contract.response_format import (
    ParsedAnswer,
    from_stored,
    parse_answer,
    parse_partial,
    result_fields,
    to_stored,
)

OBJECT = {"type": "json_object"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("   ", None),
        ("Sure, here", None),
        ("{", {}),
        ('{"a', {}),
        ('{"a": [1, {"b": "hal', {"a": [1, {"b": "hal"}]}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1} and more', {"a": 1}),
        ('{"a": NaN, "b', None),
        ('{"a": -1e999, "b', None),
        ('```json\n{"a": tr', {}),
        ("```\n[1, 2", [1, 2]),
        ('Sure!\r\n\r\n```JSON\r\n{"a": tr', {}),
        ('Sure! Here it is: {"a": 1, "b', {"a": 1}),
        ("{" * 100_000, None),
    ],
)
def test_what_there_is_of_it(text: str, value: Any) -> None:
    assert parse_partial(text) == value


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"items": {"minimum": 1}}},
    "required": ["city"],
}


@pytest.mark.parametrize(
    ("text", "at", "end"),
    [
        ("Sure!", "$ (json)", ": it is not JSON"),
        ("[1]", "$ (type)", ": it is not the kind of JSON that was asked for"),
        ("{}", "$ (required)", ": the whole of it breaks the rule required of the schema"),
        ('{"city": 7}', "$.city (type)", ": city breaks the rule type of the schema"),
        (
            '{"city": "x", "days": [2, 0]}',
            "$.days[1] (minimum)",
            ": days[1] breaks the rule minimum of the schema",
        ),
    ],
)
def test_an_answer_in_another_form_is_told_in_words(text: str, at: str, end: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    message = f"The answer does not have the requested format{end}."
    notice = {"reason": "format_not_kept", "at": at, "message": message}
    assert result_fields(parse_answer(text, wanted)) == {"notice": notice}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1]}',
        '\ufeff {"a": [1]}\n',
        '```json\n{"a": [1]}\n```',
        '```JSON\r\n{"a": [1]}\r\n```\r\n',
        '```\n{"a": [1]}',
        'Sure!\n```json5\n{"a": [1]}\n```\nI hope that helps.',
        'Sure! Here it is: {"a": [1]}. I hope that helps.',
        'Here:\r\n{"a":\r\n [1]}\r\n',
        '<answer>{"a": [1]}</answer>',
    ],
)
def test_what_is_around_json_does_not_matter(text: str) -> None:
    assert parse_answer(text, OBJECT) == ParsedAnswer({"a": [1]})
    stored = to_stored({"text": text, "json": {"a": [1]}})
    assert from_stored(stored) == {"text": text, "json": {"a": [1]}}


@pytest.mark.parametrize(
    "text",
    [
        *("", "Sure! Here it is: {", "none", '{"a": [1], "b": {"c": 1}', 'Here: {"a": [1, 2], "b'),
        *("{a: 1}", '{"a": 1} or {"a": 2}', "```json\n```", "}{", "{" * 100_000),
    ],
)
def test_a_part_of_json_is_none(text: str) -> None:
    assert parse_answer(text, OBJECT) == ParsedAnswer(fault="$ (json)")
