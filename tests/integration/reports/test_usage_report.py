"""`get_usage_report` says what the ledger adds up to, whatever it groups by and filters."""

import csv
import io
import random
from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from firerouter.app.limits import Limits
from firerouter.errors import InvalidArgument
from firerouter.reports import ReportLimits
from tests.support.ended_entries import ended, write_ended, write_entries
from tests.support.eventually import until
from tests.support.faulty_firestore import CommitCounter
from tests.support.in_process import Instance, World

DAYS = {"firstDay": "2026-07-14", "lastDay": "2026-07-16"}
PARTS = ("day", "feature", "model", "revision", "tier", "user")
FILTERS = {
    "features": ["chat"],
    "models": ["sim/paid", "odd/model.with`signs`"],
    "revisions": [2],
    "tiers": [""],
    "users": ["ann", "cy/d.e", "nobody"],
}
PART_OF = dict(zip(FILTERS, PARTS[1:], strict=True))


def reporting(world: World, **bounds: float) -> Instance:
    return world.instance(limits=Limits(reports=replace(ReportLimits(), **bounds)))  # type: ignore[arg-type]


async def report(instance: Instance, **request: Any) -> Any:
    return await instance.call("get_usage_report", {**DAYS, "topUsers": 0, **request})


async def filled(world: World, count: int = 120, **fields: Any) -> Instance:
    """A project whose ledger is counted."""
    await write_ended(world, count, **fields)
    instance = reporting(world)
    await instance.app.reports.rollup.run()
    return instance


