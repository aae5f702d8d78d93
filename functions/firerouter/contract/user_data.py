"""The requests and results around all that is one user's: erasing it, and taking it along."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field

from ..limits import PAGE_TOKEN_MAX_CHARS
from .base import Record


class EraseMyData(Record):
    """Erase everything that this app has of the caller. It cannot be taken back.

    Answers in progress are stopped. Conversations, files, ledger entries, cached answers and
    preferences are deleted; what was spent stays in the app's sums, without saying by whom. The
    counters of this day and month stay until they end, so that a spent budget stays spent, and so
    do a block and limits that an admin has set. The account itself is not deleted.
    """

    confirm: Literal[True]
    """Must be `true`."""


class ErasedCounts(TypedDict):
    """How much was deleted by this call; nothing the second time."""

    conversations: NotRequired[int]
    """Conversations with their messages and files."""
    cachedAnswers: NotRequired[int]
    """Answers that were cached for the user."""
    generations: NotRequired[int]
    """Ledger entries."""
    usageDays: NotRequired[int]
    """Days whose sums named the user."""
    quotaWindows: NotRequired[int]
    """Counters that no longer count."""
    files: NotRequired[int]
    """Files that belonged to no conversation."""
    preferences: NotRequired[int]
    """1 if the user had chosen models."""


class DataErased(TypedDict):
    """What was erased."""

    isComplete: bool
    """Whether nothing is left. If not, call again: there was more than one call can delete, or
    answers in progress had not ended."""
    erased: ErasedCounts
    """What this call has deleted, by kind; a kind that it did not come to is absent."""
    running: int
    """Answers that were stopped and have not ended yet."""


class ExportMyData(Record):
    """Get everything that this app has of the caller as JSON, page by page."""

    page_token: Annotated[str, Field(max_length=PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the page before. Default: the first page."""


class ExportedCounter(TypedDict):
    """What is used of the limits of a day or a month."""

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
    """Files whose upload was begun."""


class ExportedProfile(TypedDict):
    """What the app knows of a user beside what they have asked."""

    preferences: dict[str, Any]
    """What the user has chosen with `set_preferences`."""
    limits: Annotated[dict[str, Any], "LimitsOverride"]
    """The limits of the user's own."""
    tier: str | None
    """The tier that an admin gave the user."""
    blocked: bool
    """Whether an admin has blocked the user."""
    counters: list[ExportedCounter]
    """What is used of limits, with what answers in progress may still use."""
    exportedAt: str
    """When this was read."""


class ExportedGeneration(TypedDict):
    """One call of a model, as the ledger has it."""

    id: str
    """The `generationId`."""
    feature: NotRequired[str]
    """The feature."""
    model: NotRequired[str]
    """The model that answered."""
    provider: NotRequired[str | None]
    """Who ran the model."""
    status: str
    """`running`, `done`, `stopped`, `failed` or `interrupted`."""
    error: NotRequired[str | None]
    """The reason of a failure."""
    finishReason: NotRequired[str | None]
    """Why the answer ended."""
    createdAt: NotRequired[str]
    """When it began, in ISO 8601."""
    endedAt: NotRequired[str]
    """When it ended."""
    usage: NotRequired[dict[str, Any]]
    """Tokens and cost, as the result had them."""
    timing: NotRequired[dict[str, Any]]
    """How long it took."""
    cached: NotRequired[bool]
    """Whether a cached answer was used."""
    costUsd: NotRequired[float]
    """What it cost, in US dollars."""
    costIsEstimate: NotRequired[bool]
    """Whether OpenRouter has not confirmed that cost."""
    conversationId: NotRequired[str]
    """The conversation that question and answer are in."""
    text: NotRequired[str]
    """The answer, if it belongs to no conversation and is still kept."""


class ExportedDay(TypedDict):
    """What a user's calls of one day came to."""

    day: str
    """The day (UTC): `20260714`."""
    requests: int
    """How many calls."""
    costUsd: float
    """What they cost, in US dollars."""


class DataExport(TypedDict):
    """A page of all that is a user's. Each part goes on on the next page where it does not fit."""

    profile: NotRequired[ExportedProfile]
    """Preferences, limits and counters; on the first page."""
    conversations: NotRequired[list[dict[str, Any]]]
    """Conversations as `export_conversation` has them. One that began on an earlier page has only
    `id`, and more `messages`. Messages are in no order: each names its `parent` and `createdAt`."""
    cachedAnswers: NotRequired[list[dict[str, Any]]]
    """Answers that are cached for the same request."""
    generations: NotRequired[list[ExportedGeneration]]
    """The ledger's entries, in no order."""
    usage: NotRequired[list[ExportedDay]]
    """What each day came to, also where its entries have expired."""
    files: NotRequired[list[dict[str, Any]]]
    """`{path, contentType, bytes, name?}` of each file in Cloud Storage."""
    nextPageToken: NotRequired[str]
    """Asks for the next page; absent on the last one."""
