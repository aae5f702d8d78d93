"""JSON Schema, and whether a value fits one. The only home of jsonschema.

Schemas come from people, values from models, and both are read on the loop that serves everybody:
so nothing is fetched, no regular expression of a schema's is run, and a comparison that takes too
many steps is given up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import limits

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


class TooMuch(Exception):
    """The comparison takes more steps than it is worth."""


def fault_of_schema(schema: Any) -> str | None:
    """What makes it no JSON Schema, as a path and a word; None where it is one."""
    return _fault_of_schema(json.dumps(schema))


@lru_cache(maxsize=256)  # an app sends the same ones with each call, and 20 kB take 0.1 s
def _fault_of_schema(text: str) -> str | None:
    from jsonschema import Draft202012Validator

    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    error = next(meta.iter_errors(json.loads(text)), None)
    return None if error is None else f"{_path(error)} ({error.validator})"


def fault_of(value: Any, schema: Any) -> str | None:
    """Where the value does not fit, as a path and the schema's word for it; None where it does.

    Raises TooMuch.
    """
    from referencing.exceptions import Unresolvable

    try:
        error = next(_validator(schema).iter_errors(value), None)
    except RecursionError:
        raise TooMuch from None
    except Unresolvable:
        return "$ ($ref)"  # to something outside, which is not fetched
    return None if error is None else f"{_path(error)} ({error.validator})"


def _path(error: Any) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return ("$" + "".join(parts))[: limits.SCHEMA_PATH_MAX_CHARS]


def _validator(schema: Any) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    left = [limits.SCHEMA_STEPS_MAX]

    def counted(check: Callable[..., Any]) -> Callable[..., Any]:
        def step(validator: Any, rule: Any, value: Any, of: Any) -> Any:
            # a list is compared with itself where its items have to be unique
            left[0] -= 1 + (len(value) ** 2 if rule is of.get("uniqueItems") is True else 0)
            if left[0] < 0:
                raise TooMuch
            return check(validator, rule, value, of)

        return step

    checks: dict[str, Any] = {
        word: counted(check) for word, check in Draft202012Validator.VALIDATORS.items()
    }
    for word in ("pattern", "patternProperties", "propertyNames", "format"):
        checks[word] = _unchecked
    checks["additionalProperties"] = _additional(checks["additionalProperties"])
    made: Validator = extend(Draft202012Validator, validators=checks)(  # type: ignore[no-untyped-call]
        schema, registry=Registry()
    )
    return made


def _unchecked(*_: Any) -> Iterator[Any]:
    return iter(())


def _additional(check: Callable[..., Any]) -> Callable[..., Any]:
    def additional(validator: Any, rule: Any, value: Any, of: Any) -> Any:
        # which properties are additional, only regular expressions could tell
        return iter(()) if "patternProperties" in of else check(validator, rule, value, of)

    return additional
