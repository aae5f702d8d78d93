"""How often a user may call: so often at once, so often a minute; and how much is remembered."""

import pytest

from firerouter.errors import QuotaExceeded
from firerouter.users.call_rates import CallRates
from firerouter.users.identity import Caller
from firerouter.users.limits import CallLimits, Pace

LIMITS = CallLimits(ask=Pace(60, 4), look=Pace(6, 2), any=Pace(60, 8), buckets_max=3)
ANN = Caller("ann")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> CallRates:
    return CallRates(LIMITS, clock=clock)


def taken(rates: CallRates, kind: str, caller: Caller = ANN, most: int = 100) -> int:
    """How many calls go on now."""
    for count in range(most):
        try:
            rates.take(kind, caller)  # type: ignore[arg-type]  # a kind
        except QuotaExceeded:
            return count
    return most


def test_so_many_go_on_at_once_and_then_so_many_a_minute(rates: CallRates, clock: Clock) -> None:
    assert taken(rates, "ask") == 4
    clock.now += 2.5
    assert taken(rates, "ask") == 2  # one a second, and half of one is left
    clock.now += 0.5
    assert taken(rates, "ask") == 1
    clock.now += 3_600
    assert taken(rates, "ask") == 4  # no more than at once, however long nobody called


def test_a_refusal_says_when_to_call_again_and_is_not_counted(
    rates: CallRates, clock: Clock
) -> None:
    assert taken(rates, "look") == 2
    for _ in range(50):
        with pytest.raises(QuotaExceeded) as refused:
            rates.take("look", ANN)
    told = refused.value.to_wire("t")["details"]
    assert (told["reason"], told["limit"], told["max"]) == ("quota_exceeded", "callsPerMinute", 6)
    assert told["retryAfterSeconds"] == 10
    clock.now += 10
    assert taken(rates, "look") == 1


def test_each_user_and_each_kind_is_counted_by_itself(rates: CallRates) -> None:
    assert taken(rates, "ask") == 4
    assert taken(rates, "look") == 2
    assert taken(rates, "ask", Caller("ben")) == 4


def test_who_may_ask_more_often_may_also_call_more_often(rates: CallRates, clock: Clock) -> None:
    assert taken(rates, "ask") == 4
    rates.grant("ann", 600)
    clock.now += 1
    assert taken(rates, "ask") == 10
    assert taken(rates, "any", most=1_000) == 600
    assert taken(rates, "look") == 2  # that is no matter of what the app sells
    rates.grant("ann", 20)
    clock.now += 60
    assert taken(rates, "ask") == 4


def test_a_user_without_an_account_may_call_less_often(rates: CallRates, clock: Clock) -> None:
    nobody = Caller("x", anonymous=True)
    assert taken(rates, "ask", nobody) == 1
    clock.now += 4
    assert taken(rates, "ask", nobody) == 1  # 15 a minute
    assert taken(rates, "look", nobody) == 1  # never none at all


def test_what_is_remembered_is_bounded(rates: CallRates) -> None:
    for number in range(10):
        rates.take("ask", Caller(f"user{number}"))
    assert len(rates._buckets) == LIMITS.buckets_max
    assert taken(rates, "ask", Caller("user9")) == 3
    assert taken(rates, "ask", Caller("user0")) == 4


def test_every_kind_lets_an_app_open_itself_up() -> None:
    """A page asks for its features, models and allowance, and for answers, within a moment."""
    for kind in ("any", "ask", "look", "stop", "change", "export", "admin"):
        assert taken(CallRates(), kind, Caller("x", anonymous=True)) >= 2
    assert taken(CallRates(), "any", Caller("x", anonymous=True)) >= 30


def test_a_call_that_took_much_counts_as_several(rates: CallRates, clock: Clock) -> None:
    rates.take("ask", ANN)
    rates.charge("ask", ANN, 8)  # 4 at once, one a second
    assert taken(rates, "ask") == 0
    clock.now += 5.5
    assert taken(rates, "ask") == 0
    clock.now += 0.5
    assert taken(rates, "ask") == 1
    rates.charge("ask", Caller("nobody yet"), 8)
    assert taken(rates, "ask", Caller("nobody yet")) == 4
