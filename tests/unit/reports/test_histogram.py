"""Durations in buckets: percentiles within the stated error, whatever is added up."""

import math
import random
from collections import Counter

import pytest

from firerouter.reports.histogram import BUCKETS, ERROR, bucket_of, percentile

HOUR_MS = 3_600_000
ROUNDING_MS = 0.5


def test_the_error_is_what_is_told_of_it() -> None:
    assert round(ERROR, 3) == 0.049


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_a_percentile_is_no_further_off_than_the_error(share: float, spread: float) -> None:
    dice = random.Random(f"{share} {spread}")
    durations = sorted(min(dice.lognormvariate(6, spread), HOUR_MS) for _ in range(5_000))
    exact = max(1.0, durations[math.ceil(share * len(durations)) - 1])
    told = percentile(Counter(map(bucket_of, durations)), share)
    assert told is not None
    assert abs(told - exact) <= exact * ERROR + ROUNDING_MS


def test_days_add_up_to_what_all_of_them_together_would_have_counted() -> None:
    dice = random.Random(7)
    days = [[dice.uniform(1, 90_000) for _ in range(300)] for _ in range(5)]
    added: Counter[str] = sum((Counter(map(bucket_of, day)) for day in days), Counter())
    assert added == Counter(bucket_of(duration) for day in days for duration in day)


@pytest.mark.parametrize("odd", [0, -5, 0.3, math.nan, -math.inf])
def test_what_is_no_duration_is_the_shortest(odd: float) -> None:
    assert percentile({bucket_of(odd): 1}, 0.5) == 1


@pytest.mark.parametrize("odd", [1e300, math.inf])
def test_what_is_absurdly_long_is_the_longest(odd: float) -> None:
    assert bucket_of(odd) == f"b{BUCKETS}"


def test_every_millisecond_of_an_hour_has_a_bucket_of_its_own_length() -> None:
    assert int(bucket_of(HOUR_MS)[1:]) < BUCKETS
    numbers = [int(bucket_of(ms)[1:]) for ms in range(1, 20_000)]
    assert numbers == sorted(numbers)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({"b3": 0, "b4": -1}, 0.5) is None


def test_names_that_are_no_buckets_are_ignored() -> None:
    assert percentile({"b5": 1, "five": 9, "b": 9, "b-1": 9, "b²": 9, "": 9}, 0.99) == 2
