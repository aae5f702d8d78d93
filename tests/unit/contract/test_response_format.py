"""JSON that is not whole yet, and what is said of JSON that is not what was asked for."""

from typing import Any

import pytest

from firerouter.contract.response_format import parse_answer, parse_partial, result_fields


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
