"""How often each user may call, counted in the memory of this instance.

Every callable passes here once its caller is known, before its body is read (docs/wire.md). A call
that may go on takes one token from its user's bucket of that kind, which fills again at its pace.
So a refusal costs neither a read nor a write. What an app sells, the requests and dollars of a day,
is for the ledger to count; this bounds what the calls themselves cost, those that are refused and
those that ask no model included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..cache import Recent
from ..errors import QuotaExceeded
from .identity import Caller
from .limits import CallKind, CallLimits, Pace

TOO_QUICKLY = "You're sending requests too quickly. Please wait a moment and try again."


@dataclass(slots=True)
class _Bucket:
    """A user's calls of one kind: how many may come at once, and when that was counted."""

    left: float
    at: float


class CallRates:
    """Counts the calls of each user. One per instance."""

    def __init__(
        self, limits: CallLimits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits or CallLimits()
        self._clock = clock
        self._buckets: Recent[tuple[str, CallKind], _Bucket] = Recent(self._limits.buckets_max)
        self._granted: Recent[str, int] = Recent(self._limits.buckets_max)

    def take(self, kind: CallKind, caller: Caller) -> None:
        """Count a call.

        Raises:
            QuotaExceeded: The user has sent too many of this kind; nothing was counted.
        """
        pace = self._pace(kind, caller)
        now, key = self._clock(), (caller.uid, kind)
        per_s = pace.per_minute / 60
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = _Bucket(pace.at_once, now)
            self._buckets.put(key, bucket)
        bucket.left = min(pace.at_once, bucket.left + (now - bucket.at) * per_s)
        bucket.at = now
        if bucket.left < 1:
            raise QuotaExceeded(
                TOO_QUICKLY,
                retry_after_seconds=max(1.0, round((1 - bucket.left) / per_s)),
                limit="callsPerMinute",
                max=pace.per_minute,
            )
        bucket.left -= 1

    def charge(self, kind: CallKind, caller: Caller, more: int) -> None:
        """Count a call as several, once it is known what it took.

        The user's bucket may fall below zero; later calls wait until it has filled again.
        """
        bucket = self._buckets.get((caller.uid, kind))
        if bucket is not None:
            bucket.left -= more

    def grant(self, uid: str, requests_per_minute: int) -> None:
        """Let a user call as often as the app's limits allow, where that is more than the pace."""
        if requests_per_minute > self._limits.ask.per_minute:
            self._granted.put(uid, requests_per_minute)
        else:
            self._granted.pop(uid)

    def _pace(self, kind: CallKind, caller: Caller) -> Pace:
        pace = self._limits.of(kind)
        granted = self._granted.get(caller.uid) if kind in {"any", "ask"} else None
        if granted is not None:
            return Pace(granted, granted)
        if caller.anonymous:
            share = self._limits.anonymous_share
            return Pace(max(1, round(pace.per_minute * share)), max(1, round(pace.at_once * share)))
        return pace
