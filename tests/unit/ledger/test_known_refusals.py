"""Refusals that are remembered: of which calls, for how long, and what takes them back."""

from datetime import UTC, datetime, timedelta

import pytest

from firerouter.errors import QuotaExceeded
from firerouter.ledger import Caps, Ceiling, FeatureLimits, LedgerLimits, Reserve, UserLimits
from firerouter.ledger.known_refusals import KnownRefusals
from firerouter.ledger.quotas import Counter, Windows, counters

NOON = datetime(2026, 3, 14, 12, 0, 20, tzinfo=UTC)
LIMITS = LedgerLimits(refused_users=3)
USD = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> KnownRefusals:
    return KnownRefusals(limits=LIMITS, now=clock)


def moved(
    *, usd: float = 0.1, requests: int = 1, at: datetime = NOON, **limits: float
) -> tuple[Counter, ...]:
    """What a call moves whose user has these limits."""
    caps = Caps(
        user=UserLimits.model_validate(limits, by_name=True),
        feature=FeatureLimits(),
        ceiling=Ceiling(),
    )
    reserve = Reserve(base_nano_usd=int(usd * USD))
    return counters(caps, Windows(at=at), [reserve] * requests, requests=requests)


def counter(cap: str, counted: tuple[Counter, ...]) -> Counter:
    return next(one for one in counted if one.cap == cap)


def note(refusals: KnownRefusals, cap: str, counted: tuple[Counter, ...], total: int) -> None:
    refusals.note("ann", "chat", counter(cap, counted), total=total, running=["g1"])


def is_refused(
    refusals: KnownRefusals, counted: tuple[Counter, ...], uid: str = "ann", feature: str = "chat"
) -> bool:
    try:
        refusals.check(uid, feature, counted)
    except QuotaExceeded:
        return True
    return False


def test_a_minute_that_is_full_refuses_until_it_is_over(
    refusals: KnownRefusals, clock: Clock
) -> None:
    full = moved(requests_per_minute=5)
    assert not is_refused(refusals, full)
    note(refusals, "requestsPerMinute", full, 5)
    with pytest.raises(QuotaExceeded) as refused:
        refusals.check("ann", "other", full)
    told = refused.value
    assert (told.details["limit"], told.details["used"]) == ("requestsPerMinute", 5)
    assert (told.retry_after_seconds, told.details["resetsAt"]) == (40, "2026-03-14T12:01:00Z")
    clock.now += timedelta(seconds=39)
    assert is_refused(refusals, full)
    clock.now += timedelta(seconds=1)
    assert not is_refused(refusals, moved(requests_per_minute=5, at=clock.now))
    assert not is_refused(refusals, full)


def test_a_day_that_is_full_refuses_until_midnight(refusals: KnownRefusals, clock: Clock) -> None:
    full = moved(requests_per_day=50)
    note(refusals, "requestsPerDay", full, 50)
    clock.now += timedelta(hours=11, minutes=59)
    assert is_refused(refusals, moved(requests_per_day=50, at=clock.now))
    clock.now += timedelta(minutes=1)
    assert not is_refused(refusals, moved(requests_per_day=50, at=clock.now))


def test_others_are_not_refused_with_one_user(refusals: KnownRefusals) -> None:
    full = moved(requests_per_minute=5)
    note(refusals, "requestsPerMinute", full, 5)
    assert not is_refused(refusals, full, uid="ben")
    assert (refusals.knows("ann"), refusals.knows("ben")) == (True, False)


def test_a_cap_that_was_raised_lets_the_next_call_through(refusals: KnownRefusals) -> None:
    note(refusals, "requestsPerDay", moved(requests_per_day=50), 50)
    assert is_refused(refusals, moved(requests_per_day=50))
    assert not is_refused(refusals, moved(requests_per_day=51))
    assert not is_refused(refusals, moved())


def test_a_call_that_takes_less_may_fit(refusals: KnownRefusals) -> None:
    compared = moved(requests=6, requests_per_minute=10)
    note(refusals, "requestsPerMinute", compared, 8)
    assert is_refused(refusals, compared)
    assert not is_refused(refusals, moved(requests=1, requests_per_minute=10))
    assert not is_refused(refusals, moved(requests=2, requests_per_minute=10))


def test_money_is_known_for_a_while_and_for_one_feature(
    refusals: KnownRefusals, clock: Clock
) -> None:
    dear = moved(usd=0.3, usd_per_day=1)
    note(refusals, "usdPerDay", dear, int(0.8 * USD))
    assert is_refused(refusals, dear)
    assert not is_refused(refusals, moved(usd=0.2, usd_per_day=1))
    assert not is_refused(refusals, dear, feature="cheap")  # another model may be cheaper
    clock.now += timedelta(seconds=LIMITS.refused_cost_s)
    assert not is_refused(refusals, dear)


def test_the_end_of_an_answer_frees_money_and_places_but_no_requests(
    refusals: KnownRefusals, clock: Clock
) -> None:
    many = moved(usd_per_day=1, concurrent=2, requests_per_day=9)
    note(refusals, "usdPerDay", many, USD)
    note(refusals, "concurrent", many, 2)
    note(refusals, "requestsPerDay", many, 9)
    refusals.forget_freed("ann")
    refusals.forget_freed("ben")
    with pytest.raises(QuotaExceeded) as refused:
        refusals.check("ann", "chat", many)
    assert refused.value.details["limit"] == "requestsPerDay"


def test_places_are_known_for_a_moment_with_what_takes_them(
    refusals: KnownRefusals, clock: Clock
) -> None:
    many = moved(concurrent=2)
    note(refusals, "concurrent", many, 2)
    with pytest.raises(QuotaExceeded) as refused:
        refusals.check("ann", "chat", many)
    assert refused.value.details["running"] == ["g1"]
    clock.now += timedelta(seconds=LIMITS.refused_place_s)
    assert not is_refused(refusals, many)


def test_as_many_users_are_remembered_as_fit(refusals: KnownRefusals) -> None:
    full = counter("requestsPerMinute", moved(requests_per_minute=5))
    for number in range(9):
        refusals.note(f"user{number}", "chat", full, total=5)
    refused = [is_refused(refusals, (full,), uid=f"user{number}") for number in range(9)]
    assert refused == [False] * 6 + [True] * 3
