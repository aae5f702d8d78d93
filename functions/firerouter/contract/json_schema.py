"""Validates JSON Schemas, and values against them. Only this module imports jsonschema.

Schemas come from callers and values from models. So nothing is fetched, no regular expression of a
schema is run, and validating a value stops after a number of steps: it still takes long enough to
be done off the event loop. A schema is validated in one walk (`schema_syntax`).
Whatever they contain, the result is a short description of the fault, not an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .. import limits
from .schema_syntax import first_fault

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


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


Keywords = Mapping[str, object]  # the schema that a keyword's check belongs to
Check = Callable[..., object]  # one keyword's check, as jsonschema calls it


class TooMuch(Exception):
    """Validating the value takes too many steps."""


def fault_of_schema(schema: object) -> str | None:
    """Return where a schema is invalid, as a path and a keyword; None if it is valid."""
    fault = first_fault(schema)
    return None if fault is None else f"{_path(fault[0])} ({fault[1]})"


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