class Expected:
    """What a report has to say, from the ledger's entries alone."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries = [{**entry, **self._grain(entry)} for entry in entries]

    @classmethod
    async def of(cls, world: World) -> "Expected":
        return cls(list((await world.all("generations")).values()))

    def _grain(self, entry: dict[str, Any]) -> dict[str, Any]:
        day = f"{entry['createdAt']:%Y-%m-%d}"
        return {"day": day, "user": entry["uid"], "tier": entry.get("tier", "")}

    def rows(self, by: Any, filters: dict[str, Any]) -> dict[Any, tuple[int, int, int]]:
        """Return (requests, nano dollars, prompt tokens) of each group."""
        found: dict[Any, list[int]] = {}
        for entry in self._entries:
            if all(entry[PART_OF[name]] in values for name, values in filters.items()):
                row = found.setdefault(tuple(entry[part] for part in by), [0, 0, 0])
                row[0] += 1
                row[1] += entry["costNanoUsd"]
                row[2] += entry["usage"]["promptTokens"]
        return {key: (row[0], row[1], row[2]) for key, row in found.items()}


def told(row: Any) -> tuple[int, int, int]:
    return row["requests"], round(row["cost"] * 10**9), row["promptTokens"]


# -- groups and filters ----------------------------------------------------------------------------


async def test_groups_and_filters_combine(world: World) -> None:
    instance = await filled(world)
    expected = await Expected.of(world)
    dice = random.Random(3)
    groups = [by for size in (1, 2, 6) for by in combinations(PARTS, size)]
    for by in groups:
        names = dice.sample(sorted(FILTERS), dice.randrange(3))
        for filters in ({}, {name: FILTERS[name] for name in names}):
            page = await report(instance, groupBy=list(by), pageSize=1000, **filters)
            rows = {tuple(row[part] for part in by): told(row) for row in page["rows"]}
            assert rows == expected.rows(by, filters), (by, filters)
            assert told(page["totals"]) == tuple(map(sum, zip(*rows.values(), strict=True)))
            assert [*rows] == sorted(rows)


async def test_what_a_row_says_of_its_generations(world: World) -> None:
    fields = {"createdAt": ended(random.Random(0))["createdAt"], "costIsEstimate": False}
    answers: list[dict[str, Any]] = [
        {"timing": {"firstTokenMs": ms, "totalMs": 10 * ms}, "status": "done", "error": None}
        for ms in (100, 200, 300, 10_000)
    ]
    others: list[dict[str, Any]] = [
        {"status": "failed", "error": "no_credit", "timing": {}},
        {"status": "done", "error": None, "cached": True, "savedNanoUsd": 7, "costNanoUsd": 0},
        {
            "status": "stopped",
            "error": None,
            "costIsEstimate": True,
            "costNanoUsd": 5,
            "test": True,
        },
    ]
    entries = [ended(random.Random(1), **{**fields, **more}) for more in (*answers, *others)]
    await write_entries(world, entries)
    instance = reporting(world)
    await instance.app.reports.rollup.run()
    totals = (await report(instance))["totals"]
    assert (totals["requests"], totals["done"], totals["stopped"], totals["failed"]) == (7, 5, 1, 1)
    assert totals["errors"] == {"no_credit": 1}
    assert (totals["cacheHits"], totals["savedCost"]) == (1, 7e-9)
    assert (totals["estimates"], totals["estimatedCost"], totals["tests"]) == (1, 5e-9, 1)
    assert totals["totalMs"]["p50"] == pytest.approx(2_000, rel=0.05)
    assert totals["totalMs"]["p99"] == pytest.approx(100_000, rel=0.05)


async def test_nothing_was_counted_yet(world: World) -> None:
    page = await report(reporting(world), topUsers=5)
    assert (page["rows"], page["rowCount"], page["countedUpTo"]) == ([], 0, None)
    assert page["totals"]["requests"] == 0
    assert page["totals"]["firstTokenMs"] is None
    assert (page["topUsers"], page["topUsersAreExact"]) == ([], True)


# -- pages and tables ------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["group", "cost", "requests"])
async def test_pages_have_every_row_once(world: World, sort: str) -> None:
    instance = await filled(world)
    request = {"groupBy": ["model", "user", "day"], "sort": sort}
    whole = await report(instance, pageSize=1000, **request)
    rows: list[Any] = []
    page = await report(instance, pageSize=7, **request)
    while True:
        rows += page["rows"]
        if "nextPageToken" not in page:
            break
        page = await report(instance, pageSize=7, pageToken=page["nextPageToken"], **request)
    assert rows == whole["rows"]
    assert len(rows) == whole["rowCount"] > 14
    if sort != "group":
        measured = [row[sort] for row in rows]
        assert measured == sorted(measured, reverse=True)


async def test_a_token_belongs_to_its_report(world: World) -> None:
    instance = await filled(world, 30)
    page = await report(instance, groupBy=["user"], pageSize=1)
    with pytest.raises(InvalidArgument, match="different filters"):
        await report(instance, groupBy=["model"], pageToken=page["nextPageToken"])
    with pytest.raises(InvalidArgument, match="nextPageToken of an earlier response"):
        await report(instance, pageToken="x")


async def test_a_table_says_what_the_rows_say_and_runs_nothing(world: World) -> None:
    instance = await filled(world, 10, uid="=cmd|' /C calc'!A0")
    request = {"groupBy": ["user", "model"]}
    page = await report(instance, **request)
    table = (await report(instance, format="csv", **request))["csv"]
    lines = list(csv.DictReader(io.StringIO(table)))
    assert [line["model"] for line in lines] == [row["model"] for row in page["rows"]]
    assert [float(line["cost"]) for line in lines] == [row["cost"] for row in page["rows"]]
    assert {line["user"] for line in lines} == {"'=cmd|' /C calc'!A0"}


# -- bounds ----------------------------------------------------------------------------------------


async def test_a_report_over_ten_years_is_refused_with_the_bound(world: World) -> None:
    refused = await reporting(world).refusal("get_usage_report", {"firstDay": "2016-07-14"})
    assert (refused.reason, refused.details["max"]) == ("invalid_argument", 366)


@pytest.mark.parametrize("group", ["user", "model"])
async def test_a_report_that_reads_too_much_is_refused_with_the_bound(
    world: World, group: str
) -> None:
    await filled(world)
    instance = reporting(world, report_documents_max=8)
    with pytest.raises(InvalidArgument, match="more than 8 documents"):
        await report(instance, groupBy=[group])
    assert (await report(instance))["totals"]["requests"] == 120


# -- the users with the most -----------------------------------------------------------------------


@pytest.mark.parametrize("read", [2, 20, 1000])
async def test_the_top_users_are_exact_or_it_is_said_that_they_are_not(
    world: World, read: int
) -> None:
    dice = random.Random(read)
    entries = [ended(dice, uid=f"u{min(int(dice.paretovariate(1)), 40)}") for _ in range(300)]
    await write_entries(world, entries)
    instance = reporting(world, top_users_read=read)
    await instance.app.reports.rollup.run()
    rows = (await Expected.of(world)).rows(["user"], {})
    page = await report(instance, topUsers=5)
    for user in page["topUsers"]:
        requests, nano_usd, _ = rows[user["user"],]
        assert (user["requests"], round(user["cost"] * 10**9)) == (requests, nano_usd)
    first = sorted(rows, key=lambda key: -rows[key][1])[:5]
    if page["topUsersAreExact"]:
        assert [(user["user"],) for user in page["topUsers"]] == first
    assert page["topUsersAreExact"] or read == 2


async def test_where_nothing_costs_anything_those_with_the_most_requests_are_listed(
    world: World,
) -> None:
    instance = await filled(world, costNanoUsd=0)
    page = await report(instance, topUsers=2)
    counts = Counter(entry["uid"] for entry in (await world.all("generations")).values())
    assert [user["requests"] for user in page["topUsers"]] == sorted(counts.values())[:-3:-1]


async def test_grouped_by_user_the_top_users_pass_the_filters(world: World) -> None:
    instance = await filled(world)
    page = await report(instance, groupBy=["user"], features=["chat"], sort="cost", topUsers=3)
    assert [user["user"] for user in page["topUsers"]] == [row["user"] for row in page["rows"][:3]]
    assert "topUsers" not in await report(instance, features=["chat"], topUsers=3)


# -- refusals --------------------------------------------------------------------------------------


async def test_refusals_are_counted_and_written_once_in_a_while(world: World) -> None:
    instance = reporting(world, refusals_flush_s=0.2)
    counter = CommitCounter()
    instance.commits(counter)
    refusals = instance.app.refusals
    for _ in range(50):
        refusals.count("requestsPerMinute", "chat")
    refusals.count("feature.usdPerDay", "chat")
    refusals.count("concurrent", "odd-name")

    async def counted() -> list[Any]:
        page = await instance.call("get_usage_report", {})
        return page["refusals"]  # type: ignore[no-any-return]

    assert await until(counted) == [
        {"feature": "chat", "limit": "requestsPerMinute", "count": 50},
        {"feature": "chat", "limit": "feature.usdPerDay", "count": 1},
        {"feature": "odd-name", "limit": "concurrent", "count": 1},
    ]
    assert counter.sent == 1
    refusals.count("concurrent", "chat")
    await refusals.flush()
    page = await instance.call("get_usage_report", {"features": ["chat"]})
    assert [one["count"] for one in page["refusals"]] == [50, 1, 1]
    assert (page["rows"], page["rowCount"]) == ([], 0)


async def test_refusals_beyond_the_bound_and_lost_writes_hold_up_nobody(world: World) -> None:
    instance = reporting(world, refusals_max=2)
    refusals = instance.app.refusals
    for feature in ("a", "b", "c", "a"):
        refusals.count("concurrent", feature)
    instance.commits(CommitCounter(loses={1}))
    await refusals.flush()  # it is written, though nobody hears of it
    await refusals.flush()
    page = await instance.call("get_usage_report", {})
    assert {one["feature"]: one["count"] for one in page["refusals"]} == {"a": 2, "b": 1}
