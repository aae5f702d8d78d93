"""Validates JSON Schemas, and values against them. Only this module imports jsonschema.

Schemas come from callers and values from models, and both are validated on the event loop that
serves all calls. So nothing is fetched, no regular expression of a schema is run, and validating a
value stops after a number of steps. Validating a schema counts no steps: its size is limited.
Whatever they contain, the result is a short description of the fault, not an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from .. import limits

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


_REFERENCES: Final = ("$ref", "$dynamicRef")
_DATA: Final = ("const", "default", "enum", "examples")  # contain values, not schemas
_LISTS: Final = ("const", "enum", "required", "type")  # a value is compared with each entry
# keywords that run or look up regular expressions, or take steps that are not counted
_UNCHECKED: Final = (
    "pattern",
    "patternProperties",
    "propertyNames",
    "format",
    "unevaluatedItems",
    "unevaluatedProperties",
)


Container = dict[str, object] | list[object]
Keywords = Mapping[str, object]  # the schema that a keyword's check belongs to
Check = Callable[..., object]  # one keyword's check, as jsonschema calls it


class TooMuch(Exception):
    """Validating the value takes too many steps."""


def fault_of_schema(schema: object) -> str | None:
    """Return where a schema is invalid, as a path and a keyword; None if it is valid."""
    return _fault_of_schema(json.dumps(schema))


@lru_cache(maxsize=256)  # apps send the same schemas with each call, and 20 kB take 0.1 s
def _fault_of_schema(text: str) -> str | None:
    from jsonschema import Draft202012Validator

    schema = json.loads(text)
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    error = next(meta.iter_errors(schema), None)
    if error is not None:
        return f"{_path(error.absolute_path)} ({error.validator})"
    return next(_broken_references(schema), None)


def _broken_references(schema: object) -> Iterator[str]:
    """Find references within the schema that lead nowhere: the validator would fail on them."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    ahead: list[tuple[tuple[object, ...], Container]]
    ahead = [((), schema)] if isinstance(schema, dict) else []
    while ahead:
        path, part = ahead.pop()
        for key, value in enumerate(part) if isinstance(part, list) else part.items():
            if key in _REFERENCES and isinstance(value, str) and value.startswith("#"):
                try:
                    target = resolver.lookup(value).contents
                except Exception:  # it raises various errors, for example for a pointer into a text
                    target = None
                if not isinstance(target, (dict, bool)):
                    yield f"{_path(path)} ({key})"
            elif key not in _DATA and isinstance(value, (dict, list)):
                ahead.append(((*path, key), value))


def fault_of(value: Any, schema: object) -> str | None:
    """Return where the value breaks the schema, as a path and a keyword; None if it does not.

    Raises:
        TooMuch: Validating it takes too many steps.
    """
    from referencing.exceptions import Unresolvable

    try:
        error = next(_validator(schema).iter_errors(value), None)
    except RecursionError:
        raise TooMuch from None
    except Unresolvable:
        return "$ ($ref)"  # to another document, which is not fetched
    except TooMuch:
        raise
    except Exception:  # an undetected fault of the schema must not fail the answer
        return "$ (schema)"
    return None if error is None else f"{_path(error.absolute_path)} ({error.validator})"


def _path(path: Iterable[object]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return ("$" + "".join(parts))[: limits.SCHEMA_PATH_MAX_CHARS]


def _validator(schema: object) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    left, sizes = [limits.SCHEMA_STEPS_MAX], dict[int, int]()

    def weight(rule: object, value: object, of: Keywords) -> int:
        """Return how many steps one check takes by itself."""
        if rule is of.get("uniqueItems") is True and isinstance(value, list):
            return len(value) ** 2  # each entry is compared with all others
        if not isinstance(rule, (dict, list)) or not any(rule is of.get(word) for word in _LISTS):
            return 0
        if id(rule) not in sizes:
            sizes[id(rule)] = len(json.dumps(rule)) // 4  # four characters take one step
        return sizes[id(rule)]

    def counted(check: Check) -> Check:
        def step(validator: object, rule: object, value: object, of: Keywords) -> object:
            left[0] -= 1 + weight(rule, value, of)
            if left[0] < 0:
                raise TooMuch
            return check(validator, rule, value, of)

        return step

    checks: dict[str, Check] = {
        word: counted(check) for word, check in Draft202012Validator.VALIDATORS.items()
    }
    for word in _UNCHECKED:
        checks[word] = _unchecked
    checks["additionalProperties"] = _additional(checks["additionalProperties"])
    made: Validator = extend(Draft202012Validator, validators=checks)(  # type: ignore[no-untyped-call]
        schema, registry=Registry()
    )
    return made


def _unchecked(*_: object) -> Iterator[object]:
    return iter(())


def _additional(check: Check) -> Check:
    def additional(validator: object, rule: object, value: object, of: Keywords) -> object:
        # only regular expressions could tell which properties are additional
        return iter(()) if "patternProperties" in of else check(validator, rule, value, of)

    return additional
