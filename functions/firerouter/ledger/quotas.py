"""The counters that a call moves, and the first cap that their new totals exceed. Pure.

    quotas/{user}/windows/{month}     minutes.{ddHHMM}              requests
                                      days.{dd}                     {requests, tokens, nanoUsd}
                                      month                         {nanoUsd}
                                      features.{feature}            the same, if it has limits
    quotas/{user}/windows/concurrent  count, features.{feature}     what runs now
    ceilings/{month}/shards/{n}       days.{dd}, month              {nanoUsd} of all users

One document holds all windows of a user and month, so that a call moves them with one write. An
entry records which windows count it (`Windows`), so that its end moves the same ones.

A refused call's counters are moved back. A cached answer counts only as a request. A free call
moves no budget, but is refused like any other once a budget is exceeded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from ..contract import NANO_PER_USD
from ..errors import QuotaExceeded
from .caps import Caps, FeatureLimits
from .reserve import Reserve

Field: TypeAlias = tuple[str, ...]  # the path of a document's field
Home: TypeAlias = Literal["month", "concurrent", "project"]
Unit: TypeAlias = Literal["requests", "answers", "tokens", "usd"]

COUNT: Final = "count"
NANO_USD: Final = "nanoUsd"
TOKENS: Final = "tokens"
REQUESTS: Final = "requests"
MINUTES: Final = "minutes"
CONCURRENT: Final = "concurrent"
FEATURES: Final = "features"
_TOO_QUICKLY: Final = "You're sending requests too quickly. Please wait a minute."


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows that an entry is counted in.

    Attributes:
        at: When it was admitted.
        shard: The shard of the app's ceiling that it is counted in.
        feature: Its feature, if that has limits, and therefore counters, of its own.
    """

    at: datetime
    shard: int = 0
    feature: str | None = None

    @property
    def month(self) -> str:
        return f"{self.at:%Y%m}"

    @property
    def day(self) -> str:
        return f"{self.at:%d}"

    @property
    def minute(self) -> str:
        return f"{self.at:%d%H%M}"

    @property
    def minute_ends(self) -> datetime:
        return self.at.replace(second=0, microsecond=0) + timedelta(minutes=1)

    @property
    def day_ends(self) -> datetime:
        return self.at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    @property
    def month_ends(self) -> datetime:
        year, month = divmod(self.at.year * 12 + self.at.month, 12)
        return datetime(year, month + 1, 1, tzinfo=UTC)

    def passed_minutes(self, count: int) -> list[str]:
        """Return the last few minutes before this one, whose counters a call removes."""
        minutes = (self.at - timedelta(minutes=back) for back in range(2, 2 + count))
        return [f"{at:%d%H%M}" for at in minutes if f"{at:%Y%m}" == self.month]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One counter, how much a call adds to it, and its cap.

    Attributes:
        home: The document that it is in.
        field: Its path in that document.
        by: How much the call adds.
        cap: The cap's name, as `details.limit` has it.
        max: The cap, as `details.max` has it; None if there is no cap.
        unit: What is counted. Dollars are counted in nano dollars.
        sentence: The error message for a call that exceeds the cap, of which nothing is left.
        short: The message where something is left, but not enough for the call.
        ends: When the next window begins; None if the counter counts what runs now.
    """

    home: Home
    field: Field
    by: int
    cap: str
    max: float | None
    unit: Unit
    sentence: str = ""
    short: str = ""
    ends: datetime | None = None

    @property
    def max_total(self) -> float:
        """The cap in the unit that is counted."""
        if self.max is None:
            return float("inf")
        return self.max * NANO_PER_USD if self.unit == "usd" else self.max

    @property
    def resets_at(self) -> str | None:
        """When the next window begins, as callers get it."""
        return None if self.ends is None else self.ends.strftime("%Y-%m-%dT%H:%M:%SZ")

    def to_wire(self, amount: int) -> float:
        """Return an amount as callers get it: in US dollars, or a plain number."""
        return amount / NANO_PER_USD if self.unit == "usd" else amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How much an entry's end, or a correction, changes its counters.

    Attributes:
        nano_usd: What to add to every budget.
        tokens: What to add to the day's tokens.
        frees_place: Whether it is no longer in progress.
    """

    nano_usd: int = 0
    tokens: int = 0
    frees_place: bool = False


