"""What an admin set for one user, as another instance than the admin's sees it."""

from __future__ import annotations

import re
import secrets

import pytest

from firerouter.ledger import LedgerLimits
from firerouter.ledger.own_limits import OwnLimitsStore
from tests.support.in_process import World
from tests.support.repository import ROOT

LIMITS = LedgerLimits()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("idle_s", [LIMITS.own_limits_stale_s, 30.0, 3600.0])
async def test_a_block_holds_everywhere_within_the_stated_time(
    world: World, clock: Clock, idle_s: float
) -> None:
    uid = f"user-{secrets.token_hex(6)}"
    elsewhere = OwnLimitsStore(world.firestore, limits=LIMITS, clock=clock)
    assert not (await elsewhere.get(uid)).blocked
    await world.instance().call(
        "set_user_limits", {"uid": uid, "blocked": True, "limits": {"requestsPerDay": 1}}
    )
    clock.now += idle_s
    own = await elsewhere.get(uid)
    assert (own.blocked, own.limits.requests_per_day) == (True, 1)


async def test_a_user_who_calls_all_the_time_is_blocked_as_soon(world: World, clock: Clock) -> None:
    uid = f"user-{secrets.token_hex(6)}"
    elsewhere = OwnLimitsStore(world.firestore, limits=LIMITS, clock=clock)
    await elsewhere.get(uid)
    await world.instance().call("set_user_limits", {"uid": uid, "blocked": True})
    blocked_after = None
    while blocked_after is None and clock.now < LIMITS.own_limits_stale_s:
        clock.now += 1
        if (await elsewhere.get(uid)).blocked:
            blocked_after = clock.now
    assert blocked_after is not None


@pytest.mark.parametrize("page", ["docs/operations.md", "docs/reference/set_user_limits.md"])
def test_the_stated_time_is_the_one_that_holds(page: str) -> None:
    text = " ".join((ROOT / page).read_text("utf-8").split())
    stated = re.findall(r"within (\d+) seconds", text)
    assert f"{LIMITS.own_limits_stale_s:g}" in stated
