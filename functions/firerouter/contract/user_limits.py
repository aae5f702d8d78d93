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
from .result import FindingInfo

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
    """A feature whose own limits are listed as well."""


class LimitInfo(TypedDict):
    """One limit of a user."""

    limit: str
    """Its name, as in `details.limit` of a refusal."""
    max: float
    """Its value: a number of requests, tokens or answers, or US dollars if its name has `usd`."""
    used: float
    """What is used, including all that answers in progress may still use."""
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
    """Give one user other limits or another tier, or block them. Omitted fields don't change."""

    uid: Uid
    """The user."""
    limits: Annotated[dict[str, Any], BeforeValidator(without_nulls)] = Field(default_factory=dict)
    """The user's own limits, as in [LimitsOverride](#limitsoverride); omitted ones don't change."""
    tier: Name | None = None
    """The user's tier, which replaces the one in the ID token."""
    blocked: bool | None = None
    """Whether every call of the user is refused."""
    remove: Annotated[list[Removable], Field(max_length=len(get_args(Removable)))] = Field(
        default_factory=list
    )
    """What the user no longer has: limits of their own, by name, or `tier`."""
    note: Annotated[str, Field(max_length=NOTE_MAX_CHARS)] = ""
    """The reason, which is recorded in the audit log."""


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
    warnings: list[FindingInfo]
    """What was saved, and will not do what it seems to."""


class ListUsers(Record):
    """List the app's users with what they have used, or find one of them."""

    search: Annotated[str, Field(max_length=SEARCH_MAX_CHARS)] = ""
    """A complete email address or uid. Default: all users."""
    page_size: Annotated[int, Field(ge=1, le=USERS_PER_PAGE_MAX)] = USERS_PER_PAGE
    """The maximum number of users of a page."""
    page_token: Annotated[str, Field(max_length=PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the page before. Default: the first page."""


class UserInfo(TypedDict):
    """One user, and what they have used."""

    uid: str
    """The user's id."""
    email: NotRequired[str]
    """Their email address, if the account has one."""
    anonymous: bool
    """Whether they are signed in without an account."""
    disabled: bool
    """Whether the account is disabled in Firebase Authentication."""
    tier: NotRequired[str]
    """The tier that an admin gave the user, or else that of the account's custom claim."""
    blocked: bool
    """Whether an admin blocked the user with `set_user_limits`."""
    limits: Annotated[dict[str, Any], "LimitsOverride"]
    """The limits of the user's own."""
    requestsToday: int
    """Requests today (UTC)."""
    tokensToday: int
    """Tokens today, including what answers in progress may still use."""
    usdToday: float
    """US dollars today, including what answers in progress may still cost."""
    usdThisMonth: float
    """US dollars this month, including what answers in progress may still cost."""
    running: int
    """Answers in progress."""


class UserList(TypedDict):
    """A page of users."""

    users: list[UserInfo]
    """The users."""
    nextPageToken: NotRequired[str]
    """The token to request the next page; absent on the last one."""


class StopUserGenerations(Record):
    """Stop all of one user's answers in progress."""

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
