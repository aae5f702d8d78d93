"""The counters that a call moves, and the cap that it exceeds, if any. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from ..contract import NANO_PER_USD
from ..errors import QuotaExceeded
from .caps import Caps

COUNT: Final = "count"
NANO_USD: Final = "nanoUsd"
RUNNING_WINDOW: Final = "concurrent"  # not a window of time, but what is running now
_TOO_QUICKLY: Final = "You're sending requests too quickly. Please wait a minute."


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One counter, by how much a call moves it, and its cap.

    Attributes:
        window: The id of the counter's document.
        field: The field of that document.
        by: How much the call adds.
        cap: The cap's name, as `details.limit` has it.
        max: The cap, as `details.max` has it: in US dollars if `field` is in nano dollars.
        sentence: The error message for a user whose call exceeds the cap.
        ends: When the window ends; None if the counter counts what is running now.
    """

    window: str
    field: Literal["count", "nanoUsd"]
    by: int
    cap: str
    max: float
    sentence: str
    ends: datetime | None = None

    @property
    def max_total(self) -> float:
        """The cap in the units of `field`."""
        return self.max * NANO_PER_USD if self.field == NANO_USD else self.max


def day_window(at: datetime) -> str:
    """Return the id of the counter of a day's spending."""
    return f"usd-{at:%Y%m%d}"


def counters(
    caps: Caps, *, feature: str, reserve_nano_usd: int, now: datetime
) -> tuple[Counter, ...]:
    """Return the counters that a call moves, in the order in which their caps are checked.

    Args:
        caps: The limits of the user and of the feature.
        feature: The id of the feature that is called.
        reserve_nano_usd: How much the call reserves.
        now: When the call is admitted.
    """
    user, own = caps.user, caps.feature
    minute, day = _Window.minute(now), _Window.day(now)
    moved = [
        Counter(
            window=RUNNING_WINDOW,
            field=COUNT,
            by=1,
            cap="concurrent",
            max=user.concurrent,
            sentence=f"You already have {_counted(user.concurrent, 'answer')} in progress, "
            "which is the limit. Please wait for one to finish.",
        ),
        _requests(minute, "requestsPerMinute", user.requests_per_minute, _TOO_QUICKLY),
    ]
    if (per_minute := own.requests_per_minute) is not None:
        window = minute.of(feature)
        moved.append(_requests(window, "feature.requestsPerMinute", per_minute, _TOO_QUICKLY))
    if (per_day := own.requests_per_day) is not None:
        used_up = (
            f"You've used this feature {_counted(per_day, 'time')} today, which is the limit. "
            "It resets at midnight UTC."
        )
        moved.append(_requests(day.of(feature), "feature.requestsPerDay", per_day, used_up))
    if reserve_nano_usd:
        moved.append(
            Counter(
                window=day_window(now),
                field=NANO_USD,
                by=reserve_nano_usd,
                cap="usdPerDay",
                max=user.usd_per_day,
                sentence="You've used up today's budget. It resets at midnight UTC.",
                ends=day.ends,
            )
        )
    return tuple(moved)


def refusal(moved: Sequence[Counter], totals: Sequence[int], now: datetime) -> QuotaExceeded | None:
    """Return the error if one of the new totals exceeds its cap, or else None.

    Args:
        moved: The counters of the call.
        totals: The new value of each of them.
        now: The current time, from which the wait is counted.
    """
    for counter, total in zip(moved, totals, strict=True):
        if total > counter.max_total:
            wait_s = (counter.ends - now).total_seconds() if counter.ends else None
            return QuotaExceeded(
                counter.sentence,
                limit=counter.cap,
                max=counter.max,
                retry_after_seconds=None if wait_s is None else max(1, round(wait_s)),
            )
    return None


@dataclass(frozen=True, slots=True)
class _Window:
    """A window of time that requests are counted in: its document's id, and when it ends."""

    id: str
    ends: datetime

    @classmethod
    def minute(cls, now: datetime) -> _Window:
        begins = now.replace(second=0, microsecond=0)
        return cls(f"requests-{begins:%Y%m%dT%H%MZ}", begins + timedelta(minutes=1))

    @classmethod
    def day(cls, now: datetime) -> _Window:
        begins = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(f"requests-{begins:%Y%m%d}", begins + timedelta(days=1))

    def of(self, feature: str) -> _Window:
        """Return the same window for the requests to one feature."""
        return _Window(f"{self.id}-{feature}", self.ends)


def _requests(window: _Window, cap: str, max_: int, sentence: str) -> Counter:
    return Counter(
        window=window.id,
        field=COUNT,
        by=1,
        cap=cap,
        max=max_,
        sentence=sentence,
        ends=window.ends,
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
