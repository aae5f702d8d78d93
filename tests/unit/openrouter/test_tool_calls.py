"""Tool calls in every form in which providers send them."""

from typing import Any

import pytest

from firerouter.errors import UpstreamMalformed
from firerouter.openrouter import OpenRouterLimits
from firerouter.openrouter.tool_calls import ToolCallCollector

Calls = list[tuple[str, str, str]]
A, B = '{"x": 1}', '{"y": 2}'


def piece(
    arguments: Any = None, *, name: Any = None, index: Any = None, **others: Any
) -> dict[str, Any]:
    return {
        "index": index,
        "id": None,
        **others,
        "function": {"name": name, "arguments": arguments},
    }


def collected(chunks: list[Any]) -> Calls:
    calls = ToolCallCollector(OpenRouterLimits())
    for chunk in chunks:
        calls.add(chunk)
    return [(call["id"], call["name"], call["arguments"]) for call in calls.finish()]


SHAPES: dict[str, tuple[list[Any], Calls]] = {
    "as documented": (
        [
            [piece("", name="f", id="a", index=0)],
            [piece('{"x"', index=0)],
            [piece("", name="g", id="b", index=1)],
            [piece(": 1}", index=0), piece(B, index=1)],
        ],
        [("a", "f", A), ("b", "g", B)],
    ),
    "whole calls that share an index": (
        [[piece(A, name="f", id="a", index=0), piece(B, name="f", id="b", index=0)]],
        [("a", "f", A), ("b", "f", B)],
    ),
    "pieces of calls that share an index": (
        [
            [piece("", name="f", id="a", index=0)],
            [piece('{"x"', index=0)],
            [piece("", name="f", id="b", index=0)],
            [piece('{"y"', index=0)],
            [piece(": 1}", id="a", index=0), piece(": 2}", id="b", index=0)],
        ],
        [("a", "f", A), ("b", "f", B)],
    ),
    "an id and a name in each piece": (
        [[piece(part, name="f", id="a", index=0)] for part in ('{"x"', ": ", "1}")],
        [("a", "f", A)],
    ),
    "another id in each piece": (
        [[piece('{"x"', name="f", id="a", index=0)], [piece(": 1}", id="a2", index=0)]],
        [("a", "f", A)],
    ),
    "a name in each piece and no id": (
        [[piece(part, name="f", index=0)] for part in ('{"x"', ": ", "1}")],
        [("call_0", "f", A)],
    ),
    "whole calls without index and id": (
        [[piece(A, name="f")], [piece(B, name="f"), piece(A, name="g")]],
        [("call_0", "f", A), ("call_1", "f", B), ("call_2", "g", A)],
    ),
    "pieces without index and id": (
        [[piece("", name="f")], [piece('{"x"')], [piece(": 1}")], [piece(B, name="g")]],
        [("call_0", "f", A), ("call_1", "g", B)],
    ),
    "an id that comes late": (
        [[piece('{"x"', name="f", index=0)], [piece(": 1}", id="a", index=0)]],
        [("a", "f", A)],
    ),
    "a name that comes late": (
        [[piece("", id="a", index=0)], [piece(A, name="f", index=0)]],
        [("a", "f", A)],
    ),
    "an index in the first piece alone": (
        [[piece('{"x"', name="f", id="a", index=0)], [piece(": 1}")]],
        [("a", "f", A)],
    ),
    "an index that is text": (
        [
            [piece("", name="f", id="a", index="0"), piece("", name="g", id="b", index="1")],
            [piece(A, index="0"), piece(B, index="1")],
        ],
        [("a", "f", A), ("b", "g", B)],
    ),
    "an id that is a number": ([[piece(A, name="f", id=7, index=0)]], [("7", "f", A)]),
    "one id for two calls": (
        [[piece(A, name="f", id="a", index=0), piece(B, name="g", id="a", index=1)]],
        [("a", "f", A), ("call_1", "g", B)],
    ),
    "an id that looks like ours": (
        [[piece(A, name="f", id="call_1", index=0), piece(B, name="g", index=1)]],
        [("call_1", "f", A), ("call_2", "g", B)],
    ),
    "a call that comes once more when it is whole": (
        [
            [piece('{"x"', name="f", id="a", index=0)],
            [piece(": 1}", index=0)],
            [piece(A, name="f", id="a", index=0)],
        ],
        [("a", "f", A)],
    ),
    "arguments that are an object": ([[piece({"x": 1}, name="f", id="a")]], [("a", "f", A)]),
    "arguments that are something else": (
        [[piece([1], name="f", id="a"), piece(7, name="g", id="b")]],
        [("a", "f", "[1]"), ("b", "g", "7")],  # `invalid_arguments` to the caller
    ),
    "no arguments": (
        [[piece(None, name="f", id="a", index=0), piece("", name="g", id="b", index=1)]],
        [("a", "f", ""), ("b", "g", "")],
    ),
    "without `function`": (
        [[{"index": 0, "id": "a", "name": "f", "arguments": A}]],
        [("a", "f", A)],
    ),
    "one call instead of a list": ([piece(A, name="f", id="a")], [("a", "f", A)]),
    "a function_call of old": ([{"name": "f", "arguments": A}], [("call_0", "f", A)]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_calls_of_every_shape_are_told_apart(shape: str) -> None:
    chunks, calls = SHAPES[shape]
    assert collected(chunks) == calls


@pytest.mark.parametrize("name", [None, "", 7, ["f"]])
def test_a_call_that_never_gets_a_name_is_an_error(name: Any) -> None:
    with pytest.raises(UpstreamMalformed):
        collected([[piece("{", name=name, id="a", index=0)], [piece("}", index=0)]])
