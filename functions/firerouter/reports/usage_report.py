"""The callable `get_usage_report`: what was spent on what, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from google.cloud.firestore import AsyncClient

from ..callable import Call
from ..contract import (
    GetUsageReport,
    RefusalCount,
    TopUser,
    UsageReport,
    malformed_page_token,
    page_token,
    parse,
    read_page_token,
)
from ..errors import InvalidArgument, LedgerUnavailable
from ..firestore import translated
from ..limits import REPORT_DAYS_MAX
from ..users import Caller
from . import usage_table
from .limits import ReportLimits
from .sums import NANO_USD, REQUESTS, Cell, CellUsage, Sums, add
from .top_users import TopUsers, find_top_users
from .usage_reader import DayUsage, Measure, TooManyDocuments, UsageReader, UserUsage
from .usage_table import GroupKey, Row

DEFAULT_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read for a report.

    Attributes:
        days: The days that have any data.
        rows: All groups, sorted by group.
        top_users: The users with the highest totals; None if they are not listed.
        counted_up_to: When there was last nothing left to count.
    """

    days: list[DayUsage]
    rows: list[Row]
    top_users: TopUsers | None
    counted_up_to: datetime | None


class UsageReportCallable:
    """The callable `get_usage_report`."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        limits: ReportLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._limits = limits or ReportLimits()
        self._now = now

    async def get_usage_report(self, call: Call[Caller]) -> UsageReport:
        """Return one page of a report.

        Raises InvalidArgument, LedgerUnavailable, FirestoreForbidden.
        """
        request = parse(GetUsageReport, call.data)
        begin, last_key = _position(request)
        days = days_of(request, self._now().date())
        try:
            with translated(LedgerUnavailable, "usage_unavailable"):
                found = await self._read(request, days)
        except TooManyDocuments:
            raise InvalidArgument(
                f"This report would read more than {self._limits.report_documents_max:,} "
                "documents. Ask for fewer days, name users, or don't group by user.",
                field="firstDay",
            ) from None
        rows = usage_table.ordered(found.rows, request.sort)
        if last_key is not None:
            begin = _resume(rows, begin, last_key)
        return _page(request, days, found, rows, begin)

    async def _read(self, request: GetUsageReport, days: Sequence[str]) -> _Found:
        reader = UsageReader(self._firestore, limits=self._limits)
        counted_up_to = await reader.counted_up_to()
        known = await reader.days(days)
        groups, users = usage_table.Groups(request.group_by), usage_table.Groups(["user"])
        async for usage in _usages(reader, request, known):
            if usage_table.passes(request, usage):
                groups.add(usage)
                users.add(usage)
        rows = groups.rows()
        measure: Measure = "nanoUsd" if usage_table.total(rows).get(NANO_USD) else "requests"
        top_users = None
        if request.top_users and _reads_users(request):
            top_users = _first_of(users.rows(), measure, request.top_users)
        elif request.top_users and not _reads_cells(request):
            names = [day.day for day in known]
            top_users = await find_top_users(
                reader, names, measure, request.top_users, self._limits
            )
        return _Found(known, rows, top_users, counted_up_to)


def days_of(request: GetUsageReport, today: date) -> list[str]:
    """Return the days of a report. Raises InvalidArgument if there are too many."""
    last = date.fromisoformat(request.last_day) if request.last_day else today
    if request.first_day:
        first = date.fromisoformat(request.first_day)
    else:
        first = date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    count = (last - first).days + 1
    if count > REPORT_DAYS_MAX:
        raise InvalidArgument(
            f"A report covers {REPORT_DAYS_MAX} days at most; these are {count:,}.",
            field="firstDay",
            max=REPORT_DAYS_MAX,
        )
    if count < 1:
        raise InvalidArgument("firstDay must not be after lastDay.", field="firstDay")
    days = (first + timedelta(days=number) for number in range(count))
    return [day.isoformat().replace("-", "") for day in days]


# -- what a report reads ---------------------------------------------------------------------------


async def _usages(
    reader: UsageReader, request: GetUsageReport, known: Sequence[DayUsage]
) -> AsyncIterator[CellUsage]:
    """Yield the coarsest sums from which the report's groups and filters can be computed."""
    names = [day.day for day in known]
    if request.users is not None:
        found = reader.cells_of(request.users, names)
    elif _reads_users(request):
        found = reader.user_cells(names)
    elif _reads_cells(request) or request.group_by != ["day"]:
        found = reader.cells(names)
    else:
        found = _whole_days(known)
    async for usage in found:
        yield usage


