"""Whether a value is a JSON Schema (draft 2020-12): each keyword, and the form of its value. Pure.

A schema that is validated against the meta-schema of the draft passes through all of its
vocabularies at each step, which takes seconds for a large one. Here each of its values is looked at
once. tests/unit/contract/test_schema_syntax.py holds this against the meta-schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote

Path: TypeAlias = tuple[object, ...]
Fault: TypeAlias = tuple[Path, str]  # where, and the keyword of the meta-schema that it breaks
Parts: TypeAlias = list[tuple[Path, object]]  # schemas within a schema, with their places
Form: TypeAlias = Callable[[object], str | None]  # returns what a keyword's value breaks

TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
# they contain values, not schemas
DATA: Final = frozenset({"const", "default", "enum", "examples"})
REFERENCES: Final = ("$ref", "$dynamicRef")
_ANCHOR: Final = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*\Z")


def first_fault(schema: object) -> Fault | None:
    """Return where a value is no valid schema, or refers to none within it; None if it is one."""
    return next(_faults(schema), None) or next(_broken_references(schema), None)


def _faults(schema: object) -> Iterator[Fault]:
    ahead: Parts = [((), schema)]
    while ahead:
        path, part = ahead.pop()
        if isinstance(part, bool):
            continue
        if not isinstance(part, dict):
            yield path, "type"
            continue
        for keyword, value in part.items():
            if (form := _FORMS.get(keyword)) is not None:
                if (broken := form(value)) is not None:
                    yield (*path, keyword), broken
            elif (find := _HOLDERS.get(keyword)) is not None:
                found = find(value)
                if isinstance(found, str):
                    yield (*path, keyword), found
                else:
                    ahead += [((*path, keyword, *place), inner) for place, inner in found]


# -- the forms of keywords that hold no schemas ----------------------------------------------------


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "type"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "type"


def _list(value: object) -> str | None:
    return None if isinstance(value, list) else "type"


def _number(value: object) -> str | None:
    return None if type(value) in {int, float} else "type"  # a bool is no number


def _positive(value: object) -> str | None:
    if type(value) not in {int, float}:
        return "type"
    return None if value > 0 else "exclusiveMinimum"  # type: ignore[operator]  # a number


def _count(value: object) -> str | None:
    whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    if not whole:
        return "type"
    return None if value >= 0 else "minimum"  # type: ignore[operator]  # a number


def _anchor(value: object) -> str | None:
    if not isinstance(value, str):
        return "type"
    return None if _ANCHOR.match(value) else "pattern"


def _id(value: object) -> str | None:
    if not isinstance(value, str):
        return "type"
    return "pattern" if "#" in value.removesuffix("#") else None


def _type(value: object) -> str | None:
    if isinstance(value, str):
        return None if value in TYPES else "anyOf"
    if not isinstance(value, list) or not value:
        return "anyOf"
    named = [one for one in value if isinstance(one, str) and one in TYPES]
    return None if len(set(named)) == len(value) else "anyOf"


def _names(value: object) -> str | None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return "type"
    return None if len(set(value)) == len(value) else "uniqueItems"


def _names_by_name(value: object) -> str | None:
    if not isinstance(value, dict):
        return "type"
    return next((broken for one in value.values() if (broken := _names(one))), None)


def _flags_by_name(value: object) -> str | None:
    if not isinstance(value, dict):
        return "type"
    return next((broken for one in value.values() if (broken := _flag(one))), None)


_FORMS: Final[Mapping[str, Form]] = {
    **dict.fromkeys(("title", "description", "format", "pattern", "$comment", "$schema"), _text),
    **dict.fromkeys(("contentEncoding", "contentMediaType", *REFERENCES, "$recursiveRef"), _text),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "uniqueItems"), _flag),
    **dict.fromkeys(("enum", "examples"), _list),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"), _number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems"), _count),
    **dict.fromkeys(("maxContains", "minContains", "maxProperties", "minProperties"), _count),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$recursiveAnchor"), _anchor),
    "multipleOf": _positive,
    "$id": _id,
    "$vocabulary": _flags_by_name,
    "type": _type,
    "required": _names,
    "dependentRequired": _names_by_name,
}


# -- the schemas that other keywords hold ----------------------------------------------------------


def _one(value: object) -> Parts | str:
    return [((), value)]


def _several(value: object) -> Parts | str:
    if not isinstance(value, list):
        return "type"
    return [((index,), one) for index, one in enumerate(value)] or "minItems"


def _by_name(value: object) -> Parts | str:
    if not isinstance(value, dict):
        return "type"
    return [((name,), one) for name, one in value.items()]


def _dependencies(value: object) -> Parts | str:
    """The keyword of older drafts: a schema or names, by name."""
    if not isinstance(value, dict):
        return "type"
    lists = [one for one in value.values() if isinstance(one, list)]
    if any(_names(one) for one in lists):
        return "anyOf"
    return [((name,), one) for name, one in value.items() if not isinstance(one, list)]


_HOLDERS: Final[Mapping[str, Callable[[object], Parts | str]]] = {
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames"), _one),
    **dict.fromkeys(("if", "then", "else", "not", "contentSchema"), _one),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), _one),
    **dict.fromkeys(("prefixItems", "allOf", "anyOf", "oneOf"), _several),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), _by_name),
    **dict.fromkeys(("$defs", "definitions"), _by_name),
    "dependencies": _dependencies,
}


# -- references within the schema ------------------------------------------------------------------


def _broken_references(schema: object) -> Iterator[Fault]:
    """Find references that lead to no schema: a validator would fail on them."""
    anchors, references = set[str](), list[tuple[Path, str, str]]()
    ahead: Parts = [((), schema)]
    while ahead:
        path, part = ahead.pop()
        items = enumerate(part) if isinstance(part, list) else ()
        for key, value in part.items() if isinstance(part, dict) else items:
            if isinstance(value, str):
                if key in REFERENCES and value.startswith("#"):
                    references.append((path, str(key), value))
                elif key in {"$anchor", "$dynamicAnchor"}:
                    anchors.add(value)
            elif isinstance(value, (dict, list)) and key not in DATA:
                ahead.append(((*path, key), value))
    for path, keyword, reference in references:
        fragment = unquote(reference[1:])
        known = _leads_to_schema(schema, fragment) if "/" in fragment else fragment in anchors
        if fragment and not known:
            yield path, keyword


def _leads_to_schema(schema: object, pointer: str) -> bool:
    """Return whether a JSON pointer leads to a schema."""
    found = schema
    begin, *segments = pointer.split("/")
    if begin:
        return False
    for segment in segments:
        name = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return False
    return isinstance(found, (dict, bool))
