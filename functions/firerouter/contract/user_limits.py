"""The requests and results around users'"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict, get_args

from pydantic import BeforeValidator, Field

from ..limits import (
    NOTE_MAX_CHARS,
    PAGE_TOKEN_MAX_CHARS,
    SEARCH_MAX_CHARS,
    UID_MAX_CHARS,
    USERS_PER_PAGE,
    USERS_PER_PAGE_MAX,
)
from .base import Record, without_nulls
from .fields import Name

Removable = Literal[
    "tier",
    "requestsPerMinute",
    "requestsPerDay",
    "concurrent",
    "tokensPerDay",
    "usdPerDay",
    "usdPerMonth",
]
Uid = Annotated[str, Field(min_length=1, max_length=UID_MAX_CHARS)]


class GetAllowance(Record):
    """Get what is left of the user's own limits, and which answers are in progress."""

    feature: Name | None = None
    """A feature, whose own limits are listed as well."""


class LimitInfo(TypedDict):
    """One limit of a user."""

    limit: str
    """Its name, as `details.limit` of a refusal has it."""
    max: float
    """Its value: requests, tokens, answers, or US dollars where its name has `usd`."""
    used: float
    """What is used up, with all that answers in progress may still use."""
    left: float
    """The rest."""
    resetsAt: NotRequired[str]
    """When the next minute, day or month begins (UTC); absent for answers in progress."""


class Allowance(TypedDict):
    """What a user may still do."""

    limits: list[LimitInfo]
    """Every limit that the user has."""
    running: list[str]
    """The ids of the answers in progress, at most 50: `stop_generation` and `resume` take them."""
    tier: NotRequired[str]
    """The user's tier, if it has limits of its own."""


class SetUserLimits(Record):
    """Give one user other limits or another tier, or block them. What is not given stays."""

    uid: Uid
    """The user."""
    limits: Annotated[dict[str, Any], BeforeValidator(without_nulls)] = Field(default_factory=dict)
    """Limits of the user's own, as [LimitsOverride](#limitsoverride) has them."""
    tier: Name | None = None
    """The tier that the user has in place of the one in the ID token."""
    blocked: bool | None = None
    """Whether every call of the user is refused."""
    remove: Annotated[list[Removable], Field(max_length=len(get_args(Removable)))] = Field(
        default_factory=list
    )
    """What the user no longer has: limits of their own, by name, or `tier`."""
    note: Annotated[str, Field(max_length=NOTE_MAX_CHARS)] = ""
    """Why, for those who read the audit."""


class UserLimitsSaved(TypedDict):
    """What one user may do from now on."""

    uid: str
    """The user."""
    limits: Annotated[dict[str, Any], "LimitsOverride"]
    """The limits of the user's own."""
    tier: str | None
    """The tier that an admin gave the user."""
    blocked: bool
    """Whether every call of the user is refused."""


class ListUsers(Record):
    """List the users of the app with what they have used, or find one of them."""

    search: Annotated[str, Field(max_length=SEARCH_MAX_CHARS)] = ""
    """A whole email address or uid. Default: all users."""
    page_size: Annotated[int, Field(ge=1, le=USERS_PER_PAGE_MAX)] = USERS_PER_PAGE
    """The most users of one page."""
    page_token: Annotated[str, Field(max_length=PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the page before. Default: the first page."""


class UserInfo(TypedDict):
    """One user, and what they have used."""

    uid: str
    """The user's id."""
    email: NotRequired[str]
    """Their email address, if the account has one."""
    anonymous: bool
    """They are signed in without an account."""
    disabled: bool
    """The account is disabled in Firebase Authentication."""
    tier: NotRequired[str]
    """The tier of the account's custom claim, or the one that an admin gave in its place."""
    blocked: bool
    """An admin blocked the user with `set_user_limits`."""
    limits: Annotated[dict[str, Any], "LimitsOverride"]
    """The limits of the user's own."""
    requestsToday: int
    """Requests of this day (UTC)."""
    tokensToday: int
    """Tokens of this day, with what answers in progress may still use."""
    usdToday: float
    """US dollars of this day, likewise."""
    usdThisMonth: float
    """US dollars of this month, likewise."""
    running: int
    """Answers in progress."""


class UserList(TypedDict):
    """A page of users."""

    users: list[UserInfo]
    """The users."""
    nextPageToken: NotRequired[str]
    """Asks for the next page; absent on the last one."""


class StopUserGenerations(Record):
    """Stop all answers of one user that are in progress."""

    uid: Uid
    """The user."""


class UserStopped(TypedDict):
    """What was stopped."""

    uid: str
    """The user."""
    stopped: list[str]
    """The ids of the answers that are being stopped."""
    status: Literal["stopping", "nothing_running"]
    """Whether there was anything to stop."""