async def _whole_days(known: Sequence[DayUsage]) -> AsyncIterator[CellUsage]:
    for day in known:
        if day.sums:  # a day may have nothing but refusals
            yield CellUsage(day.day, Cell(), day.sums)


def _reads_users(request: GetUsageReport) -> bool:
    return request.users is not None or "user" in request.group_by


def _reads_cells(request: GetUsageReport) -> bool:
    filters = (request.features, request.models, request.revisions, request.tiers)
    return any(values is not None for values in filters)


def _first_of(rows: Sequence[Row], measure: Measure, count: int) -> TopUsers:
    users = [
        UserUsage("", str(row.key[0]), row.sums.get(REQUESTS, 0), row.sums.get(NANO_USD, 0))
        for row in rows
    ]
    users.sort(key=lambda user: (-user.by(measure), user.uid))
    return TopUsers(users[:count], is_exact=True)


# -- the wire --------------------------------------------------------------------------------------


def _page(
    request: GetUsageReport,
    days: Sequence[str],
    found: _Found,
    rows: Sequence[Row],
    begin: int,
) -> UsageReport:
    end = begin + request.page_size
    counted_up_to = found.counted_up_to
    page: UsageReport = {
        "firstDay": usage_table.wire_day(days[0]),
        "lastDay": usage_table.wire_day(days[-1]),
        "totals": usage_table.wire_sums(usage_table.total(rows)),
        "rowCount": len(rows),
        "refusals": _refusals(request, found.days),
        "countedUpTo": None if counted_up_to is None else counted_up_to.isoformat(),
    }
    by = request.group_by
    if request.format == "csv":
        page["csv"] = usage_table.csv_text(rows[begin:end], by, with_head=begin == 0)
    else:
        page["rows"] = [usage_table.wire_row(row, by) for row in rows[begin:end]]
    if found.top_users is not None:
        page["topUsers"] = [_top_user(user) for user in found.top_users.users]
        page["topUsersAreExact"] = found.top_users.is_exact
    if end < len(rows):
        page["nextPageToken"] = page_token(request, end, rows[end - 1].key)
    return page


def _top_user(user: UserUsage) -> TopUser:
    cost = usage_table.usd(user.nano_usd)
    return {"user": user.uid, "requests": user.requests, "cost": cost}


def _refusals(request: GetUsageReport, days: Sequence[DayUsage]) -> list[RefusalCount]:
    """Return how many calls each limit refused, highest count first."""
    counts: Sums = {}
    for day in days:
        add(counts, day.refusals)
    found: list[RefusalCount] = [
        {"feature": path[0], "limit": path[1], "count": count}
        for path, count in counts.items()
        if len(path) == 2 and (request.features is None or path[0] in request.features)
    ]
    return sorted(found, key=lambda one: (-one["count"], one["feature"], one["limit"]))


def _position(request: GetUsageReport) -> tuple[int, GroupKey | None]:
    """Return where the page begins, and the last group before it. Raises InvalidArgument."""
    match read_page_token(request):
        case []:
            return 0, None
        case [int(begin), list(key)]:
            return begin, tuple(key)
    raise malformed_page_token()


def _resume(rows: Sequence[Row], begin: int, last_key: GroupKey) -> int:
    """Return where the page begins, although rows may have moved since the previous page."""
    for at, row in enumerate(rows):
        if row.key == last_key:
            return at + 1
    return min(max(begin, 0), len(rows))
