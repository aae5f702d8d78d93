"""The counters that a call moves, and the first cap that their new totals exceed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.ledger import Caps, FeatureLimits, Reserve, UserLimits, Windows
from firerouter.ledger.quotas import (
    Counter,
    Move,
    counters,
    first_over,
    in_words,
    movements,
    refusal,
)

NOW = datetime(2026, 8, 24, 23, 58, 30, tzinfo=UTC)
USER = UserLimits(requests_per_minute=20, concurrent=3, usd_per_day=0.5, usd_per_month=2)
CENT = 10_000_000  # in nano dollars
USD = 100 * CENT
DAY = ("days", "24")
OWN = ("features", "chat")


def moved(
    reserve: int = 0, *, user: UserLimits = USER, own: dict[str, Any] | None = None, **more: Any
) -> tuple[Counter, ...]:
    feature = FeatureLimits(**(own or {}))
    windows = Windows(at=NOW, feature="chat" if own else None)
    reserves = more.pop("reserves", [Reserve(base_nano_usd=reserve, base_tokens=7)])
    return counters(Caps(user, feature), windows, reserves, requests=more.pop("requests", 1))


def named(found: tuple[Counter, ...]) -> dict[str, Counter]:
    return {counter.cap: counter for counter in found}


def test_a_call_moves_every_counter_of_its_user_and_of_the_app() -> None:
    assert {name: (c.home, c.field, c.by, c.max) for name, c in named(moved(CENT)).items()} == {
        "concurrent": ("concurrent", ("count",), 1, 3),
        "requestsPerMinute": ("month", ("minutes", "242358"), 1, 20),
        "requestsPerDay": ("month", (*DAY, "requests"), 1, None),
        "tokensPerDay": ("month", (*DAY, "tokens"), 7, None),
        "usdPerDay": ("month", (*DAY, "nanoUsd"), CENT, 0.5),
        "usdPerMonth": ("month", ("month", "nanoUsd"), CENT, 2),
        "app.usdPerDay": ("project", (*DAY, "nanoUsd"), CENT, None),
        "app.usdPerMonth": ("project", ("month", "nanoUsd"), CENT, None),
    }


def test_a_feature_with_limits_has_counters_of_its_own() -> None:
    own = {"requests_per_minute": 2, "concurrent": 1, "usd_per_month": 1.5}
    found = {
        name: (c.field, c.max)
        for name, c in named(moved(CENT, own=own)).items()
        if "feature" in name
    }
    assert found == {
        "feature.concurrent": ((*OWN, "count"), 1),
        "feature.requestsPerMinute": ((*OWN, "minutes", "242358"), 2),
        "feature.requestsPerDay": ((*OWN, *DAY, "requests"), None),
        "feature.tokensPerDay": ((*OWN, *DAY, "tokens"), None),
        "feature.usdPerDay": ((*OWN, *DAY, "nanoUsd"), None),
        "feature.usdPerMonth": ((*OWN, "month", "nanoUsd"), 1.5),
    }


def test_a_free_call_is_held_to_the_budgets_too() -> None:
    found = named(moved(0))
    assert found["usdPerDay"].by == 0
    assert first_over([found["usdPerDay"]], [51 * CENT]) == (found["usdPerDay"], CENT)
    assert first_over([found["usdPerDay"]], [50 * CENT]) is None


def test_a_cached_answer_counts_as_a_request_and_nothing_else() -> None:
    assert list(named(moved(reserves=[]))) == ["requestsPerMinute", "requestsPerDay"]


def test_a_comparison_is_counted_as_one() -> None:
    three = [Reserve(base_nano_usd=CENT)] * 3
    found = named(moved(reserves=three, requests=3))
    assert (found["concurrent"].by, found["requestsPerMinute"].by) == (3, 3)
    assert found["usdPerDay"].by == 3 * CENT


# cap, its total after the call: what is told
REFUSED: list[tuple[str, int, dict[str, Any]]] = [
    ("concurrent", 4, {"max": 3, "used": 3}),
    (
        "requestsPerMinute",
        21,
        {"max": 20, "used": 20, "resetsAt": "2026-08-24T23:59:00Z", "wait": 30},
    ),
    (
        "usdPerDay",
        51 * CENT,
        {"max": 0.5, "used": 0.5, "resetsAt": "2026-08-25T00:00:00Z", "wait": 90},
    ),
    (
        "usdPerMonth",
        201 * CENT,
        {"max": 2, "used": 2.0, "resetsAt": "2026-09-01T00:00:00Z", "wait": 604_890},
    ),
]


@pytest.mark.parametrize(("cap", "total", "told"), REFUSED)
def test_a_refusal_tells_the_cap_what_is_used_up_and_when_it_is_back(
    cap: str, total: int, told: dict[str, Any]
) -> None:
    found = moved(CENT)
    totals = [total if counter.cap == cap else 0 for counter in found]
    over = first_over(found, totals)
    assert over is not None
    counter, _ = over
    refused = refusal(counter, used=total - counter.by, now=NOW)
    wait = told.pop("wait", None)
    assert refused.details == {"limit": cap, **told}
    assert refused.retry_after_seconds == wait
    assert refused.message.endswith(".")


def test_a_refusal_names_what_runs() -> None:
    counter = named(moved())["concurrent"]
    assert refusal(counter, used=3, now=NOW, running=["a", "b"]).details["running"] == ["a", "b"]


def test_the_first_cap_that_is_exceeded_refuses() -> None:
    found = moved(CENT)
    over = first_over(found, [10**12] * len(found))
    assert over is not None
    assert over[0].cap == "concurrent"


def test_a_wait_is_never_none_at_the_end_of_a_window() -> None:
    now = NOW.replace(second=59, microsecond=900_000)
    counter = named(moved())["requestsPerMinute"]
    assert refusal(counter, used=20, now=now).retry_after_seconds == 1


def test_an_end_moves_what_differs_from_the_reserve() -> None:
    windows = Windows(at=NOW, feature="chat")
    found = movements(windows, Move(nano_usd=-CENT, tokens=5, frees_place=True))
    assert found == [
        ("month", (*DAY, "tokens"), 5),
        ("month", (*DAY, "nanoUsd"), -CENT),
        ("month", ("month", "nanoUsd"), -CENT),
        ("concurrent", ("count",), -1),
        ("month", (*OWN, *DAY, "tokens"), 5),
        ("month", (*OWN, *DAY, "nanoUsd"), -CENT),
        ("month", (*OWN, "month", "nanoUsd"), -CENT),
        ("concurrent", (*OWN, "count"), -1),
        ("project", (*DAY, "nanoUsd"), -CENT),
        ("project", ("month", "nanoUsd"), -CENT),
    ]
    assert movements(windows, Move()) == []


def test_the_end_of_a_december_is_in_the_next_year() -> None:
    december = Windows(at=datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert december.month_ends == december.day_ends == datetime(2027, 1, 1, tzinfo=UTC)


def test_counters_of_passed_minutes_are_removed_but_not_those_of_another_month() -> None:
    windows = Windows(at=datetime(2026, 8, 1, 0, 3, tzinfo=UTC))
    assert windows.passed_minutes(3) == ["010001", "010000"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "in 1 minute"),
        (90, "in 2 minutes"),
        (89 * 60, "in 89 minutes"),
        (90 * 60, "in 2 hours"),
        (5 * 3600, "in 5 hours"),
        (47.5 * 3600, "in 48 hours"),
        (47 * 3600, "in 47 hours"),
        (30 * 86_400, "in 30 days"),
    ],
)
def test_a_wait_is_told_without_a_time_zone(seconds: float, words: str) -> None:
    assert in_words(seconds).replace("2 days", "48 hours") == words


@pytest.mark.parametrize(
    ("cap", "sentence"),
    [
        (
            "requestsPerDay",
            "You've sent 2 requests today, which is the limit. Please try again in 2 minutes.",
        ),
        ("usdPerDay", "You've used up today's budget. Please try again in 2 minutes."),
        ("usdPerMonth", "You've used up this month's budget. Please try again in 8 days."),
        ("requestsPerMinute", "You're sending requests too quickly. Please wait a minute."),
        (
            "concurrent",
            "You already have 3 answers in progress, which is the limit. "
            "Please wait for one to finish.",
        ),
    ],
)
def test_a_user_is_told_when_a_limit_ends(cap: str, sentence: str) -> None:
    user = USER.model_copy(update={"requests_per_day": 2})
    counter = named(moved(CENT, user=user))[cap]
    assert refusal(counter, used=9 * USD, now=NOW).message == sentence


@pytest.mark.parametrize(
    ("cap", "sentence"),
    [
        ("usdPerDay", "What is left of today's budget isn't enough for this answer. "),
        ("usdPerMonth", "What is left of this month's budget isn't enough for this answer. "),
        ("requestsPerDay", "You have fewer requests left for today than this would take. "),
        ("concurrent", "You can have 3 answers in progress at once, and this would be more. "),
    ],
)
def test_where_something_is_left_nobody_is_told_that_all_is_used_up(
    cap: str, sentence: str
) -> None:
    user = USER.model_copy(update={"requests_per_day": 2})
    counter = named(moved(CENT, user=user))[cap]
    assert refusal(counter, used=1, now=NOW).message.startswith(sentence)


@pytest.mark.parametrize(
    ("cap", "used", "sentence"),
    [
        ("app.usdPerDay", 5, "This app has used up its budget for today. "),
        ("app.usdPerMonth", 5, "This app has used up its budget for this month. "),
        ("app.usdPerDay", 4, "What is left of this app's budget for today isn't enough "),
    ],
)
def test_the_ceiling_of_the_app_is_not_told_as_the_users_limit(
    cap: str, used: int, sentence: str
) -> None:
    counter = replace(named(moved(CENT))[cap], max=5)
    assert refusal(counter, used=used * USD, now=NOW).message.startswith(sentence)
