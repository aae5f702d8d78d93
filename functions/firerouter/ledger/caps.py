"""The limits of one user, in the app and with one feature. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from .. import limits
from ..contract import Number, Record


class UserLimits(Record):
    """The limits of each user. Amounts are US dollars."""

    requests_per_minute: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_MINUTE_MAX)] = (
        limits.REQUESTS_PER_MINUTE
    )
    """How many requests a user may send in a minute."""

    concurrent: Annotated[int, Field(ge=1, le=limits.CONCURRENT_MAX)] = limits.CONCURRENT
    """How many answers a user may have in progress at once."""

    usd_per_day: Annotated[Number, Field(ge=0, le=limits.USD_PER_DAY_MAX)] = limits.USD_PER_DAY
    """What a user may spend in a day (UTC), in US dollars."""

    reserve_usd: Annotated[Number, Field(ge=0, le=limits.RESERVE_MAX_USD)] = limits.RESERVE_USD
    """What is reserved for one paid answer while it is in progress, in US dollars."""


class FeatureLimits(Record):
    """The limits of each user for one feature, within the limits of the app."""

    requests_per_minute: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_MINUTE_MAX)] | None = (
        None
    )
    """How many requests a user may send to this feature in a minute."""

    requests_per_day: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_DAY_MAX)] | None = None
    """How many requests a user may send to this feature in a day (UTC)."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits that an admission must respect: the app's and the feature's."""

    user: UserLimits
    feature: FeatureLimits
