"""What one user may do, with one feature and in the app, and what the whole app may spend. Pure.

    config/app  limits            everybody
                anonymousLimits   overrides, for users without an account
                tiers.{tier}      overrides, by the custom claim `tier` of the ID token
    limits/{user}                 overrides for one user: another tier, other limits, or blocked

`resolve` combines them; each line overrides those above it. A feature's own limits and the app's
ceiling apply as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from .. import limits
from ..contract import Name, Number, Record, invalid_part

PerMinute = Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_MINUTE_MAX)]
PerDay = Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_DAY_MAX)]
Concurrent = Annotated[int, Field(ge=1, le=limits.CONCURRENT_MAX)]
TokensPerDay = Annotated[int, Field(ge=1, le=limits.TOKENS_PER_DAY_MAX)]
UsdPerDay = Annotated[Number, Field(ge=0, le=limits.USD_PER_DAY_MAX)]
UsdPerMonth = Annotated[Number, Field(ge=0, le=limits.USD_PER_MONTH_MAX)]
ReserveUsd = Annotated[Number, Field(ge=limits.RESERVE_MIN_USD, le=limits.RESERVE_MAX_USD)]


class UserLimits(Record):
    """What one user may do. Amounts are in US dollars; days and months are in UTC."""

    requests_per_minute: PerMinute = limits.REQUESTS_PER_MINUTE
    """How many requests a user may send in a minute."""

    requests_per_day: PerDay | None = None
    """How many requests a user may send in a day."""

    concurrent: Concurrent = limits.CONCURRENT
    """How many answers a user may have in progress at once."""

    tokens_per_day: TokensPerDay | None = None
    """How many tokens a user may send and receive in a day."""

    usd_per_day: UsdPerDay = limits.USD_PER_DAY
    """What a user may spend in a day, in US dollars."""

    usd_per_month: UsdPerMonth = limits.USD_PER_MONTH
    """What a user may spend in a month, in US dollars."""

    reserve_usd: ReserveUsd = limits.RESERVE_USD
    """What is reserved for an answer, an image or a tool whose price is not known, in US
    dollars."""


class LimitsOverride(Record):
    """Limits that replace everybody's. Unset ones stay as they are for everybody."""

    requests_per_minute: PerMinute | None = None
    """How many requests such a user may send in a minute."""

    requests_per_day: PerDay | None = None
    """How many requests such a user may send in a day."""

    concurrent: Concurrent | None = None
    """How many answers such a user may have in progress at once."""

    tokens_per_day: TokensPerDay | None = None
    """How many tokens such a user may send and receive in a day."""

    usd_per_day: UsdPerDay | None = None
    """What such a user may spend in a day, in US dollars."""

    usd_per_month: UsdPerMonth | None = None
    """What such a user may spend in a month, in US dollars."""

    def over(self, base: UserLimits) -> UserLimits:
        """Return `base` with the limits that are set here."""
        own = {name: value for name, value in self if value is not None}
        return base.model_copy(update=own) if own else base


class FeatureLimits(Record):
    """The limits of each user for one feature, within the limits of the app."""

    requests_per_minute: PerMinute | None = None
    """How many requests a user may send to this feature in a minute."""

    requests_per_day: PerDay | None = None
    """How many requests a user may send to this feature in a day (UTC)."""

    concurrent: Concurrent | None = None
    """How many answers of this feature a user may have in progress at once."""

    tokens_per_day: TokensPerDay | None = None
    """How many tokens a user may send to and receive from this feature in a day (UTC)."""

    usd_per_day: UsdPerDay | None = None
    """What a user may spend on this feature in a day (UTC), in US dollars."""

    usd_per_month: UsdPerMonth | None = None
    """What a user may spend on this feature in a month (UTC), in US dollars."""


class Ceiling(Record):
    """What all users of the app together may spend, in US dollars."""

    usd_per_day: UsdPerDay = limits.CEILING_USD_PER_DAY
    """What the app may spend in a day (UTC), in US dollars."""

    usd_per_month: UsdPerMonth = limits.CEILING_USD_PER_MONTH
    """What the app may spend in a month (UTC), in US dollars."""

    @model_validator(mode="after")
    def _day_within_month(self) -> Self:
        if self.usd_per_day > self.usd_per_month:
            raise invalid_part("usdPerDay", "must not be more than usdPerMonth")
        return self


def read_override(values: Mapping[object, object]) -> tuple[LimitsOverride, list[str]]:
    """Read limits that may have been typed by hand.

    Returns:
        Those that can be read, and the names of the others, which are ignored.
    """
    override, malformed = LimitsOverride(), []
    for name, value in values.items():
        try:
            one = LimitsOverride.model_validate({name: value}, by_alias=True, by_name=False)
        except ValidationError:
            malformed.append(str(name))
            continue
        override = override.model_copy(update={n: v for n, v in one if v is not None})
    return override, malformed


ANONYMOUS: LimitsOverride = LimitsOverride(
    requests_per_minute=limits.ANONYMOUS_REQUESTS_PER_MINUTE,
    requests_per_day=limits.ANONYMOUS_REQUESTS_PER_DAY,
    concurrent=limits.ANONYMOUS_CONCURRENT,
    usd_per_day=limits.ANONYMOUS_USD_PER_DAY,
    usd_per_month=limits.ANONYMOUS_USD_PER_MONTH,
)


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What an admin set for one user.

    Attributes:
        tier: The user's tier; it replaces the one in the ID token.
        limits: Limits of the user's own.
        blocked: Whether every call of the user is refused.
    """

    tier: str | None = None
    limits: LimitsOverride = field(default_factory=LimitsOverride)
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CapPolicy:
    """What the app's settings say about limits.

    Attributes:
        everybody: The limits of every user.
        anonymous: What is different for anonymous users.
        tiers: What is different for the users of a tier, by its name.
        ceiling: What all users together may spend.
    """

    everybody: UserLimits = field(default_factory=UserLimits)
    anonymous: LimitsOverride = field(default_factory=LimitsOverride)
    tiers: Mapping[Name, LimitsOverride] = field(default_factory=dict)
    ceiling: Ceiling = field(default_factory=Ceiling)


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits that apply to an admission: the user's, the feature's and the app's."""

    user: UserLimits
    feature: FeatureLimits
    ceiling: Ceiling = field(default_factory=Ceiling)


def resolve(
    policy: CapPolicy, own: OwnLimits, *, tier: str | None, anonymous: bool
) -> tuple[UserLimits, str | None]:
    """Return what one user may do, and the tier that the user's calls are reported under.

    A tier that the settings do not name changes nothing: everybody's limits apply.

    Args:
        policy: What the app's settings say.
        own: What an admin set for the user.
        tier: The custom claim of the user's ID token.
        anonymous: Whether the user has no account.
    """
    found = policy.everybody
    if anonymous:
        found = policy.anonymous.over(found)
    name = own.tier or tier
    if name is not None and (override := policy.tiers.get(name)) is not None:
        found = override.over(found)
    else:
        name = None
    return own.limits.over(found), name
