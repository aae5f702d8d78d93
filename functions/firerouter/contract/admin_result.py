"""What admins get: the results of the callables for admins. `result` has those for users.

`Annotated[Json, "FeatureSettings"]` names the model of the object, which is defined in a package
above this one.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from .result import Difference, FindingInfo, Json


class KeyWarning(TypedDict):
    """Something an admin should know about a key that was accepted or removed."""

    reason: Literal["free_tier", "low_limit", "expires_soon", "old_key_enabled"]
    """Stable and for programs."""
    message: str
    """One sentence for people."""


class ModelFlag(TypedDict):
    """A feature's model that needs an admin's attention."""

    feature: str
    """The feature."""
    field: str
    """Where its settings name the model, such as `fallbackModels[0]`; with `broken`, the part of
    the document that is invalid."""
    model: str
    """The model."""
    flag: Literal["gone", "renamed", "repriced", "expires", "broken"]
    """What happened to it. `broken`: the feature's document was edited by hand and is invalid."""
    message: str
    """One sentence for people."""
    to: NotRequired[str]
    """With `renamed`: its new id."""
    on: NotRequired[str]
    """With `expires`: the day, `YYYY-MM-DD`."""
    before: NotRequired[Json]
    """With `repriced`: `promptPrice` and `completionPrice` when the feature was saved, in US
    dollars per million tokens, as text."""
    after: NotRequired[Json]
    """With `repriced`: the same, now."""


class CatalogRefreshed(TypedDict):
    """The list of models as it is now."""

    count: int
    """How many models it has."""
    generation: int
    """Its number, which grows whenever the list changes."""
    added: list[str]
    """The ids that are new."""
    removed: list[str]
    """The ids that are gone."""
    flags: list[ModelFlag]
    """The features whose models need attention, given this list."""


class DraftInfo(TypedDict):
    """Settings on trial with a share of the users."""

    revision: int
    """The draft's revision."""
    percent: float
    """The share of the users who get it, 0 to 100."""
    settings: Annotated[Json, "FeatureSettings"]
    """The draft's settings, in full."""


class FeatureSaved(TypedDict):
    """A feature as the change left it."""

    feature: str
    """The feature."""
    enabled: bool
    """Whether it is switched on."""
    revision: int
    """The revision that is active."""
    settings: Annotated[Json, "FeatureSettings"]
    """The settings that are active, in full; unset fields are left out."""
    draft: DraftInfo | None
    """The draft, if there is one."""
    changes: list[Difference]
    """What changed."""
    warnings: list[FindingInfo]
    """What the admin should know about these settings."""


class FeatureValidated(TypedDict):
    """The result of `validateOnly`: the settings are valid, and nothing was saved."""

    feature: str
    """The feature."""
    valid: Literal[True]
    """Always `true`: invalid settings are refused as `settings_refused`."""
    warnings: list[FindingInfo]
    """The warnings that saving these settings would return."""


class SettingsSaved(TypedDict):
    """The app's settings as the change left them."""

    revision: int
    """The revision that is active."""
    settings: Annotated[Json, "AppSettings"]
    """The app's settings, in full."""
    changes: list[Difference]
    """What changed."""
    warnings: list[FindingInfo]
    """Features that are refused with these settings, and budgets too small for a call."""


class KeyReportInfo(TypedDict):
    """What OpenRouter reports about a key."""

    valid: Literal[True]
    """OpenRouter accepts the key."""
    lastFour: str
    """The key's last four characters."""
    latencyMs: int
    """How long OpenRouter took to answer, in milliseconds."""
    isManagementKey: bool
    """Whether it is a management key, which cannot run completions."""
    isFreeTier: bool
    """Whether the account has never bought credits."""
    usageUsd: float | None
    """What the key has spent, in US dollars."""
    usageTodayUsd: float | None
    """What it has spent today, in US dollars."""
    limitUsd: float | None
    """Its spending limit in US dollars; `null` if it has none."""
    limitRemainingUsd: float | None
    """How much of the limit is left, in US dollars."""
    limitReset: str | None
    """How often the limit resets, in OpenRouter's words."""
    expiresAt: str | None
    """When the key expires, in ISO 8601; `null` if it does not."""
    freeModelRequestsToday: Json | None
    """What OpenRouter reports about today's requests to free models."""


class KeyRefused(TypedDict):
    """A key that OpenRouter does not accept."""

    valid: Literal[False]
    """OpenRouter does not accept the key."""
    lastFour: str
    """The key's last four characters."""
    latencyMs: int
    """How long OpenRouter took to answer, in milliseconds."""
    reason: str
    """Stable and for programs: `key_invalid`."""
    message: str
    """One sentence for people."""


