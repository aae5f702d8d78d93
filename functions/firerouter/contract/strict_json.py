"""JSON without what passes for it in Python and nowhere else: NaN, Infinity, 1e999. Pure."""

from __future__ import annotations

import json
import math


def parse_json(text: str | bytes | bytearray, *, lenient: bool = False) -> object:
    """Parse JSON without NaN and Infinity, which Firestore and other parsers don't take.

    Unlike orjson it accepts halves of characters: a lone surrogate.

    Args:
        text: The JSON.
        lenient: Whether such a number becomes null. If not, it is refused.

    Raises:
        ValueError: It is not JSON, or has a number that no float can hold, such as 1e999.
        RecursionError: It is nested too deep.
    """
    if lenient:
        parsed: object = json.loads(text, parse_constant=_null, parse_float=_finite_or_null)
    else:
        parsed = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    return parsed


def _null(_: str) -> None:
    return None


def _finite_or_null(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
