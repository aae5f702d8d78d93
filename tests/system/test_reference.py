"""The reference's examples: each is run, and what comes has the shape that the pages print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from firerouter.callable import encode
from scripts.devtools.reference import schemas
from scripts.devtools.reference.callable_table import CALLABLES
from scripts.devtools.reference.pages import Example, examples
from tests.support.in_process import World

EXAMPLES: Final = examples()
USER: Final = "user"
USERS: Final = {one.name for one in CALLABLES if one.audience == "user"}


def closed(schema: Any) -> Any:
    """Return the schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if "properties" in inner and "required" in inner:
        inner.setdefault("additionalProperties", False)
    return inner


SCHEMA: Final = schemas.build()
CLOSED: Final = {
    **SCHEMA,
    "$defs": {
        # a frame of a comparison has the fields of two types
        name: schema if "Frame" in name or name == "ModelTag" else closed(schema)
        for name, schema in SCHEMA["$defs"].items()
    },
}


def faults(value: object, callable_: str, part: str) -> list[str]:
    """Return where a request, a result or a frame differs from its schema."""
    of_callable = CLOSED["properties"][callable_]["properties"].get(part, {})
    validator = Draft202012Validator({"$defs": CLOSED["$defs"], **of_callable})
    return [f"{list(error.path)}: {error.message[:300]}" for error in validator.iter_errors(value)]


def keys(value: object) -> object:
    """Return the names in a JSON value; lists by what their first entry has."""
    if isinstance(value, dict):
        return {name: keys(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [keys(value[0])]
    return None


def request_of(example: Example, before: Mapping[str, Any]) -> dict[str, Any]:
    taken = {field: before[name] for field, name in (example.take or {}).items()}
    return {**example.request, **taken}


def caller(name: str) -> dict[str, str]:
    return {"uid": USER} if name in USERS else {}


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: f"{example.callable}: {example.title}"
)
async def test_an_example_gives_what_the_page_prints(world: World, example: Example) -> None:
    instance, before = world.instance(), {}
    for name, data in example.before:
        before = await instance.call(name, data, **caller(name))
    await instance.app.reports.rollup.run()  # what happens meanwhile
    request = request_of(example, before)
    name = example.callable
    frames, result = await instance.frames(name, request, **caller(name))
    result = json.loads(encode(result))

    assert not faults(request, name, "request")
    assert not faults(result, name, "result")
    assert not [fault for frame in frames for fault in faults(frame, name, "frame")]
    assert not faults(example.answer, name, "result")
    assert keys(example.answer) == keys(result)
    if example.stream:
        assert not [fault for frame in example.stream for fault in faults(frame, name, "frame")]
        shapes = [keys(frame) for frame in frames]
        assert all(keys(frame) in shapes for frame in example.stream)
        assert {frame["type"] for frame in example.stream} == {frame["type"] for frame in frames}


def test_every_callable_has_an_example() -> None:
    assert {example.callable for example in EXAMPLES} == {one.name for one in CALLABLES}


def test_a_result_with_a_field_that_the_reference_does_not_name_is_found() -> None:
    """What the other test would miss if its schemas were open."""
    assert faults(
        {"conversationId": "c", "deleted": True, "more": 1}, "delete_conversation", "result"
    )
    assert not faults({"conversationId": "c", "deleted": True}, "delete_conversation", "result")