class KeyInfo(TypedDict):
    """A key that was stored and is active. The key itself is never returned."""

    version: int
    """The key's version of the secret in Secret Manager."""
    lastFour: str
    """Its last four characters."""
    checkedAt: str
    """When OpenRouter accepted it, in ISO 8601."""
    isFreeTier: bool
    """Whether the account has never bought credits."""
    limitUsd: float | None
    """Its spending limit in US dollars; `null` if it has none."""
    limitRemainingUsd: float | None
    """How much of the limit is left, in US dollars."""
    expiresAt: str | None
    """When it expires, in ISO 8601; `null` if it does not."""
    feature: NotRequired[str]
    """The feature that it belongs to; absent for a default key."""
    position: int
    """Its place in the order, from 1."""
    count: int
    """How many keys the feature, or the default order, has now."""
    warnings: list[KeyWarning]
    """What the admin should know."""


class KeyRemoved(TypedDict):
    """The keys that are left after one or all were removed."""

    removed: bool
    """Whether there was a key to remove."""
    lastFour: str | None
    """The last four characters of the first key that was removed."""
    feature: NotRequired[str]
    """The feature, if the request named one."""
    position: NotRequired[int]
    """The place, if the request named one."""
    count: int
    """How many keys the feature, or the default order, has now."""
    warnings: list[KeyWarning]
    """What the admin should know."""


# -- usage -----------------------------------------------------------------------------------------


class Percentiles(TypedDict):
    """How long answers took, in milliseconds; each is at most 5 % off."""

    p50: int
    """Half of them took no longer."""
    p95: int
    """95 % of them took no longer."""
    p99: int
    """99 % of them took no longer."""


class UsageSums(TypedDict):
    """The totals of some generations. Amounts are in US dollars."""

    requests: int
    """How many there were, cached answers and failures included; without refused ones."""
    done: int
    """How many were answered to the end."""
    stopped: int
    """How many were stopped."""
    failed: int
    """How many failed."""
    interrupted: int
    """How many ended with their instance."""
    errors: dict[str, int]
    """How many failed, or were interrupted, for each reason."""
    promptTokens: int
    """Tokens of their prompts."""
    completionTokens: int
    """Tokens that were generated, reasoning included."""
    totalTokens: int
    """Both."""
    reasoningTokens: int
    """Tokens of reasoning, within `completionTokens`."""
    cachedTokens: int
    """Tokens that a provider had cached, within `promptTokens`."""
    cost: float
    """What they cost, estimates included."""
    estimates: int
    """How many of the costs are estimates."""
    estimatedCost: float
    """How much of the cost is estimated."""
    byokCost: float
    """How much of the cost a provider charged to an account of your own."""
    cacheHits: int
    """How many answers came from Firerouter's cache."""
    savedCost: float
    """What those had cost when they were generated."""
    tests: int
    """How many were an admin's tests of settings."""
    firstTokenMs: Percentiles | None
    """From a request to the first of its answer; `null` if nothing was measured."""
    totalMs: Percentiles | None
    """From a request to the end of its answer, of those that were answered to the end."""


class UsageRow(UsageSums):
    """The totals of one group of generations. It has the fields that `groupBy` names."""

    day: NotRequired[str]
    """The day (UTC), `YYYY-MM-DD`."""
    feature: NotRequired[str]
    """The feature."""
    model: NotRequired[str]
    """The model that answered, or the first that was to."""
    revision: NotRequired[int]
    """The revision of the feature's settings."""
    tier: NotRequired[str]
    """The users' tier; empty for users in no tier."""
    user: NotRequired[str]
    """The user's uid; empty where an entry of the ledger was damaged."""


class TopUser(TypedDict):
    """One of the users with the highest cost."""

    user: str
    """The uid."""
    requests: int
    """How many generations the user had."""
    cost: float
    """What they cost, in US dollars."""


class RefusalCount(TypedDict):
    """How often a limit refused a call."""

    feature: str
    """The feature that was called."""
    limit: str
    """The limit, as `details.limit` of the refusal has it."""
    count: int
    """How often."""


class UsageReport(TypedDict):
    """One page of a report on usage."""

    firstDay: str
    """The first day (UTC), `YYYY-MM-DD`."""
    lastDay: str
    """The last day (UTC)."""
    totals: UsageSums
    """The totals of all generations of the report."""
    rows: NotRequired[list[UsageRow]]
    """With `json`: the groups of this page."""
    csv: NotRequired[str]
    """With `csv`: the groups of this page as text. The first page begins with the names of the
    columns, so that the pages of a report can be joined."""
    rowCount: int
    """How many groups there are, on all pages together."""
    nextPageToken: NotRequired[str]
    """Fetches the next page; absent on the last one."""
    topUsers: NotRequired[list[TopUser]]
    """The users with the highest cost, or with the most requests if nothing cost anything. Only of
    a report without filters, or one that is grouped or filtered by user."""
    topUsersAreExact: NotRequired[bool]
    """Whether nobody else can belong among `topUsers`. What is said of each of them always is
    exact."""
    refusals: list[RefusalCount]
    """How often calls were refused by a limit; of all users. What an instance counted in its last
    minute before it was killed is missing."""
    countedUpTo: str | None
    """When the ledger was last counted, in ISO 8601: what ended before is in the report. `null` if
    it never was."""
