"""What one user may do, whatever the documents and the token say."""

import math
from typing import Any

import pytest

from firerouter.ledger.caps import (
    ANONYMOUS,
    CapPolicy,
    LimitsOverride,
    OwnLimits,
    UserLimits,
    resolve,
)
from firerouter.ledger.own_limits import read_own_limits

EVERYBODY = UserLimits(usd_per_day=2, concurrent=5)
POLICY = CapPolicy(
    everybody=EVERYBODY,
    anonymous=LimitsOverride(usd_per_day=0.1),
    tiers={"pro": LimitsOverride(usd_per_day=9)},
)


def caps(
    own: OwnLimits | None = None, *, tier: str | None = None, anonymous: bool = False
) -> tuple[UserLimits, str | None]:
    return resolve(POLICY, own or OwnLimits(), tier=tier, anonymous=anonymous)


@pytest.mark.parametrize("tier", [None, "", "gold", "PRO", "tiers.pro"])
def test_a_tier_that_does_not_exist_changes_nothing(tier: str | None) -> None:
    assert caps(tier=tier) == (EVERYBODY, None)
    assert caps(OwnLimits(tier=tier or None)) == (EVERYBODY, None)
    assert caps(tier=tier, anonymous=True)[0].usd_per_day == 0.1


def test_a_tier_that_an_admin_gave_comes_before_the_one_in_the_token() -> None:
    assert caps(tier="pro")[0].usd_per_day == 9
    assert caps(OwnLimits(tier="gone"), tier="pro") == (EVERYBODY, None)
    assert caps(OwnLimits(tier="pro", limits=LimitsOverride(concurrent=1))) == (
        UserLimits(usd_per_day=9, concurrent=1),
        "pro",
    )


@pytest.mark.parametrize(
    "odd", [-1, -0.01, 1e9, 10**30, math.nan, math.inf, "5", True, None, [], {"usd": 1}]
)
def test_a_limit_that_was_typed_wrong_is_as_if_it_were_not_there(odd: Any) -> None:
    own = read_own_limits({"limits": {"usdPerDay": odd, "concurrent": 3}})
    assert own == OwnLimits(limits=LimitsOverride(concurrent=3))
    assert caps(own)[0] == UserLimits(usd_per_day=2, concurrent=3)


@pytest.mark.parametrize("odd", [None, 0, "no", [], True])
def test_whatever_is_not_false_blocks(odd: Any) -> None:
    assert read_own_limits({"blocked": odd}).blocked
    assert not read_own_limits({"blocked": False}).blocked
    assert not read_own_limits({}).blocked


def test_a_user_without_an_account_has_smaller_limits_from_the_start_and_a_day_has_an_end() -> None:
    policy = CapPolicy(anonymous=ANONYMOUS)
    known, _ = resolve(policy, OwnLimits(), tier=None, anonymous=False)
    unknown, _ = resolve(policy, OwnLimits(), tier=None, anonymous=True)
    for name in ("requests_per_minute", "concurrent", "usd_per_day", "usd_per_month"):
        assert getattr(unknown, name) < getattr(known, name)
    # a free OpenRouter account has 50 requests a day, and a title may come with each
    assert unknown.requests_per_day is not None
    assert 2 * unknown.requests_per_day < 50
