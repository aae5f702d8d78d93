"""Arbitrary JSON values that callers send, and whether Firestore can store them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from .. import limits
from .strict_json import parse_json

_INT64: Final = 2**63


def _too_much(value: object, depth: int = 0) -> Iterator[str]:
    """Yield why a JSON value can't be accepted, as ends of a sentence."""
    if depth > limits.JSON_MAX_DEPTH:
        yield f"may be nested at most {limits.JSON_MAX_DEPTH} levels deep"
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _too_much(item, depth + 1)
    elif type(value) is int and not -_INT64 <= value < _INT64:
        yield "may not contain a whole number of more than 64 bits"


def _unstorable(value: object) -> Iterator[str]:
    """Yield why Firestore can't store a JSON value, as ends of a sentence."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not name or re.fullmatch(r"__.*__", name, re.DOTALL):
                yield "may not contain a name that is empty or begins and ends with __"
            if len(name) > limits.JSON_NAME_MAX_CHARS:
                yield f"may not contain a name of more than {limits.JSON_NAME_MAX_CHARS} characters"
            yield from _unstorable(item)
    elif isinstance(value, list):
        if any(isinstance(item, list) for item in value):
            yield "may not contain a list directly inside a list"
        for item in value:
            yield from _unstorable(item)


def _storable(value: object) -> object:
    """Return the value if Firestore can store it. Raises PydanticCustomError."""
    for problem in _unstorable(value):
        raise PydanticCustomError("json", problem)
    return value


def _json(value: object) -> object:
    """Return the value if it is JSON of an allowed size. Raises PydanticCustomError.

    Text is parsed as JSON, because that is how people enter it.
    """
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except (ValueError, RecursionError):
            raise PydanticCustomError("json", "must be JSON") from None
    for problem in _too_much(value):
        raise PydanticCustomError("json", problem)
    try:
        # UTF-8, and so Firestore, can't encode half of a surrogate pair
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, TypeError, RecursionError):
        raise PydanticCustomError("json", "must be JSON") from None
    if size > limits.PARAMETERS_MAX_BYTES:
        raise PydanticCustomError(
            "size",
            "may have at most {limit} bytes of JSON, not {size}",
            {"limit": f"{limits.PARAMETERS_MAX_BYTES:,}", "size": f"{size:,}"},
        )
    return value


SentObject = Annotated[dict[str, object], BeforeValidator(_json)]  # not stored in Firestore
JsonObject = Annotated[SentObject, AfterValidator(_storable)]
