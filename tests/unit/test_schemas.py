"""What is said of a schema, and of a value held against it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract import json_schema


@pytest.mark.parametrize(
    ("value", "schema", "fault"),
    [
        ({"a": 1}, {"type": "object", "required": ["a"]}, None),
        ({}, {"type": "object", "required": ["a"]}, "$ (required)"),
        ({"a": [1, "x"]}, {"properties": {"a": {"items": {"type": "integer"}}}}, "$.a[1] (type)"),
        ({"b": 1}, {"additionalProperties": False}, "$ (additionalProperties)"),
        ({"b": 1}, {"additionalProperties": False, "patternProperties": {"b": {}}}, None),
        ("a" * 40 + "!", {"pattern": "^(a+)+$"}, None),
        (7, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "$ (type)"),
        (7, {"$ref": "https://example.com/schema.json"}, "$ ($ref)"),
        ([1, 1], {"uniqueItems": True}, "$ (uniqueItems)"),
        (7, {"uniqueItems": True}, None),
        (7, True, None),
        (7, False, "$ (None)"),
        ({"a": 1}, {"properties": {"a": {"const": {"$ref": "#/no"}}}}, "$.a (const)"),
        (
            {"a" * 40 + "!": 1},
            {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
            None,
        ),
    ],
)
def test_whether_a_value_fits(value: Any, schema: Any, fault: str | None) -> None:
    assert json_schema.fault_of_schema(schema) is None
    assert json_schema.fault_of(value, schema) == fault


def test_what_takes_too_long_is_given_up() -> None:
    doubling = {
        "$ref": "#/$defs/a0",
        "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
        | {"a40": True},
    }
    for value, schema in (
        (1, doubling),
        (1, {"$ref": "#"}),
        ([{"n": n} for n in range(5_000)], {"uniqueItems": True}),
        (list(range(100_000)), {"items": {"type": "integer"}}),
        ([1] * 200, {"items": {"enum": [0] * 9_900 + [1]}}),
        ([[0] * 5_000] * 200, {"items": {"const": [0] * 5_000}}),
    ):
        with pytest.raises(json_schema.TooMuch):
            json_schema.fault_of(value, schema)


def test_a_schema_is_checked_without_a_regular_expression_of_its_own() -> None:
    assert json_schema.fault_of_schema({"type": 7}) == "$.type (anyOf)"
    assert json_schema.fault_of_schema(json.loads('{"properties": {"a": {"type": "no"}}}'))


WORDS = st.sampled_from(["$ref", "#/a", "#", "a", "type", "items", "enum", "properties", "$defs"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
)


@pytest.mark.parametrize(
    "pointer", ["#/title", "#/required/0", "#/nowhere", "#/required/x", "#odd"]
)
@pytest.mark.parametrize("word", ["$ref", "$dynamicRef"])
def test_a_reference_to_what_is_no_schema_is_found(word: str, pointer: str) -> None:
    schema = {"title": "x", "required": ["a"], "properties": {"a": {"items": {word: pointer}}}}
    assert json_schema.fault_of_schema(schema) == f"$.properties.a.items ({word})"


@pytest.mark.parametrize("pointer", ["#", "#/$defs/a", "#/$defs/b", "#named"])
def test_a_reference_to_a_schema_is_none_of_these(pointer: str) -> None:
    known = {"a": True, "b": {"$anchor": "named", "type": "string"}}
    assert (
        json_schema.fault_of_schema({"properties": {"a": {"$ref": pointer}}, "$defs": known})
        is None
    )


@given(value=VALUES, schema=VALUES)
def test_whatever_they_hold_there_is_a_word_about_it(value: Any, schema: Any) -> None:
    with suppress(json_schema.TooMuch):
        assert json_schema.fault_of(value, schema) is None or json_schema.fault_of(value, schema)
