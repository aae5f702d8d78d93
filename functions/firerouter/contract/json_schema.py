"""JSON Schema, and whether a value fits one. The only home of jsonschema.

Schemas come from people, values from models, and both are read on the loop that serves everybody:
so nothing is fetched, no regular expression of a schema's is run, and a comparison that takes too
many steps is given up. Whatever they hold, the answer is a word about it, not an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from .. import limits

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


_REFERENCES: Final = ("$ref", "$dynamicRef")
_DATA: Final = ("const", "default", "enum", "examples")  # hold values, not schemas
_LISTS: Final = ("const", "enum", "required", "type")  # a value is held against each part of them
# those that run regular expressions, or look for such, or take steps that are not counted
_UNCHECKED: Final = (
    "pattern",
    "patternProperties",
    "propertyNames",
    "format",
    "unevaluatedItems",
    "unevaluatedProperties",
)


class TooMuch(Exception):
    """The comparison takes more steps than it is worth."""


def fault_of_schema(schema: Any) -> str | None:
    """What makes it no JSON Schema, as a path and a word; None where it is one."""
    return _fault_of_schema(json.dumps(schema))


@lru_cache(maxsize=256)  # an app sends the same ones with each call, and 20 kB take 0.1 s
def _fault_of_schema(text: str) -> str | None:
    from jsonschema import Draft202012Validator

    schema = json.loads(text)
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    error = next(meta.iter_errors(schema), None)
    if error is not None:
        return f"{_path(error.absolute_path)} ({error.validator})"
    return next(_broken_references(schema), None)


def _broken_references(schema: Any) -> Iterator[str]:
    """Those within the schema that lead to no schema: the validator would fall over them."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    ahead: list[tuple[tuple[Any, ...], Any]] = [((), schema)] if isinstance(schema, dict) else []
    while ahead:
        path, part = ahead.pop()
        inner = enumerate(part) if isinstance(part, list) else part.items()
        for key, value in inner:
            if key in _REFERENCES and isinstance(value, str) and value.startswith("#"):
                try:
                    target = resolver.lookup(value).contents
                except Exception:  # it raises what it likes for a pointer into a text, say
                    target = None
                if not isinstance(target, (dict, bool)):
                    yield f"{_path(path)} ({key})"
            elif key not in _DATA and isinstance(value, (dict, list)):
                ahead.append(((*path, key), value))


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
    except TooMuch:
        raise
    except Exception:  # what no look at a schema finds must not cost anybody an answer
        return "$ (schema)"
    return None if error is None else f"{_path(error.absolute_path)} ({error.validator})"


def _path(path: Iterable[Any]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return ("$" + "".join(parts))[: limits.SCHEMA_PATH_MAX_CHARS]


def _validator(schema: Any) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    left, sizes = [limits.SCHEMA_STEPS_MAX], dict[int, int]()

    def weight(rule: Any, value: Any, of: Any) -> int:
        """Steps that one check takes by itself."""
        if rule is of.get("uniqueItems") is True and isinstance(value, list):
            return len(value) ** 2  # it is compared with itself
        if not isinstance(rule, (dict, list)) or not any(rule is of.get(word) for word in _LISTS):
            return 0
        if id(rule) not in sizes:
            sizes[id(rule)] = len(json.dumps(rule)) // 4  # a value of it, and what is around it
        return sizes[id(rule)]

    def counted(check: Callable[..., Any]) -> Callable[..., Any]:
        def step(validator: Any, rule: Any, value: Any, of: Any) -> Any:
            left[0] -= 1 + weight(rule, value, of)
            if left[0] < 0:
                raise TooMuch
            return check(validator, rule, value, of)

        return step

    checks: dict[str, Any] = {
        word: counted(check) for word, check in Draft202012Validator.VALIDATORS.items()
    }
    for word in _UNCHECKED:
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
