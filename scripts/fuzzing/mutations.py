"""Well-formed examples, changed in a few places: most of an input still makes sense."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from hypothesis import strategies as st

CHANGES_MAX: Final = 4
LONG: Final = 2_000  # characters, or items
DEEP: Final = 150  # levels


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


ODD_TEXTS: Final = (
    *("", " ", "\n", "\x00", "\x7f", "null", "NaN", "1e999", "-0", "true", "[DONE]", "data: x"),
    *("\ud800", "\udfff", "\u2028", "\u202e", "\ufeff", "e\u0301", "\U0001f600", "👩‍👩‍👧", "𝔘"),
    *("__proto__", "__x__", ".", "..", "a.b", "a/b", "`a`", "$ref", "#/", "{{name}}", "x" * LONG),
    *("data:image/png;base64,", "data:,", "javascript:alert(1)", "https://[", "file:///etc/passwd"),
)
ODD_NUMBERS: Final = (
    *(0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**400),
    *(0.0, -0.0, 0.1, 1e-300, 1e300, -1e300, float("inf"), float("-inf"), float("nan")),
)
ODD_JSON: Final[tuple[object, ...]] = (
    *(None, True, False, [], {}, [None], [[]], [{}], {"": None}, {"a": {"b": []}}),
    *ODD_TEXTS,
    *ODD_NUMBERS,
    [0] * LONG,
    _nested(DEEP),
)
ODD_STORED: Final = (  # other values that Firestore can hold
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)),
    *(datetime(2026, 11, 28, tzinfo=UTC), b"", b"\xff\xfe"),
)


@st.composite
def mutated(draw: st.DrawFn, examples: Sequence[Any], odd: Sequence[object] = ODD_JSON) -> Any:
    """Draw one of the examples, with up to four changes."""
    holder = [copy.deepcopy(draw(st.sampled_from(examples)))]
    for _ in range(draw(st.integers(0, CHANGES_MAX))):
        _change(draw, holder, odd)
    return holder[0]


def _change(draw: st.DrawFn, holder: list[Any], odd: Sequence[object]) -> None:
    """Change one place, at a random depth."""
    container: Any = holder
    key: Any = 0
    for _ in range(draw(st.integers(0, 5))):
        inner = container[key]
        if not isinstance(inner, (dict, list)) or not inner:
            break
        container = inner
        names = sorted(inner, key=repr) if isinstance(inner, dict) else range(min(len(inner), 8))
        key = draw(st.sampled_from(list(names)))
    how = draw(st.sampled_from(("replace", "remove", "wrap", "repeat", "add", "spoil")))
    value = container[key]
    if how == "remove" and container is not holder:
        del container[key]
    elif how == "wrap":
        container[key] = draw(st.sampled_from(([value], {"value": value}, [value, value])))
    elif how == "repeat" and isinstance(value, list):
        container[key] = value * draw(st.sampled_from((2, 40)))
    elif how == "add" and isinstance(value, dict):
        name = draw(st.sampled_from((*ODD_TEXTS, "extra", "type", "id")))
        value[name] = copy.deepcopy(draw(st.sampled_from(odd)))
    elif how == "spoil" and isinstance(value, str):
        at = draw(st.integers(0, len(value)))
        container[key] = value[:at] + draw(st.sampled_from(ODD_TEXTS)) + value[at:]
    else:
        container[key] = copy.deepcopy(draw(st.sampled_from(odd)))


@st.composite
def cut(draw: st.DrawFn, content: bytes) -> list[bytes]:
    """Draw the bytes in pieces, cut in up to four places."""
    places = sorted(draw(st.lists(st.integers(0, len(content)), max_size=4)))
    edges = [0, *places, len(content)]
    return [content[begin:end] for begin, end in pairwise(edges)]


@st.composite
def spoiled(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw the bytes; one time in four, with a few of them changed."""
    if draw(st.integers(0, 3)):
        return content
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(changed)))
        changed[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(changed)