def counters(
    caps: Caps,
    windows: Windows,
    reserves: Sequence[Reserve],
    *,
    requests: int,
    places: int | None = None,
) -> tuple[Counter, ...]:
    """Return the counters that a call moves, in the order in which their caps are checked.

    Args:
        caps: The limits that apply to the call.
        windows: The windows that it is counted in.
        reserves: The worst case of each answer to be generated: a comparison has several, a cached
            answer none.
        requests: How many requests it counts as.
        places: How many of the answers count as in progress; all by default.
    """
    counted = _requests(caps, windows, requests)
    if not reserves:
        return tuple(counted)
    nano_usd = sum(reserve.nano_usd for reserve in reserves)
    tokens = sum(reserve.tokens for reserve in reserves)
    return (
        *_running(caps, windows, len(reserves) if places is None else places),
        *counted,
        *_tokens(caps, windows, tokens),
        *_money(caps, windows, nano_usd),
        *_project(caps, windows, nano_usd),
    )


def movements(windows: Windows, move: Move) -> list[tuple[Home, Field, int]]:
    """Return what an end or a correction adds to an entry's counters, without zeros."""
    day, month, feature = ("days", windows.day), ("month",), windows.feature
    owns = [()] if feature is None else [(), (FEATURES, feature)]
    moved: list[tuple[Home, Field, int]] = []
    for own in owns:
        moved.append(("month", (*own, *day, TOKENS), move.tokens))
        moved.append(("month", (*own, *day, NANO_USD), move.nano_usd))
        moved.append(("month", (*own, *month, NANO_USD), move.nano_usd))
        moved.append(("concurrent", (*own, COUNT), -1 if move.frees_place else 0))
    moved.append(("project", (*day, NANO_USD), move.nano_usd))
    moved.append(("project", (*month, NANO_USD), move.nano_usd))
    return [one for one in moved if one[2]]


def first_over(moved: Sequence[Counter], totals: Sequence[int]) -> tuple[Counter, int] | None:
    """Return the first counter whose new total exceeds its cap, and by how much."""
    for counter, total in zip(moved, totals, strict=True):
        if total > counter.max_total:
            return counter, total - int(counter.max_total)
    return None


def refusal(
    counter: Counter, *, used: int, now: datetime, running: Sequence[str] = ()
) -> QuotaExceeded:
    """Return the refusal of a call that exceeds a cap.

    Args:
        counter: The cap.
        used: The counter's total without the call.
        now: The time from which the wait is counted.
        running: The generations in progress, if there are too many of them.
    """
    details: dict[str, object] = {"limit": counter.cap, "max": counter.max}
    details["used"] = counter.to_wire(used)
    wait_s: float | None = None
    is_short = bool(counter.short) and used < counter.max_total
    sentence = counter.short if is_short else counter.sentence
    if counter.ends is not None:
        wait_s = max(1.0, round((counter.ends - now).total_seconds()))
        details["resetsAt"] = counter.resets_at
        if sentence and sentence != _TOO_QUICKLY:
            sentence = f"{sentence} Please try again {in_words(wait_s)}."
    elif running:
        details["running"] = list(running)
    return QuotaExceeded(sentence, retry_after_seconds=wait_s, **details)


# -- the counters of each kind ---------------------------------------------------------------------


def _running(caps: Caps, windows: Windows, count: int) -> list[Counter]:
    found = [
        Counter(
            home="concurrent",
            field=(COUNT,),
            by=count,
            cap="concurrent",
            max=caps.user.concurrent,
            unit="answers",
            sentence=_too_many(caps.user.concurrent),
            short=_too_many_more(caps.user.concurrent),
        )
    ]
    if windows.feature is not None:
        own = caps.feature.concurrent
        found.append(
            Counter(
                home="concurrent",
                field=(FEATURES, windows.feature, COUNT),
                by=count,
                cap="feature.concurrent",
                max=own,
                unit="answers",
                sentence=_too_many(own or 0),
                short=_too_many_more(own or 0),
            )
        )
    return found


def _requests(caps: Caps, windows: Windows, count: int) -> list[Counter]:
    def minute(own: Field, cap: str, most: int | None) -> Counter:
        return Counter(
            home="month",
            field=(*own, MINUTES, windows.minute),
            by=count,
            cap=cap,
            max=most,
            unit="requests",
            sentence=_TOO_QUICKLY,
            ends=windows.minute_ends,
        )

    def day(own: Field, cap: str, most: int | None, sentence: str) -> Counter:
        return Counter(
            home="month",
            field=(*own, "days", windows.day, REQUESTS),
            by=count,
            cap=cap,
            max=most,
            unit="requests",
            sentence=sentence,
            short="You have fewer requests left for today than this would take.",
            ends=windows.day_ends,
        )

    user, feature = caps.user, caps.feature
    sent = f"You've sent {_counted(user.requests_per_day or 0, 'request')} today"
    found = [
        minute((), "requestsPerMinute", user.requests_per_minute),
        day((), "requestsPerDay", user.requests_per_day, f"{sent}, which is the limit."),
    ]
    if windows.feature is not None:
        own = (FEATURES, windows.feature)
        used = f"You've used this feature {_counted(feature.requests_per_day or 0, 'time')} today"
        sentence = f"{used}, which is the limit."
        found.append(minute(own, "feature.requestsPerMinute", feature.requests_per_minute))
        found.append(day(own, "feature.requestsPerDay", feature.requests_per_day, sentence))
    return found


