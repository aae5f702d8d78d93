"""What an instance remembers of calls that a cap refused, so that the next refusal costs no write.

A cap refuses a call after it was counted, and counts it back: that takes several writes. While the
total that it was refused for stands, another call that takes as much or more is refused from
memory. Requests are not given back, so that total stands until its window ends. Money, tokens and
places are freed as answers end and costs become known: those totals are forgotten after a while,
and once an answer of the user's has ended here. Caps are compared as they are now: one that was
raised lets the next call through. What the app as a whole has spent is known to `ceilings`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..cache import Recent
from .limits import LedgerLimits
from .quotas import Counter, Field, Home, refusal

Key = tuple[
    Home, Field, str
]  # of a counter, with the feature where what a call takes depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTotal:
    """A total that a call was refused for.

    Attributes:
        total: The counter without the call.
        by: What the call would have added.
        until: How long the total is taken as known.
        is_freed: Whether the end of an answer frees some of it.
        running: The answers that had all places, if the call was refused for those.
    """

    total: int
    by: int
    until: datetime
    is_freed: bool
    running: Sequence[str] = ()

    def refuses(self, counter: Counter) -> bool:
        """Return whether a call that moves this counter is known to exceed its cap."""
        return counter.by >= self.by and self.total + counter.by > counter.max_total


class KnownRefusals:
    """Remembers refusals, of as many users as fit. One per instance."""

    def __init__(self, *, limits: LedgerLimits, now: Callable[[], datetime]) -> None:
        self._limits = limits
        self._now = now
        self._users: Recent[str, dict[Key, KnownTotal]] = Recent(limits.refused_users)

    def note(
        self,
        uid: str,
        feature: str,
        counter: Counter,
        *,
        total: int,
        running: Sequence[str] = (),
    ) -> None:
        """Remember that a call was refused.

        Args:
            uid: The user.
            feature: The feature that was called.
            counter: The counter whose cap the call exceeded.
            total: That counter without the call.
            running: The answers that have all places, if the call was refused for those.
        """
        kept_s = self._kept_s(counter)
        ends = [] if kept_s is None else [self._now() + timedelta(seconds=kept_s)]
        ends += [] if counter.ends is None else [counter.ends]
        known = self._users.get(uid) or {}
        known[_key(feature, counter)] = KnownTotal(
            total=total,
            by=counter.by,
            until=min(ends),
            is_freed=counter.unit != "requests",
            running=running,
        )
        self._users.put(uid, known)

    def knows(self, uid: str) -> bool:
        """Return whether anything is known of a user: mostly not."""
        return bool(self._users.get(uid))

    def check(self, uid: str, feature: str, counters: Sequence[Counter]) -> None:
        """Check a call before it is counted.

        Raises:
            QuotaExceeded: It is known to exceed a cap.
        """
        now, all_known = self._now(), self._users.get(uid) or {}
        for counter in counters:
            known = all_known.get(_key(feature, counter))
            if known is not None and now < known.until and known.refuses(counter):
                raise refusal(counter, used=known.total, now=now, running=known.running)

    def forget_freed(self, uid: str) -> None:
        """Forget what the end of an answer of this user's may have freed."""
        if known := self._users.get(uid):
            self._users.put(uid, {key: one for key, one in known.items() if not one.is_freed})

    def _kept_s(self, counter: Counter) -> float | None:
        """Return how long a total is taken as known; None until its window ends."""
        if counter.unit == "requests":
            return None
        return self._limits.refused_place_s if counter.ends is None else self._limits.refused_cost_s


def _key(feature: str, counter: Counter) -> Key:
    """What an answer costs depends on the feature; what it is counted as does not."""
    counted_alike = counter.unit in {"requests", "answers"}
    return counter.home, counter.field, "" if counted_alike else feature
