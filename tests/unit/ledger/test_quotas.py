"""What one user may do: which counters a call moves, and which cap the new totals are over."""

from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.ledger import Caps, FeatureLimits, UserLimits
from firerouter.ledger.quotas import Counter, counters, refusal

NOW = datetime(2026, 8, 24, 23, 58, 30, tzinfo=UTC)
USER = UserLimits(requests_per_minute=20, concurrent=3, usd_per_day=0.5)
CENT = 10_000_000  # in nano dollars


def moved(reserve: int = 0, **own: int) -> tuple[Counter, ...]:
    return moved_at(NOW, reserve, **own)


def moved_at(now: datetime, reserve: int = 0, **own: int) -> tuple[Counter, ...]:
    caps = Caps(USER, FeatureLimits(**own))
    return counters(caps, feature="chat", reserve_nano_usd=reserve, now=now)


# what the feature caps, what is held of the budget: the windows that move, and the caps on them
MOVED: list[tuple[dict[str, int], int, dict[str, tuple[str, float]]]] = [
    ({}, 0, {}),
    ({}, CENT, {"usd-20260824": ("usdPerDay", 0.5)}),
    (
        {"requests_per_minute": 2},
        0,
        {"requests-20260824T2358Z-chat": ("feature.requestsPerMinute", 2)},
    ),
    (
        {"requests_per_day": 9},
        0,
        {"requests-20260824-chat": ("feature.requestsPerDay", 9)},
    ),
    (
        {"requests_per_minute": 2, "requests_per_day": 9},
        CENT,
        {
            "requests-20260824T2358Z-chat": ("feature.requestsPerMinute", 2),
            "requests-20260824-chat": ("feature.requestsPerDay", 9),
            "usd-20260824": ("usdPerDay", 0.5),
        },
    ),
]


@pytest.mark.parametrize(("own", "reserve", "more"), MOVED)
def test_a_call_moves_the_counters_that_have_a_cap(
    own: dict[str, int], reserve: int, more: dict[str, tuple[str, float]]
) -> None:
    found = moved(reserve, **own)
    assert {counter.window: (counter.cap, counter.max) for counter in found} == {
        "concurrent": ("concurrent", 3),
        "requests-20260824T2358Z": ("requestsPerMinute", 20),
        **more,
    }
    assert len({counter.window for counter in found}) == len(found)
    by = {counter.window: counter.by for counter in found}
    assert by.pop("usd-20260824", reserve) == reserve
    assert set(by.values()) == {1}


# the totals of (concurrent, a minute, the feature's minute, its day, the budget): what is said
REFUSED: list[tuple[tuple[int, ...], dict[str, Any] | None]] = [
    ((3, 20, 2, 9, 50 * CENT), None),
    ((4, 21, 3, 10, 51 * CENT), {"limit": "concurrent", "max": 3, "wait": None}),
    ((3, 21, 3, 10, 51 * CENT), {"limit": "requestsPerMinute", "max": 20, "wait": 30}),
    ((3, 20, 3, 10, 51 * CENT), {"limit": "feature.requestsPerMinute", "max": 2, "wait": 30}),
    ((3, 20, 2, 10, 51 * CENT), {"limit": "feature.requestsPerDay", "max": 9, "wait": 90}),
    ((3, 20, 2, 9, 50 * CENT + 1), {"limit": "usdPerDay", "max": 0.5, "wait": 90}),
]


@pytest.mark.parametrize(("totals", "said"), REFUSED)
def test_the_first_cap_that_is_passed_refuses(
    totals: tuple[int, ...], said: dict[str, Any] | None
) -> None:
    own = moved(CENT, requests_per_minute=2, requests_per_day=9)
    refused = refusal(own, list(totals), NOW)
    if said is None:
        assert refused is None
        return
    assert refused is not None
    assert refused.details == {"limit": said["limit"], "max": said["max"]}
    assert refused.retry_after_seconds == said["wait"]
    assert refused.message.endswith(".")


def test_a_wait_is_never_none_at_the_end_of_a_window() -> None:
    now = NOW.replace(second=59, microsecond=900_000)
    refused = refusal(moved_at(now), [1, 21], now)
    assert refused is not None
    assert refused.retry_after_seconds == 1
