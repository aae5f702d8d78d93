"""Alerts, once for each cause and day: ceilings, unusual days, what OpenRouter says it charged."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firerouter.app.limits import Limits
from firerouter.errors import KeyInvalid, UpstreamTimeout
from firerouter.keys import Secret
from firerouter.ledger import Ceiling
from firerouter.openrouter import KeyReport
from firerouter.reports import AccountCheck, Alerts, CostCheck, ReportLimits
from tests.support.ended_entries import write_ended
from tests.support.in_process import World

DOLLAR = 10**9
NOW = datetime(2026, 7, 14, 12, tzinfo=UTC)


CEILING = Ceiling(usd_per_day=10.0, usd_per_month=100.0)


class Watch:
    """The checks of one project, and their clock."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = NOW
        self.ceiling: Ceiling = CEILING
        self.account = Account()
        limits = ReportLimits()
        app = world.instance().app
        alerts = Alerts(world.firestore, limits=limits, now=lambda: self.now)

        async def ceiling() -> Ceiling:
            return self.ceiling

        self.spending = CostCheck(
            world.firestore, alerts=alerts, ceiling=ceiling, limits=limits, now=lambda: self.now
        )
        self.accounts = AccountCheck(
            world.firestore,
            alerts=alerts,
            keys=app.keys.pool,
            openrouter=lambda: self.account,
            limits=limits,
            now=lambda: self.now,
        )

    async def ids(self) -> list[str]:
        return sorted(await self.world.all("alerts"))

    async def spend(self, *, day: float = 0.0, month: float = 0.0) -> None:
        """Have two shards hold what was spent, in dollars."""
        half = {
            "days": {f"{self.now:%d}": {"nanoUsd": int(day * DOLLAR) // 2}},
            "month": {"nanoUsd": int(month * DOLLAR) // 2},
        }
        for shard in (0, 7):
            await self.world.write(f"ceilings/{self.now:%Y%m}/shards/{shard}", half)

    async def cost(self, days_ago: int, usd: float) -> None:
        day = self.now - timedelta(days=days_ago)
        await self.world.write(f"usage/{day:%Y%m%d}", {"sums": {"nanoUsd": int(usd * DOLLAR)}})


@dataclass
class Account:
    """What OpenRouter says of its keys, by their versions: spent in all, and today."""

    spent: dict[int | None, tuple[float | None, float | None]] = field(default_factory=dict)
    failing: Exception | None = None
    asked: list[int | None] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    async def key_report(self, key: Secret) -> KeyReport:
        self.asked.append(key.version)
        self.meanwhile()
        if self.failing is not None:
            raise self.failing
        spent, today = self.spent[key.version]
        return KeyReport(
            is_management_key=False,
            is_free_tier=False,
            usage_usd=spent,
            usage_today_usd=today,
            limit_usd=None,
            limit_remaining_usd=None,
            limit_reset=None,
            expires_at=None,
            free_model_requests_today=None,
        )


@pytest.fixture
async def watch(world: World) -> Watch:
    await world.write("config/app", {"keys": {"default": [{"version": 1}]}})
    return Watch(world)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the alerts in the log since the last time."""
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in written if line["message"].startswith("alert_")]


# -- ceilings --------------------------------------------------------------------------------------


async def test_each_share_of_a_ceiling_is_told_once(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, expected in ((4.9, []), (5.0, [50]), (7.99, []), (8.0, [80]), (10.0, [100])):
        await watch.spend(day=day)
        for _ in range(2):
            await watch.spending.run()
        assert [line["share"] for line in lines(capsys)] == expected
    assert await watch.ids() == [f"20260714-ceiling-day-{share}" for share in (100, 50, 80)]
    alert = await watch.world.document("alerts/20260714-ceiling-day-80")
    assert (
        alert["message"] == "The app has reached 80% of its ceiling for the day: $8.00 of $10.00."
    )
    assert (alert["kind"], alert["day"], alert["nanoUsd"]) == ("ceiling", "20260714", 8 * DOLLAR)
    assert alert["expireAt"] > alert["at"]


async def test_a_ceiling_that_is_passed_at_once_is_told_once(watch: Watch) -> None:
    await watch.spend(day=99)
    assert await watch.spending.run() == 1
    await watch.spend(day=6)  # what was reserved is given back
    assert await watch.spending.run() == 0
    assert await watch.ids() == ["20260714-ceiling-day-100"]


async def test_a_new_day_and_a_new_month_begin_anew(watch: Watch) -> None:
    for at in (NOW, NOW + timedelta(days=1), NOW + timedelta(days=31)):
        watch.now = at
        await watch.spend(day=5, month=81)
        await watch.spending.run()
    assert await watch.ids() == [
        "202607-ceiling-month-80",
        "20260714-ceiling-day-50",
        "20260715-ceiling-day-50",
        "202608-ceiling-month-80",
        "20260814-ceiling-day-50",
    ]


async def test_with_a_ceiling_of_nothing_and_nothing_spent_there_is_nothing_to_tell(
    watch: Watch,
) -> None:
    watch.ceiling = Ceiling(usd_per_day=0, usd_per_month=0)
    assert await watch.spending.run() == 0


# -- unusual days ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("week", "today", "told"),
    [
        ([2, 2, 2, 2, 2, 2, 2], 6.0, False),
        ([2, 2, 2, 2, 2, 2, 2], 6.01, True),
        ([2, 2, 2, 2, 90, 90, 90], 6.01, True),
        ([0, 0, 0, 2, 2, 2, 2], 6.01, True),
        ([], 1.01, True),
        ([], 0.99, False),
        ([0.1] * 7, 0.9, False),
    ],
)
async def test_a_day_that_costs_three_times_the_median_is_told(
    watch: Watch, week: list[float], today: float, told: bool
) -> None:
    for back, usd in enumerate(week, 1):
        await watch.cost(back, usd)
    await watch.cost(0, today)
    for _ in range(2):
        await watch.spending.run()
    assert await watch.ids() == (["20260714-unusual-cost"] if told else [])


async def test_what_is_counted_after_midnight_is_told_of_the_day_before(watch: Watch) -> None:
    await watch.cost(1, 50.0)
    await watch.spending.run()
    assert await watch.ids() == ["20260713-unusual-cost"]


# -- OpenRouter's own account ----------------------------------------------------------------------


async def counted(watch: Watch, day: datetime, usd: float) -> None:
    """Have the ledger say that a key was charged so much on a day, some of it past OpenRouter."""
    attempt = {"keyVersion": 1, "costNanoUsd": int(usd * DOLLAR) + 7, "byokNanoUsd": 7}
    await write_ended(watch.world, 1, createdAt=day, attempts=[attempt])
    await watch.world.instance().app.reports.rollup.run()


async def test_a_key_is_held_against_the_ledger_once_a_day(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    day = timedelta(days=1)
    watch.account.spent = {1: (100.0, 3.0)}
    assert await watch.accounts.run() == 0  # from now on it is known what the key had spent
    await counted(watch, NOW, 20.0)
    watch.account.spent = {1: (121.0, 4.0)}
    watch.now = NOW + day  # 117 at the end of the day, 97 at the end of the one before
    for _ in range(3):
        assert await watch.accounts.run() == 0
    assert watch.account.asked == [1, 1]

    await counted(watch, NOW + day, 5.0)
    watch.account.spent = {1: (130.0, 0.0)}
    watch.now = NOW + 2 * day  # 13 that day, of which the ledger knows 5
    for _ in range(2):
        await watch.accounts.run()
    (line,) = lines(capsys)
    assert (line["message"], line["id"]) == ("alert_account", "20260715-account-v1")
    assert (line["key"], line["chargedNanoUsd"], line["ledgerNanoUsd"]) == (
        "v1",
        13 * DOLLAR,
        5 * DOLLAR,
    )
    alert = await watch.world.document("alerts/20260715-account-v1")
    assert alert["message"].startswith("On 2026-07-15 (UTC), OpenRouter charged $13.00")


@pytest.mark.parametrize(
    ("charged", "ledger", "told"),
    [
        (10.0, 10.0, False),
        (10.0, 9.91, False),  # under 10 cents
        (1000.0, 991.0, False),  # under 1 %
        (1000.0, 989.0, True),
        (989.0, 1000.0, True),
        (0.11, 0.0, True),
        (0.09, 0.0, False),
    ],
)
async def test_a_difference_is_told_that_is_over_a_hundredth_and_ten_cents(
    watch: Watch, charged: float, ledger: float, told: bool
) -> None:
    watch.account.spent = {1: (0.0, 0.0)}
    await watch.accounts.run()
    await counted(watch, NOW, ledger)
    watch.account.spent = {1: (charged, 0.0)}
    watch.now = NOW + timedelta(days=1)
    assert await watch.accounts.run() == int(told)


async def test_days_that_were_missed_are_checked_together(watch: Watch) -> None:
    watch.account.spent = {1: (1.0, 0.0)}
    await watch.accounts.run()
    for back in range(3):
        await counted(watch, NOW + timedelta(days=back), 4.0)
    watch.account.spent = {1: (14.5, 0.0)}
    watch.now = NOW + timedelta(days=3)
    assert await watch.accounts.run() == 1
    (id_,) = await watch.ids()
    alert = await watch.world.document(f"alerts/{id_}")
    assert alert["message"].startswith("From 2026-07-14 to 2026-07-16 (UTC), OpenRouter charged")
    assert (alert["firstDay"], alert["ledgerNanoUsd"]) == ("20260714", 12 * DOLLAR)


async def test_a_day_is_checked_once_its_estimates_had_time(watch: Watch) -> None:
    watch.account.spent = {1: (1.0, 0.0)}
    await watch.accounts.run()
    watch.now = NOW.replace(hour=0) + timedelta(days=1, hours=5)
    await watch.accounts.run()
    assert len(watch.account.asked) == 1
    watch.now += timedelta(hours=2)
    await watch.accounts.run()
    assert len(watch.account.asked) == 2


@pytest.mark.parametrize("error", [KeyInvalid(), UpstreamTimeout()])
async def test_what_openrouter_does_not_say_is_asked_again(watch: Watch, error: Exception) -> None:
    watch.account.failing = error
    assert await watch.accounts.run() == 0
    watch.account.failing, watch.account.spent = None, {1: (None, 1.0)}
    assert await watch.accounts.run() == 0
    watch.account.spent = {1: (5.0, 1.0)}
    assert await watch.accounts.run() == 0
    stored = await watch.world.document("usage/accounts/keys/v1")
    assert stored == {"day": "20260713", "totalNanoUsd": 4 * DOLLAR}


async def test_an_answer_that_comes_after_midnight_counts_for_no_day(watch: Watch) -> None:
    def midnight() -> None:
        watch.now = NOW + timedelta(days=1)

    watch.account.spent, watch.account.meanwhile = {1: (5.0, 1.0)}, midnight
    await watch.accounts.run()
    assert await watch.world.document("usage/accounts/keys/v1") == {}


async def test_before_a_key_was_stored_the_newest_is_checked(world: World) -> None:
    watch = Watch(world)
    watch.account.spent = {1: (0.0, 0.0)}
    await watch.accounts.run()
    await counted(watch, NOW, 2.0)
    watch.account.spent = {1: (3.0, 0.0)}
    watch.now = NOW + timedelta(days=1)
    assert await watch.accounts.run() == 1
    assert await watch.ids() == ["20260714-account-v1"]


async def test_without_a_key_there_is_nothing_to_check(world: World) -> None:
    await world.write("config/app", {"keys": {"default": []}})
    watch = Watch(world)
    assert await watch.accounts.run() == 0
    assert watch.account.asked == []


# -- the schedule ----------------------------------------------------------------------------------


async def test_the_schedule_does_all_of_it(world: World) -> None:
    await world.write("config/app", {"keys": {"default": [{"version": 1}]}})
    now = datetime.now(UTC)
    await write_ended(world, 2, createdAt=now, costNanoUsd=9 * DOLLAR)
    instance = world.instance()
    summary = await instance.app.reports.upkeep.run()
    assert summary == {"rolled": 2, "isBehind": False, "alerts": 1}
    assert await instance.app.reports.upkeep.run() == {"rolled": 0, "isBehind": False, "alerts": 0}
    assert (await world.document("usage/accounts/keys/v1"))["day"]


async def test_a_ledger_that_is_not_counted_to_its_end_is_held_against_nothing(
    world: World,
) -> None:
    limits = Limits(reports=replace(ReportLimits(), roll_up_s=0.0))
    summary = await world.instance(limits=limits).app.reports.upkeep.run()
    assert summary == {"rolled": 0, "isBehind": True, "alerts": 0}
    assert await world.document("usage/accounts/keys/v1") == {}
