"""What is a JSON Schema, held against the meta-schema, and how often each part is looked at."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

from firerouter.contract import ExecutePrompt, parse
from firerouter.contract.schema_syntax import _FORMS, _HOLDERS, first_fault
from firerouter.errors import InvalidArgument

META = Draft202012Validator(Draft202012Validator.META_SCHEMA)
KEYWORDS = sorted({*_FORMS, *_HOLDERS, "const", "default", "unknown"} - {"$ref", "$dynamicRef"})
SAMPLES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, 1.5, -0.5, 1e300, "", "string", "object", "no type"),
    *("a", "a b", "1a", "#", "a#b", "a#", "https://example.com/a#", "_x-1.y"),
    *([], ["a"], ["a", "a"], ["string", "null"], ["string", "string"], ["string", "x"], [1]),
    *([{}], [True], [{"type": "x"}], [[]], {}, {"a": {}}, {"a": True}, {"a": 1}, {"a": "b"}),
    *({"a": []}, {"a": ["b"]}, {"a": ["b", "b"]}, {"a": [1]}, {"type": "string"}, {"type": "x"}),
)
VALUES = st.recursive(
    st.sampled_from(SAMPLES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_every_keyword_of_the_draft_is_known() -> None:
    resolver = REGISTRY.resolver(Draft202012Validator.META_SCHEMA["$id"])
    vocabularies = [
        resolver.lookup(part["$ref"]).contents["properties"]
        for part in Draft202012Validator.META_SCHEMA["allOf"]
    ]
    named = {*Draft202012Validator.META_SCHEMA["properties"], *(k for v in vocabularies for k in v)}
    assert named - {"const", "default"} == {*_FORMS, *_HOLDERS}


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_each_value_of_each_keyword_is_as_valid_as_the_meta_schema_says(keyword: str) -> None:
    for value in SAMPLES:
        schema = {keyword: value}
        assert (first_fault(schema) is None) == META.is_valid(schema), schema


@given(VALUES)
def test_whatever_it_holds_a_schema_is_as_valid_as_the_meta_schema_says(schema: Any) -> None:
    assert (first_fault(schema) is None) == META.is_valid(schema)


class Counted(dict[str, Any]):
    """A schema that counts how often somebody looks into it."""

    looks = 0

    def items(self) -> Any:
        Counted.looks += 1
        return super().items()


@pytest.mark.parametrize("keyword", ["allOf", "properties", "$defs", "items"])
def test_each_schema_is_looked_into_twice_however_many_there_are(keyword: str) -> None:
    count = 3_900
    parts = [Counted() for _ in range(count)]
    held: Any = parts if keyword == "allOf" else {f"a{n}": part for n, part in enumerate(parts)}
    schema = {keyword: held} if keyword != "items" else {"items": {"allOf": parts}}
    Counted.looks = 0
    assert first_fault(schema) is None
    assert Counted.looks == 2 * count  # for its keywords, and for references


def test_the_size_of_all_tools_is_checked_before_their_schemas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[object] = []
    monkeypatch.setattr("firerouter.contract.json_schema.first_fault", looked.append)
    large = {"type": "object", "allOf": [{}] * 3_900}
    text = '{"type": "object", "title": "%s"}' % ("x" * 30_000)
    for schema in (large, text):
        tools = [{"name": f"x{n}", "parameters": schema} for n in range(5)]
        with pytest.raises(InvalidArgument, match="at most 50,000 bytes of JSON together") as no:
            parse(ExecutePrompt, {"feature": "chat", "prompt": "Hi", "tools": tools})
        assert no.value.details["field"] == "tools"
    assert looked == []
    one = [{"name": "x", "parameters": large}]
    parse(ExecutePrompt, {"feature": "chat", "prompt": "Hi", "tools": one})
    assert len(looked) == 1
