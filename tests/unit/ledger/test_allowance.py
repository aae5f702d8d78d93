"""What is left of a user's limits, as a result tells it."""

from datetime import UTC, datetime

from firerouter.ledger import Allowance, Caps, FeatureLimits, Reserve, UserLimits, Windows
from firerouter.ledger.quotas import counters

NOW = datetime(2026, 8, 24, 12, tzinfo=UTC)
CENT = 10_000_000  # in nano dollars


def after(totals: dict[str, int], reserve: int = CENT) -> Allowance:
    user = UserLimits(requests_per_minute=20, tokens_per_day=1_000, usd_per_day=0.5)
    reserves = [Reserve(base_nano_usd=reserve, base_tokens=100)]
    moved = counters(Caps(user, FeatureLimits()), Windows(at=NOW), reserves, requests=1)
    return Allowance.of(moved, [totals.get(counter.cap, 0) for counter in moved])


def test_what_has_a_limit_is_told_and_nothing_else() -> None:
    left = after({"requestsPerMinute": 3, "usdPerDay": 2 * CENT, "tokensPerDay": 100})
    assert left.to_wire() == {
        "requestsPerMinute": 17,
        "tokensPerDay": 900,
        "usdPerDay": 0.48,
        "usdPerMonth": 10.0,
    }


def test_what_was_reserved_and_not_spent_is_left_as_well() -> None:
    left = after({"usdPerDay": CENT, "usdPerMonth": CENT, "tokensPerDay": 100})
    ended = left.after(unspent_nano_usd=CENT - 5, unused_tokens=40)
    assert ended.to_wire()["usdPerDay"] == 0.5 - 5e-9
    assert ended.to_wire()["tokensPerDay"] == 940


def test_a_limit_that_is_exceeded_has_nothing_left_and_not_less() -> None:
    assert after({"usdPerDay": 60 * CENT}).to_wire()["usdPerDay"] == 0.0
