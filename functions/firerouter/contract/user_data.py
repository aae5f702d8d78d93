"""The requests and results for exporting and erasing a user's data."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field

from ..limits import PAGE_TOKEN_MAX_CHARS
from .base import Record


class EraseMyData(Record):
    """Erase everything that this app has stored about the caller. This cannot be undone.

    Answers in progress are stopped. Conversations, files, ledger entries, cached answers and
    preferences are deleted; what was spent stays in the app's sums, anonymously. The
    counters of this day and month stay until it is over, so that a spent budget stays spent. A
    block and limits that an admin has set stay too. The account itself is not deleted.
    """

    confirm: Literal[True]
    """Must be `true`."""


class ErasedCounts(TypedDict):
    """How much this call deleted."""

    conversations: NotRequired[int]
    """Conversations with their messages and files."""
    cachedAnswers: NotRequired[int]
    """Answers that were cached for the user."""
    generations: NotRequired[int]
    """Ledger entries."""
    usageDays: NotRequired[int]
    """Days of the app's usage reports from which the user was removed."""
    quotaWindows: NotRequired[int]
    """Documents with counters that no longer apply."""
    files: NotRequired[int]
    """Files that belonged to no conversation."""
    preferences: NotRequired[int]
    """1 if the user had chosen models."""


class DataErased(TypedDict):
    """What was erased."""

    isComplete: bool
    """Whether nothing is left. If not, call again: there was more than one call can delete, or
    answers in progress had not ended yet."""
    erased: ErasedCounts
    """What this call deleted, by kind; kinds that it did not get to are absent."""
    running: int
    """Answers that were stopped and have not ended yet."""


class ExportMyData(Record):
    """Get everything that this app has stored about the caller as JSON, page by page."""

    page_token: Annotated[str, Field(max_length=PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the previous page. Default: the first page."""


class ExportedCounter(TypedDict):
    """What is used of a day's or a month's limits."""

    period: str
    """The day or month (UTC): `20260714` or `202607`."""
    feature: NotRequired[str]
    """The feature, if it has limits of its own; absent for the whole app."""
    requests: NotRequired[int]
    """Requests."""
    tokens: NotRequired[int]
    """Tokens."""
    usd: NotRequired[float]
    """US dollars."""
    uploads: NotRequired[int]
    """Uploads that were begun."""


class ExportedProfile(TypedDict):
    """What the app knows about a user besides their requests."""

    preferences: dict[str, Any]
    """The user's choices from `set_preferences`."""
    limits: Annotated[dict[str, Any], "LimitsOverride"]
    """The limits of the user's own."""
    tier: str | None
    """The tier that an admin gave the user."""
    blocked: bool
    """Whether an admin has blocked the user."""
    counters: list[ExportedCounter]
    """What is used of the limits, including what answers in progress may still use."""
    exportedAt: str
    """When this was read."""


class ExportedGeneration(TypedDict):
    """One call, as the ledger recorded it."""

    id: str
    """The `generationId`."""
    feature: NotRequired[str]
    """The feature."""
    model: NotRequired[str]
    """The model that answered."""
    provider: NotRequired[str | None]
    """The provider that ran the model."""
    status: str
    """`running`, `done`, `stopped`, `failed` or `interrupted`."""
    error: NotRequired[str | None]
    """The reason for a failure."""
    finishReason: NotRequired[str | None]
    """Why the answer ended."""
    createdAt: NotRequired[str]
    """When it began, in ISO 8601."""
    endedAt: NotRequired[str]
    """When it ended."""
    usage: NotRequired[dict[str, Any]]
    """Tokens and cost, as in the result."""
    timing: NotRequired[dict[str, Any]]
    """How long it took."""
    cached: NotRequired[bool]
    """Whether a cached answer was used."""
    costUsd: NotRequired[float]
    """What it cost, in US dollars."""
    costIsEstimate: NotRequired[bool]
    """Whether that cost is an estimate that OpenRouter has not confirmed."""
    conversationId: NotRequired[str]
    """The conversation of the question and the answer."""
    text: NotRequired[str]
    """The answer, if it belongs to no conversation and is still stored."""


class ExportedDay(TypedDict):
    """The totals of a user's calls on one day."""

    day: str
    """The day (UTC): `20260714`."""
    requests: int
    """The number of calls."""
    costUsd: float
    """What they cost, in US dollars."""


class DataExport(TypedDict):
    """A page of a user's data. A part that does not fit continues on the next page."""

    profile: NotRequired[ExportedProfile]
    """Preferences, limits and counters; on the first page."""
    conversations: NotRequired[list[dict[str, Any]]]
    """Conversations as in `export_conversation`. One that began on an earlier page has only `id`
    and more `messages`. Messages are in no particular order; each has its `parent` and
    `createdAt`."""
    cachedAnswers: NotRequired[list[dict[str, Any]]]
    """Answers that are cached for repeated requests."""
    generations: NotRequired[list[ExportedGeneration]]
    """The ledger entries, in no particular order."""
    usage: NotRequired[list[ExportedDay]]
    """The totals of each day, including days whose entries have expired."""
    files: NotRequired[list[dict[str, Any]]]
    """Each file in Cloud Storage, as `{path, contentType, bytes, name?}`."""
    nextPageToken: NotRequired[str]
    """The token to request the next page; absent on the last one."""
