"""Tolerant readers of OpenRouter's JSON: a malformed field counts as absent."""

from __future__ import annotations

import math
from typing import Final

Json = dict[str, object]

NAME_MAX_CHARS: Final = 200  # of a name or an id in the ledger
COUNT_MAX: Final = 2**53 - 1  # JavaScript's largest exact integer; Firestore would refuse 2**63
AMOUNT_MAX: Final = 1e15  # far beyond any amount; JSON allows any number


def as_object(value: object) -> Json:
    """Return a JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a JSON array, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return a string, or None."""
    return value if isinstance(value, str) else None


def as_name(value: object) -> str | None:
    """Return a name or an id as the ledger can store it, truncated, or None."""
    return without_half_characters(value[:NAME_MAX_CHARS]) if isinstance(value, str) else None


def as_count(value: object) -> int | None:
    """Return a number of tokens, rounded up, or None. Some providers count in floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # a comparison first, because neither NaN nor infinity can be rounded
    return math.ceil(value) if 0 <= value <= COUNT_MAX else None


def as_amount(value: object) -> float | None:
    """Return a finite number that can be stored, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < AMOUNT_MAX else None  # false for NaN too


def without_half_characters(text: str) -> str:
    """Return the text without lone surrogates, which Firestore can't store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
