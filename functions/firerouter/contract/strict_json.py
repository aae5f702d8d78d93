"""JSON as its standard has it, where `json` of Python reads more. Pure."""

from __future__ import annotations

import json
import math


def parse_json(text: str | bytes | bytearray) -> object:
    """Parse JSON without NaN and Infinity, which Firestore and other parsers don't take.

    Unlike orjson it accepts halves of characters: a lone surrogate.

    Raises:
        ValueError: It is not JSON, or has a number that no float can hold, such as 1e999.
        RecursionError: It is nested too deep.
    """
    parsed: object = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    return parsed


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
