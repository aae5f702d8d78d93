"""Durations, counted in buckets so that the counts of many days can be added up. Pure.

Each bucket is a tenth wider than the one before. A percentile is reported as the middle of its
bucket, which is off by at most `ERROR`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

WIDTH: Final[float] = 1.1  # the upper bound of a bucket, divided by its lower bound
ERROR: Final[float] = WIDTH**0.5 - 1  # 4.9 %
BUCKETS: Final = 160  # the last one begins beyond an hour
_NAME: Final = "b"  # a field name that begins with a digit would have to be quoted


def bucket_of(duration_ms: float) -> str:
    """Return the name of the bucket that counts a duration."""
    if not duration_ms > 1:  # so that NaN is counted here too
        return f"{_NAME}0"
    number = math.ceil(math.log(min(duration_ms, WIDTH**BUCKETS)) / math.log(WIDTH))
    return f"{_NAME}{min(number, BUCKETS)}"


def percentile(counts: Mapping[str, int], share: float) -> int | None:
    """Return a percentile in milliseconds; None if nothing was counted.

    Args:
        counts: The number of durations in each bucket. Names of no bucket are ignored.
        share: The share of durations that are no longer than the result: 0.5 for the median.
    """
    named = ((_number(name), count) for name, count in counts.items() if count > 0)
    buckets = sorted((number, count) for number, count in named if number is not None)
    rank = math.ceil(share * sum(count for _, count in buckets))
    for number, count in buckets:
        rank -= count
        if rank <= 0:
            return max(1, round(math.pow(WIDTH, number - 0.5)))
    return None


def _number(name: str) -> int | None:
    digits = name.removeprefix(_NAME)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 3 else None
