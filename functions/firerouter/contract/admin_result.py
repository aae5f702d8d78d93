"""What admins get: the results of the callables for admins. `result` has those for users.

`Annotated[Json, "FeatureSettings"]` names the model of the object, which is defined in a package
above this one.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from .result import Difference, FindingInfo, Json


class KeyWarning(TypedDict):
    """Something an admin should know about a key that was accepted or removed."""

    reason: Literal["free_tier", "low_limit", "expires_soon", "feature_unknown", "old_key_enabled"]
    """Stable and for programs."""
    message: str
    """One sentence for people."""


class ModelFlag(TypedDict):
    """A feature's model, or a setting that was edited by hand, that needs an admin's attention."""

    feature: str
    """The feature; empty for a setting of the app."""
    field: str
    """Where its settings name the model, such as `fallbackModels[0]`; with `broken`, the setting
    that is invalid."""
    model: str
    """The model; empty if a broken document leaves none."""
    flag: Literal["gone", "renamed", "repriced", "expires", "paid", "broken"]
    """What happened to it. `paid`: it would be billed, which the app does not allow, so calls are
    refused. `broken`: the feature's document was edited by hand and is invalid."""
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
    """How many models it has, as `get_available_models` counts them."""
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


class FeatureDeleted(TypedDict):
    """The feature is gone."""

    feature: str
    """The feature."""
    deleted: Literal[True]
    """Always `true`."""
    revision: int
    """The revision that was active: `restore_feature_settings` takes it as `restore`, with 0 as
    `revision`."""
    warnings: list[FindingInfo]
    """What is left of the feature, such as keys of its own."""


class ValueInfo(TypedDict):
    """Which values a setting, or an entry of its list, takes."""

    type: Literal["boolean", "integer", "number", "string", "array", "object"]
    """The type of the value, in JSON Schema's words."""
    minimum: NotRequired[float]
    """The least number."""
    maximum: NotRequired[float]
    """The greatest number."""
    above: NotRequired[float]
    """The number must be greater than this one."""
    below: NotRequired[float]
    """The number must be less than this one."""
    minLength: NotRequired[int]
    """How many characters the text must have."""
    maxLength: NotRequired[int]
    """How many characters the text may have."""
    minItems: NotRequired[int]
    """How many entries the list must have."""
    maxItems: NotRequired[int]
    """How many entries the list may have."""
    choices: NotRequired[list[str]]
    """All allowed values."""
    pattern: NotRequired[str]
    """The regular expression that the whole text must match."""
    form: NotRequired[str]
    """The same in words: the end of a sentence that begins with the field."""
    items: NotRequired[ValueInfo]
    """Which values the entries of the list take."""


class SettingInfo(ValueInfo):
    """A setting: what it is for, and which values it takes."""

    field: str
    """The setting, as findings and changes name it, such as `reasoning.effort`."""
    optional: bool
    """Whether it may be unset, with `null`."""
    default: NotRequired[object]
    """Its value if nothing is set; absent if it is unset then."""
    help: str
    """What it is for, in a sentence or two."""


class KeySource(TypedDict):
    """Which keys a feature uses."""

    source: Literal["own", "default", "none"]
    """Keys of its own, the default ones, or none, because all were removed."""
    count: int
    """How many it has, in their order."""
    lastFour: str | None
    """The last four characters of the first one, if they are known."""


class FeatureDetails(TypedDict):
    """A feature as an admin edits it."""

    feature: str
    """The feature."""
    builtIn: bool
    """Whether Firerouter brings it along: then it can be reset, but not deleted."""
    enabled: bool
    """Whether it is switched on."""
    revision: int
    """The revision that is active; 0 if it was never saved."""
    settings: Annotated[Json, "FeatureSettings"] | None
    """The settings that are active, in full; unset fields are left out. `null` if there are none,
    because the document is invalid."""
    defaults: Annotated[Json, "FeatureSettings"]
    """What a reset returns to: the built-in settings; for a feature of your own, those of a new
    one."""
    draft: DraftInfo | None
    """The draft, if there is one."""
    savedAt: NotRequired[str]
    """When it was saved, in ISO 8601; absent if it never was."""
    savedBy: NotRequired[str]
    """The uid of the admin who saved it."""
    key: KeySource
    """Which keys it uses."""
    canAnswer: bool
    """Whether a call would be sent to a model now."""
    problems: list[FindingInfo]
    """Why not, if it can't, and which parts of its document are invalid."""
    warnings: list[FindingInfo]
    """What the admin should know about the active settings, as a save would return it."""


