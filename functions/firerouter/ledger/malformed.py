"""Reads the fields of a document that may hold anything: a value of another type is ignored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..firestore import Document


COUNT_MAX: Final = 2**63 - 1  # what Firestore counts


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def whole_of(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def time_of(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def object_of(value: object) -> Document | None:
    return value if isinstance(value, dict) else None


def count_at(document: Mapping[str, object], *path: str) -> int:
    """Return the counter at this path, 0 if there is none."""
    value: object = document
    for name in path:
        value = mapping_of(value).get(name)
    return counted(value)


def counted(value: object) -> int:
    """Return what a counter holds: one that was typed by hand may have a fraction.

    A number that is none, or more than any counter holds, is the most: so it is above each limit.
    """
    if isinstance(value, float):
        return math.ceil(value) if abs(value) < COUNT_MAX else COUNT_MAX
    return whole_of(value) or 0


def mapping_of(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