def _tokens(caps: Caps, windows: Windows, tokens: int) -> list[Counter]:
    day = ("days", windows.day, TOKENS)
    found = [
        Counter(
            home="month",
            field=day,
            by=tokens,
            cap="tokensPerDay",
            max=caps.user.tokens_per_day,
            unit="tokens",
            sentence="You've used up today's tokens.",
            short=_not_enough("today's tokens"),
            ends=windows.day_ends,
        )
    ]
    if windows.feature is not None:
        found.append(
            Counter(
                home="month",
                field=(FEATURES, windows.feature, *day),
                by=tokens,
                cap="feature.tokensPerDay",
                max=caps.feature.tokens_per_day,
                unit="tokens",
                sentence="You've used up today's tokens for this feature.",
                short=_not_enough("today's tokens for this feature"),
                ends=windows.day_ends,
            )
        )
    return found


def _money(caps: Caps, windows: Windows, nano_usd: int) -> list[Counter]:
    def budgets(own: Field, prefix: str, day: float | None, month: float | None) -> list[Counter]:
        what = " for this feature" if own else ""
        return [
            Counter(
                home="month",
                field=(*own, "days", windows.day, NANO_USD),
                by=nano_usd,
                cap=f"{prefix}usdPerDay",
                max=day,
                unit="usd",
                sentence=f"You've used up today's budget{what}.",
                short=_not_enough(f"today's budget{what}"),
                ends=windows.day_ends,
            ),
            Counter(
                home="month",
                field=(*own, "month", NANO_USD),
                by=nano_usd,
                cap=f"{prefix}usdPerMonth",
                max=month,
                unit="usd",
                sentence=f"You've used up this month's budget{what}.",
                short=_not_enough(f"this month's budget{what}"),
                ends=windows.month_ends,
            ),
        ]

    found = budgets((), "", caps.user.usd_per_day, caps.user.usd_per_month)
    if windows.feature is not None:
        own, limits = (FEATURES, windows.feature), caps.feature
        found += budgets(own, "feature.", limits.usd_per_day, limits.usd_per_month)
    return found


def _project(caps: Caps, windows: Windows, nano_usd: int) -> list[Counter]:
    """Return counters without caps: `ceilings` compares the sum of all shards with the ceiling."""

    def budget(field: Field, cap: str, period: str, ends: datetime) -> Counter:
        return Counter(
            home="project",
            field=(*field, NANO_USD),
            by=nano_usd,
            cap=cap,
            max=None,
            unit="usd",
            sentence=f"This app has used up its budget for {period}.",
            short=_not_enough(f"this app's budget for {period}"),
            ends=ends,
        )

    return [
        budget(("days", windows.day), "app.usdPerDay", "today", windows.day_ends),
        budget(("month",), "app.usdPerMonth", "this month", windows.month_ends),
    ]


def has_limits(feature: FeatureLimits) -> bool:
    """Return whether a feature has any limit, and so counters of its own."""
    return any(value is not None for _, value in feature)


def in_words(seconds: float) -> str:
    """Return when a wait is over, as people in any time zone understand it: "in 5 hours"."""
    minutes = math.ceil(seconds / 60)
    if minutes < 90:
        return f"in {_counted(minutes, 'minute')}"
    hours = math.ceil(minutes / 60)
    return f"in {hours} hours" if hours < 48 else f"in {math.ceil(hours / 24)} days"


def _too_many(most: int) -> str:
    answers = _counted(most, "answer")
    return (
        f"You already have {answers} in progress, which is the limit. "
        "Please wait for one to finish."
    )


def _too_many_more(most: int) -> str:
    answers = _counted(most, "answer")
    return (
        f"You can have {answers} in progress at once, and this would be more. "
        "Please wait for one to finish."
    )


def _not_enough(what: str) -> str:
    return f"What is left of {what} isn't enough for this answer."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
