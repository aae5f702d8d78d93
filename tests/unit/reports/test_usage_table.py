"""The rows of a report as a table: exact, in order, and harmless in a spreadsheet."""

import csv
import io
from datetime import date
from typing import Any

import pytest

from firerouter.contract import GetUsageReport, parse
from firerouter.errors import InvalidArgument
from firerouter.limits import REPORT_DAYS_MAX
from firerouter.reports.sums import Cell, CellUsage
from firerouter.reports.usage_report import days_of
from firerouter.reports.usage_table import Groups, Row, csv_text, harmless, ordered, wire_sums

TODAY = date(2026, 7, 14)


def report(**fields: Any) -> GetUsageReport:
    return parse(GetUsageReport, fields)


def table(*rows: Row, by: Any = ("model",)) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_text(rows, by, with_head=True))))


# -- days ------------------------------------------------------------------------------------------


def test_a_report_covers_a_week_unless_it_says_otherwise() -> None:
    days = days_of(report(), TODAY)
    assert (days[0], days[-1], len(days)) == ("20260708", "20260714", 7)
    assert days_of(report(lastDay="2026-03-01"), TODAY)[-3:] == ["20260227", "20260228", "20260301"]
    assert days_of(report(firstDay="2026-07-14"), TODAY) == ["20260714"]
    assert len(days_of(report(lastDay="0001-01-03"), TODAY)) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"firstDay": "2016-07-14"},
        {"firstDay": "2016-07-14", "lastDay": "2026-07-14"},
        {"firstDay": "0001-01-01", "lastDay": "9999-12-31"},
    ],
)
def test_a_report_over_ten_years_is_refused_with_the_bound(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match=f"{REPORT_DAYS_MAX} days at most") as refused:
        days_of(report(**fields), TODAY)
    assert refused.value.details["max"] == REPORT_DAYS_MAX


def test_the_longest_report_is_a_leap_year() -> None:
    assert len(days_of(report(firstDay="2024-01-01", lastDay="2024-12-31"), TODAY)) == 366


def test_a_report_from_tomorrow_on_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="must not be after"):
        days_of(report(firstDay="2026-07-15"), TODAY)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"firstDay": "2026-02-30"}, "firstDay"),
        ({"firstDay": "14.7.2026"}, "firstDay"),
        ({"firstDay": "2026-07-14T00:00:00Z"}, "firstDay"),
        ({"firstDay": "2026-7-1"}, "firstDay"),
        ({"firstDay": 20260714}, "firstDay"),
        ({"firstDay": "2026-07-14", "lastDay": "2026-07-13"}, "firstDay"),
        ({"groupBy": []}, "groupBy"),
        ({"groupBy": ["day", "day"]}, "groupBy"),
        ({"groupBy": ["provider"]}, "groupBy[0]"),
        ({"users": []}, "users"),
        ({"users": ["a"] * 2}, "users"),
        ({"users": [str(n) for n in range(31)]}, "users"),
        ({"revisions": [-1]}, "revisions[0]"),
        ({"topUsers": 51}, "topUsers"),
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 1001}, "pageSize"),
        ({"format": "xls"}, "format"),
        ({"sql": "1=1"}, "sql"),
    ],
)
def test_what_no_report_takes_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        report(**fields)
    assert refused.value.details["field"] == field


# -- rows ------------------------------------------------------------------------------------------


def test_groups_add_up_and_come_in_order() -> None:
    groups = Groups(["tier", "revision"])
    for revision, tier, nano_usd in ((2, "pro", 5), (10, None, 7), (2, "pro", 6), (1, "pro", 1)):
        cell = Cell("chat", "m", revision, tier)
        groups.add(CellUsage("20260714", cell, {("nanoUsd",): nano_usd, ("requests",): 1}))
    rows = groups.rows()
    assert [row.key for row in rows] == [("", 10), ("pro", 1), ("pro", 2)]
    assert [row.key for row in ordered(rows, "cost")] == [("pro", 2), ("", 10), ("pro", 1)]
    assert ordered(rows, "requests")[0].key == ("pro", 2)


@pytest.mark.parametrize("nano_usd", [0, 1, 10**9, 123_456_789_012_345, 9_007_199_254_740_991])
def test_amounts_keep_their_billionths(nano_usd: int) -> None:
    assert round(wire_sums({("nanoUsd",): nano_usd})["cost"] * 10**9) == nano_usd
    head, row = table(Row(("m",), {("nanoUsd",): nano_usd}))
    whole, _, part = row[head.index("cost")].partition(".")
    assert int(whole) * 10**9 + int(part.ljust(9, "0")) == nano_usd


# -- CSV -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@preset/x", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x","y")'],
)
def test_a_cell_that_a_spreadsheet_would_run_is_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    _, row = table(Row((cell,), {}))
    assert row[0] == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=b", 'quote"d', "a,b", "two\nlines", "日本", -5, 0])
def test_every_other_cell_is_as_it_was(cell: str | int) -> None:
    _, row = table(Row((cell,), {}))
    assert row[0] == str(cell)


def test_the_head_names_each_column_once_and_pages_can_be_joined() -> None:
    sums = {("errors", "no_credit"): 2, ("firstTokenMs", "b50"): 1, ("requests",): 3}
    rows = [Row(("a", 1), sums), Row(("b", 2), {})]
    by = ("model", "revision")
    whole = csv_text(rows, by, with_head=True)  # type: ignore[arg-type]
    pages = [csv_text([row], by, with_head=row is rows[0]) for row in rows]  # type: ignore[arg-type]
    assert whole == "".join(pages)
    head, first, second = csv.reader(io.StringIO(whole))
    assert len(set(head)) == len(head) == len(first) == len(second)
    found = dict(zip(head, first, strict=True))
    assert found["errors"] == "no_credit 2"
    assert (found["firstTokenMs.p50"], found["totalMs.p50"]) == ("112", "")
