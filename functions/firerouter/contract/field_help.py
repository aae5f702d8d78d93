"""The help and the bounds of a model's fields, read from the model itself, for settings dialogs.

A field's bounds come from its annotation, and its help is the string below it in the source, so
that a new field appears by itself. Reading source takes milliseconds and blocks: callers use a
thread.
"""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel

Schema = Mapping[str, Any]

# the words of JSON Schema for a field's bounds, each with its name on the wire
_BOUNDS: Final[Mapping[str, str]] = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "minLength": "minLength",
    "maxLength": "maxLength",
    "minItems": "minItems",
    "maxItems": "maxItems",
    "enum": "choices",
    "pattern": "pattern",
    "$comment": "form",
}
_REF: Final = "#/$defs/"


@cache
def fields_of(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return every field of a model in the order of its source, those of models within as paths.

    Each is `{field, type, optional, default?, help, ...}` with its bounds, as
    `admin_result.SettingInfo` describes it.
    """
    schema = model.model_json_schema(by_alias=True)
    return list(_fields(model, schema, schema.get("$defs", {}), ""))


def _fields(
    model: type[BaseModel], schema: Schema, defs: Mapping[str, Schema], within: str
) -> Iterator[dict[str, Any]]:
    strings = field_strings(model)
    for name, known in model.model_fields.items():
        wire_name = known.alias or name
        property_ = schema["properties"][wire_name]
        inner, optional = _resolved(property_, defs)
        part = _model_within(known.annotation)
        if part is not None and inner.get("type") == "object" and "properties" in inner:
            yield from _fields(part, inner, defs, f"{within}{wire_name}.")
            continue
        field = {
            "field": f"{within}{wire_name}",
            **_bounds(inner, defs),
            "optional": optional,
            "help": strings.get(name, ""),
        }
        if property_.get("default") is not None:
            field["default"] = property_["default"]
        yield field


def _bounds(schema: Schema, defs: Mapping[str, Schema]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": schema.get("type", "string" if "enum" in schema else "object")}
    found |= {ours: schema[name] for name, ours in _BOUNDS.items() if name in schema}
    if "const" in schema:
        found["choices"] = [schema["const"]]
    if "items" in schema:
        item, _ = _resolved(schema["items"], defs)
        found["items"] = _bounds(item, defs)
    return found


def _resolved(schema: Schema, defs: Mapping[str, Schema]) -> tuple[Schema, bool]:
    """Return what a schema says of a value, and whether the value may be left unset (null)."""
    optional = False
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one.get("type") != "null"]
        optional = len(others) < len(schema["anyOf"])
        schema = others[0]
    if "$ref" in schema:
        schema = defs[schema["$ref"].removeprefix(_REF)]
    return schema, optional


def _model_within(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field holds one of; None for lists, maps and plain values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (list, dict):
        return None
    inner = (_model_within(argument) for argument in typing.get_args(annotation))
    return next((model for model in inner if model is not None), None)


# -- the strings below fields, which Python itself forgets -----------------------------------------


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


def field_strings(kind: type) -> dict[str, str]:
    """Return what the source says below each field of a class, those of its bases included."""
    if not kind.__module__.startswith("firerouter."):
        return {}
    strings: dict[str, str] = {}
    for node in _tree(kind.__module__).body:
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            for base in node.bases:  # by their names: a TypedDict forgets what it was made of
                found = getattr(sys.modules[kind.__module__], ast.unparse(base), None)
                strings |= field_strings(found) if isinstance(found, type) else {}
            strings |= _strings(node.body)
    return strings


def alias_string(module: str, name: str) -> str:
    """Return what the source says below a name of a module."""
    return _strings(_tree(module).body)[name]


def _strings(body: list[ast.stmt]) -> dict[str, str]:
    strings = {}
    for node, after in pairwise(body):
        target: ast.expr | None = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0]  # an alias of ours is one name
        match after:
            case ast.Expr(ast.Constant(str(text))) if isinstance(target, ast.Name):
                strings[target.id] = prose(text)
    return strings


def prose(text: str | None) -> str:
    """Return a docstring with its paragraphs on a line each."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
