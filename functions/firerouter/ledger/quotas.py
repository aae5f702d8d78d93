"""What one user may do: the counters that a call moves, and which of the caps it is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..contract import NANO_PER_USD
from ..errors import QuotaExceeded
from .caps import FeatureLimits, UserLimits


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter: its document and field, by how much a call moves it, how far it may go.

    limit: as `details.limit` names it; most: as `details.max` does. ends: when another window of it
    begins, None for what counts what runs now.
    """

    window: str
    field: str
    by: int
    limit: str
    most: float
    sentence: str
    ends: datetime | None = None

    @property
    def top(self) -> float:
        return self.most * NANO_PER_USD if self.field == "nanoUsd" else self.most


def counters(
    user: UserLimits, feature: str, own: FeatureLimits, now: datetime, reserve_nano_usd: int
) -> list[Counter]:
    """Those that a call moves, in the order they are looked at. own: the feature's caps."""
    minute = now.replace(second=0, microsecond=0)
    day = minute.replace(hour=0, minute=0)
    per_minute, per_day = f"{minute:%Y%m%dT%H%MZ}", f"{day:%Y%m%d}"
    next_minute, next_day = minute + timedelta(minutes=1), day + timedelta(days=1)
    slow_down = "You are asking too often. Please wait a minute."
    moved = [
        Counter(
            "concurrent",
            "count",
            1,
            "concurrent",
            user.concurrent,
            f"You have {user.concurrent} answers running, the most at once. Please wait.",
        ),
        Counter(
            f"requests-{per_minute}",
            "count",
            1,
            "requestsPerMinute",
            user.requests_per_minute,
            slow_down,
            next_minute,
        ),
    ]
    if own.requests_per_minute is not None:
        name, most = "feature.requestsPerMinute", own.requests_per_minute
        window = f"requests-{per_minute}-{feature}"
        moved.append(Counter(window, "count", 1, name, most, slow_down, next_minute))
    if own.requests_per_day is not None:
        name, most = "feature.requestsPerDay", own.requests_per_day
        sentence = (
            f"You have used this {most} times today, the most for now. "
            "It starts again at midnight UTC."
        )
        window = f"requests-{per_day}-{feature}"
        moved.append(Counter(window, "count", 1, name, most, sentence, next_day))
    if reserve_nano_usd:
        sentence = "You have used up today's budget. It starts again at midnight UTC."
        window, most_usd = f"usd-{per_day}", user.usd_per_day
        moved.append(
            Counter(window, "nanoUsd", reserve_nano_usd, "usdPerDay", most_usd, sentence, next_day)
        )
    return moved


def refusal(moved: list[Counter], totals: list[int], now: datetime) -> QuotaExceeded | None:
    """Which cap the new totals, one for each counter, are over, if any."""
    for counter, total in zip(moved, totals, strict=True):
        if total > counter.top:
            wait = (counter.ends - now).total_seconds() if counter.ends else None
            return QuotaExceeded(
                counter.sentence,
                limit=counter.limit,
                max=counter.most,
                retry_after_seconds=None if wait is None else max(1, round(wait)),
            )
    return None
