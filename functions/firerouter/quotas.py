"""What one user may do: the caps, and which of them a call is over. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from .appsettings import UserLimits
from .errors import QuotaExceeded


def refusal(caps: UserLimits, totals: list[int], now: datetime) -> QuotaExceeded | None:
    """Which cap the new totals are over, if any.

    totals: requests this minute, running now and, where something is reserved, nano dollars today.
    """
    requests, concurrent, *nano_usd = totals
    if concurrent > caps.concurrent:
        sentence = f"You have {caps.concurrent} answers running, the most at once. Please wait."
        return QuotaExceeded(sentence, limit="concurrent", max=caps.concurrent)
    if requests > caps.requests_per_minute:
        return QuotaExceeded(
            "You are asking too often. Please wait a minute.",
            limit="requestsPerMinute",
            max=caps.requests_per_minute,
            retry_after_seconds=60 - now.second,
        )
    if nano_usd and nano_usd[0] > caps.usd_per_day * 1_000_000_000:
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return QuotaExceeded(
            "You have used up today's budget. It starts again at midnight UTC.",
            limit="usdPerDay",
            max=caps.usd_per_day,
            retry_after_seconds=(midnight - now).seconds,
        )
    return None
