"""The schema's types in TypeScript, for clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts.devtools.reference.schemas import REF, Schema

HEAD = """\
// Written by ./scripts/contract from functions/firerouter/contract. Do not edit.
// What every callable of Firerouter takes, returns and streams; see the pages beside this file.
"""


def render(schema: Schema) -> str:
    """Return a module of type declarations: every type, and `Callables`, the table of all calls."""
    parts = [HEAD, *(_declaration(name, one) for name, one in schema["$defs"].items())]
    return "\n".join([*parts, _callables(schema["properties"])])


def _declaration(name: str, schema: Schema) -> str:
    comment = _comment(schema.get("description", ""), "")
    if "properties" not in schema:
        return f"{comment}export type {name} = {_type(schema)};\n"
    fields = "\n".join(_fields(schema))
    return f"{comment}export interface {name} {{\n{fields}\n}}\n"


def _fields(schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        mark = "" if name in required else "?"
        yield f"{_comment(field.get('description', ''), '  ')}  {name}{mark}: {_type(field)};"
    if schema.get("additionalProperties") is True:
        yield "  [field: string]: unknown;"


def _callables(callables: Schema) -> str:
    rows = []
    for name, one in callables.items():
        parts = {"result": {}, **one["properties"]}
        frame = _type(parts["frame"]) if "frame" in parts else "never"
        row = (
            f"request: {_type(parts['request'])}; result: {_type(parts['result'])}; frame: {frame}"
        )
        rows.append(f"  {name}: {{ {row} }};")
    table = "\n".join(rows)
    return f"/** Every callable. */\nexport interface Callables {{\n{table}\n}}\n"


def _type(schema: Any) -> str:  # noqa: PLR0911  # a case for each kind
    match schema:
        case {"$ref": str(ref)}:
            return ref.removeprefix(REF)
        case {"const": value}:
            return json.dumps(value)
        case {"enum": list(values)}:
            return " | ".join(map(json.dumps, values))
        case {"anyOf": list(parts)}:
            return " | ".join(dict.fromkeys(map(_type, parts)))
        case {"allOf": list(parts)}:
            return " & ".join(map(_type, parts))
        case {"type": "array", "items": items}:
            inner = _type(items)
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        case {"type": "object"}:
            return f"Record<string, {_type(_values(schema))}>"
        case {"type": str(simple)}:
            return {"integer": "number"}.get(simple, simple)
        case _:
            return "unknown"


def _values(schema: Schema) -> Schema:
    """Return the schema of an object's values, whatever they are called."""
    patterns = list(schema.get("patternProperties", {}).values())
    values = patterns[0] if patterns else schema.get("additionalProperties")
    return values if isinstance(values, dict) else {}


def _comment(text: str, indent: str) -> str:
    lines = [line for line in text.split("\n") if line]
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return "".join(
        [f"{indent}/**\n", *(f"{indent} * {line}\n" for line in lines), f"{indent} */\n"]
    )
