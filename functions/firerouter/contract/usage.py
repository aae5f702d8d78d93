"""The request of `get_usage_report`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import Matches, invalid_part

T = TypeVar("T")
UsageGroup = Literal["day", "feature", "model", "revision", "tier", "user"]


def _in_calendar(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("day", "must be a day that exists") from None
    return value


def _distinct(values: list[T]) -> list[T]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("distinct", "must not name anything twice")
    return values


Day = Annotated[
    str,
    Matches(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "must be a day such as 2026-07-14"),
    AfterValidator(_in_calendar),
]
Wanted = Annotated[
    list[Annotated[str, Field(max_length=limits.REPORT_FILTER_MAX_CHARS)]],
    Field(min_length=1, max_length=limits.REPORT_FILTER_MAX),
    AfterValidator(_distinct),
]


class GetUsageReport(Record):
    """Report calls, tokens, cost, errors and durations, grouped by day, feature and so on.

    A generation belongs to the day (UTC) on which it was admitted. It is counted within minutes of
    its end, and again when its cost is corrected.
    """

    first_day: Day | None = None
    """The first day (UTC) of the report. Default: six days before the last one."""
    last_day: Day | None = None
    """The last day (UTC) of the report. Default: today."""
    group_by: Annotated[
        list[UsageGroup], Field(min_length=1, max_length=6), AfterValidator(_distinct)
    ] = ["day"]
    """What to group the rows by."""
    features: Wanted | None = None
    """Only generations of these features."""
    models: Wanted | None = None
    """Only those of these models: the one that answered, or else the first one called."""
    revisions: (
        Annotated[
            list[Annotated[int, Field(ge=0, le=limits.WHOLE_NUMBER_MAX)]],
            Field(min_length=1, max_length=limits.REPORT_FILTER_MAX),
            AfterValidator(_distinct),
        ]
        | None
    ) = None
    """Only those with these revisions of the feature's settings."""
    tiers: Wanted | None = None
    """Only those of users in these tiers; an empty string stands for users without a tier."""
    users: Wanted | None = None
    """Only those of these users, by uid."""
    sort: Literal["group", "cost", "requests"] = "group"
    """Whether to sort the rows by group, or by highest cost or most requests first."""
    top_users: Annotated[int, Field(ge=0, le=limits.REPORT_TOP_USERS_MAX)] = 10
    """How many of the users with the highest cost to list; 0 for none."""
    format: Literal["json", "csv"] = "json"
    """How the rows are returned: as `rows`, or as text in `csv`."""
    page_size: Annotated[int, Field(ge=1, le=limits.REPORT_PAGE_MAX)] = limits.REPORT_PAGE
    """The maximum number of rows of a page."""
    page_token: Annotated[str, Field(max_length=limits.PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the previous page of the same report."""

    @model_validator(mode="after")
    def _in_order(self) -> GetUsageReport:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise invalid_part("firstDay", "must not be after lastDay")
        return self
