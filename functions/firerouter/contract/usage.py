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
        raise PydanticCustomError("day", "must be a day of the calendar") from None
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
    """Report what generations came to: calls, tokens, cost, errors and times, by day or otherwise.

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
    """What the rows are told apart by."""
    features: Wanted | None = None
    """Only generations of these features."""
    models: Wanted | None = None
    """Only those that these models answered, or were to answer first."""
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
    """Only those of users in these tiers; an empty text stands for users in no tier."""
    users: Wanted | None = None
    """Only those of these users, by uid."""
    sort: Literal["group", "cost", "requests"] = "group"
    """In the order of the groups, or those with the highest cost or the most requests first."""
    top_users: Annotated[int, Field(ge=0, le=limits.REPORT_TOP_USERS_MAX)] = 10
    """How many of the users with the highest cost are listed; 0 for none."""
    format: Literal["json", "csv"] = "json"
    """How the rows are returned: as `rows`, or as text in `csv`."""
    page_size: Annotated[int, Field(ge=1, le=limits.REPORT_PAGE_MAX)] = limits.REPORT_PAGE
    """How many rows a page has at most."""
    page_token: Annotated[str, Field(max_length=limits.PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the page before, for the same report."""

    @model_validator(mode="after")
    def _in_order(self) -> GetUsageReport:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise invalid_part("firstDay", "must not be after lastDay")
        return self
