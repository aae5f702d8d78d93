"""The tolerant readers: whatever JSON holds, they return what was asked for, or None."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.openrouter import json_fields

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_reader_returns_its_type_or_nothing(value: object) -> None:
    assert isinstance(json_fields.as_object(value), dict)
    assert isinstance(json_fields.as_list(value), list)
    assert isinstance(json_fields.as_text(value), str | None)
    name = json_fields.as_name(value)
    assert name is None or len(name) <= json_fields.NAME_MAX_CHARS
    count = json_fields.as_count(value)
    assert count is None or (type(count) is int and 0 <= count <= json_fields.COUNT_MAX)
    amount = json_fields.as_amount(value)
    assert amount is None or math.isfinite(amount)


@pytest.mark.parametrize("odd", ["\ud800", "a\udfffb", "\udc00\ud800", "x" * 199 + "\ud83d"])
def test_a_name_can_be_stored(odd: str) -> None:
    """Firestore takes no half of a character: it would refuse what an answer has cost."""
    name = json_fields.as_name(odd)
    assert name is not None
    assert name.encode("utf-8").decode("utf-8") == name
    assert len(name) == len(odd)
    assert json_fields.as_name("\U0001f600 ok") == "\U0001f600 ok"


@pytest.mark.parametrize(
    ("value", "count"),
    [
        *((0, 0), (7, 7), (7.0, 7), (6.2, 7), (0.0, 0), (-1, None), (-0.5, None), (True, None)),
        *(("7", None), (2**53, None), (1e300, None), (math.nan, None), (math.inf, None)),
    ],
)
def test_a_count_is_a_whole_number_that_javascript_counts(value: object, count: int | None) -> None:
    assert json_fields.as_count(value) == count


@pytest.mark.parametrize(
    ("value", "amount"),
    [(0, 0), (-1.5, -1.5), (True, None), (math.nan, None), (math.inf, None), (10**400, None)],
)
def test_an_amount_is_a_number_that_firestore_stores(value: object, amount: float | None) -> None:
    assert json_fields.as_amount(value) == amount


@given(st.text(st.characters()))
def test_text_without_half_characters_can_be_stored(text: str) -> None:
    cleaned = json_fields.without_half_characters(text)
    cleaned.encode("utf-8")
    assert json.loads(json.dumps(cleaned)) == cleaned


def test_two_halves_that_meet_are_one_character() -> None:
    halves = "\ud83d" + "\ude42"
    assert json_fields.without_half_characters(halves) == "\N{SLIGHTLY SMILING FACE}"
