"""How much one user may do, in the app and with one feature."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .. import limits
from ..contract import Number, Record


class UserLimits(Record):
    """What one user may do. usd_per_day and reserve_usd are US dollars."""

    requests_per_minute: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_MINUTE_MAX)] = (
        limits.REQUESTS_PER_MINUTE
    )
    concurrent: Annotated[int, Field(ge=1, le=limits.CONCURRENT_MAX)] = limits.CONCURRENT
    usd_per_day: Annotated[Number, Field(ge=0, le=limits.USD_PER_DAY_MAX)] = limits.USD_PER_DAY
    reserve_usd: Annotated[Number, Field(ge=0, le=limits.RESERVE_MAX_USD)] = limits.RESERVE_USD


class FeatureLimits(Record):
    """What one user may do with this feature, within what the app allows."""

    requests_per_minute: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_MINUTE_MAX)] | None = (
        None
    )
    requests_per_day: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_DAY_MAX)] | None = None