class AppDetails(TypedDict):
    """The settings of the app as a whole."""

    revision: int
    """The revision that is active; 0 if they were never saved."""
    settings: Annotated[Json, "AppSettings"]
    """The app's settings, in full."""
    problems: list[FindingInfo]
    """The parts of the stored settings that are invalid: their defaults are used instead."""
    fields: list[SettingInfo]
    """Every setting of the app, in the order of a dialog."""


class FeatureDetailsList(TypedDict):
    """What a settings dialog needs."""

    features: list[FeatureDetails]
    """The feature that was asked for, or all of them by id."""
    fields: list[SettingInfo]
    """Every setting of a feature, in the order of a dialog."""
    app: AppDetails
    """The settings of the app, which hold for every feature."""


class SettingsSaved(TypedDict):
    """The app's settings as the change left them."""

    revision: int
    """The revision that is active."""
    settings: Annotated[Json, "AppSettings"]
    """The app's settings, in full."""
    changes: list[Difference]
    """What changed."""
    warnings: list[FindingInfo]
    """Features that are refused with these settings, models that are left out, and budgets too
    small for a call."""


class AppSettingsValidated(TypedDict):
    """The result of `validateOnly`: the settings are valid, and nothing was saved."""

    valid: Literal[True]
    """Always `true`: invalid settings are refused as `settings_refused`."""
    changes: list[Difference]
    """What saving them would change."""
    warnings: list[FindingInfo]
    """The warnings that saving them would return."""


class KeyReportInfo(TypedDict):
    """What OpenRouter reports about a key."""

    valid: Literal[True]
    """OpenRouter accepts the key."""
    lastFour: str
    """The key's last four characters."""
    latencyMs: int
    """How long OpenRouter took to answer, in milliseconds."""
    isManagementKey: bool
    """Always `false`: a management key, which cannot run completions, is not valid."""
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
    """A key that can't answer anything."""

    valid: Literal[False]
    """The key can't be used."""
    lastFour: str
    """The key's last four characters."""
    latencyMs: int
    """How long OpenRouter took to answer, in milliseconds."""
    reason: str
    """Stable and for programs: `key_invalid` if OpenRouter does not accept it, `management_key`, or
    `key_limit_reached` if nothing of its limit is left."""
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
    setBy: str
    """The email address of the admin who stored it, or else the uid."""
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


KeyState = Literal["works", "refused", "spent", "management", "disabled", "unknown"]


class LastRefusal(TypedDict):
    """OpenRouter refused a request because of a key."""

    at: str
    """When, in ISO 8601, to the minute or so."""
    reason: str
    """Why, as an error's reason: `key_invalid`, `key_limit_reached` or `no_credit`."""


class ListedKey(TypedDict):
    """A key, as OpenRouter and Secret Manager know it now. The key itself is never returned."""

    version: int
    """The key's version of the secret in Secret Manager."""
    lastFour: str | None
    """Its last four characters, if they are known."""
    feature: NotRequired[str]
    """The feature that it belongs to; absent for a default key."""
    position: int
    """Its place in the order, from 1."""
    state: KeyState
    """`works`; `refused`: OpenRouter does not accept it; `spent`: nothing of its limit is left;
    `management`: it cannot run completions; `disabled`: Secret Manager does not give it out;
    `unknown`: it could not be checked."""
    message: NotRequired[str]
    """What is wrong with it, in one sentence for people."""
    setAt: NotRequired[str]
    """When it was stored, in ISO 8601; absent for a key that was not stored through the app."""
    setBy: NotRequired[str]
    """The email address of the admin who stored it, or else the uid."""
    lastRefusal: NotRequired[LastRefusal]
    """The last time that a request was refused because of it; absent if there was none."""
    limitUsd: float | None
    """Its spending limit in US dollars; `null` if it has none."""
    limitRemainingUsd: float | None
    """How much of the limit is left, in US dollars."""
    usageTodayUsd: float | None
    """What it has spent today, in US dollars; `null` if OpenRouter did not say."""
    expiresAt: str | None
    """When it expires, in ISO 8601; `null` if it does not."""


class KeyList(TypedDict):
    """All keys, in the order of their use."""

    keys: list[ListedKey]
    """The default keys, then those of each feature."""
    unusedVersions: list[int]
    """Versions of the secret that are enabled and that nothing uses: the next change of a key
    disables them."""
    unknownFeatures: list[str]
    """Features that have keys of their own, but do not exist."""


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
