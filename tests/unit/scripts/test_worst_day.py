"""`./scripts/worst-day`: from measured calls, limits and prices to dollars a day."""

import pytest

from firerouter import limits as wire
from firerouter.app.callables import RESOURCES
from firerouter.users.limits import CallLimits
from scripts.worst_day import list_prices as price
from scripts.worst_day import page
from scripts.worst_day.worst_case import (
    DAY_CALLS,
    DAY_MINUTES,
    DAY_S,
    MIX,
    Taken,
    flood_usd,
    instance_day_usd,
    instances_for,
    most_calls,
    rows,
)

TARGET_USD = 5
LOOK = Taken("list_features", "", reads=10, writes=0, deletes=0, cpu_ms=1, sent_bytes=0)


def test_a_call_costs_what_it_reads_writes_deletes_and_sends() -> None:
    taken = Taken("", "", 100_000, 100_000, 100_000, cpu_ms=0, sent_bytes=2**30)
    assert taken.usd == pytest.approx(0.038 + 0.115 + 0.013 + price.EGRESS_GIB_USD)


def test_a_pace_lets_so_many_calls_go_on_and_heavy_ones_fewer() -> None:
    most = CallLimits().look.per_minute * DAY_MINUTES
    heavy = Taken("", "", 1, 0, 0, 0, 0, units=4)
    assert most_calls(LOOK, "look", anonymous=False) == most
    assert most_calls(heavy, "look", anonymous=False) == most / 4
    assert most_calls(LOOK, "look", anonymous=True) == most * CallLimits().anonymous_share


def test_what_asks_a_model_has_the_ledgers_limits_too() -> None:
    asked = most_calls(LOOK, "ask", anonymous=False)
    assert asked == wire.REQUESTS_PER_MINUTE * DAY_MINUTES
    assert most_calls(LOOK, "ask", anonymous=True) == wire.ANONYMOUS_REQUESTS_PER_DAY


def test_calls_of_one_function_overlap_and_those_of_several_do_not() -> None:
    assert instances_for(DAY_CALLS, 1, 1) == 1
    assert instances_for(DAY_CALLS, 1, 50) == 5  # 50 a second, 100 ms each
    assert instances_for(DAY_CALLS, 100, 1) == 5  # what the CPU needs is billed at least
    assert instances_for(DAY_S, 1, 50) == pytest.approx(0.1)


def test_a_flood_is_billed_by_requests_and_instances() -> None:
    nothing = Taken("", "", 0, 0, 0, 0, 0)
    requests = DAY_CALLS * price.REQUEST_USD
    assert flood_usd(DAY_CALLS, nothing, 1) == pytest.approx(requests + instance_day_usd())
    memory = RESOURCES.memory_mb / 1024 * price.MEMORY_GIB_S_USD
    assert instance_day_usd() == pytest.approx(DAY_S * (RESOURCES.cpus * price.CPU_S_USD + memory))


def test_one_account_costs_little_more_than_a_stranger() -> None:
    """The rest is what Google charges for a flood that nobody lets in."""
    table = rows(page.stored()[1])
    assert {row.caller for row in table} == {"free account", "anonymous account", "stranger"}
    for row in table:
        if row.does.startswith("`") or row.does == MIX:
            assert row.calls_usd < TARGET_USD, row
    (mix, _) = (row for row in table if row.does == MIX)
    alone = [row for row in table if row.caller == mix.caller and row.does.startswith("`")]
    assert mix.calls_usd < sum(row.calls_usd for row in alone) * 2
    assert max(row.accepted for row in table) <= DAY_CALLS
