"""What an instance remembers of calls that a cap refused, so that the next refusal costs no write.

A cap refuses a call after it was counted, and counts it back: that takes several writes. While the
total that it was refused for stands, another call that takes as much or more is refused from
memory. Requests are not given back, so that total stands until its window ends. Money, tokens and
places are freed as answers end and costs become known: those totals are forgotten after a while,
and once an answer of the user's has ended here. Caps are compared as they are now: one that was
raised lets the next call through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..cache import Recent
from ..contract import NANO_PER_USD
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
        most: The cap, as it is counted.
        until: How long the total is taken as known.
        is_freed: Whether the end of an answer frees some of it.
        running: The answers that had all places, if the call was refused for those.
    """

    total: int
    by: int
    most: float
    until: datetime
    is_freed: bool
    running: Sequence[str] = ()

    def refuses(self, counter: Counter) -> bool:
        """Return whether a call that moves this counter is known to exceed its cap."""
        most = counter.max_total if counter.home != "project" else self.most
        return counter.by >= self.by and self.total + counter.by > most


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
        most: float,
        running: Sequence[str] = (),
    ) -> None:
        """Remember that a call was refused.

        Args:
            uid: The user.
            feature: The feature that was called.
            counter: The counter whose cap the call exceeded.
            total: That counter without the call.
            most: The cap, as it is counted.
            running: The answers that have all places, if the call was refused for those.
        """
        kept_s = self._kept_s(counter)
        ends = [] if kept_s is None else [self._now() + timedelta(seconds=kept_s)]
        ends += [] if counter.ends is None else [counter.ends]
        known = self._users.get(_owner(uid, counter)) or {}
        known[_key(feature, counter)] = KnownTotal(
            total=total,
            by=counter.by,
            most=most,
            until=min(ends),
            is_freed=counter.unit != "requests",
            running=running,
        )
        self._users.put(_owner(uid, counter), known)

    def check(self, uid: str, feature: str, counters: Sequence[Counter]) -> None:
        """Check a call before it is counted.

        Raises:
            QuotaExceeded: It is known to exceed a cap.
        """
        now = self._now()
        for counter in counters:
            all_known = self._users.get(_owner(uid, counter))
            known = all_known.get(_key(feature, counter)) if all_known else None
            if known is not None and now < known.until and known.refuses(counter):
                shown = counter
                if counter.home == "project":
                    shown = replace(counter, max=known.most / NANO_PER_USD)
                raise refusal(shown, used=known.total, now=now, running=known.running)

    def forget_freed(self, uid: str) -> None:
        """Forget what the end of an answer of this user's may have freed."""
        if known := self._users.get(uid):
            self._users.put(uid, {key: one for key, one in known.items() if not one.is_freed})

    def _kept_s(self, counter: Counter) -> float | None:
        """Return how long a total is taken as known; None until its window ends."""
        if counter.home == "project":
            return self._limits.refused_by_app_s
        if counter.unit == "requests":
            return None
        return self._limits.refused_place_s if counter.ends is None else self._limits.refused_cost_s


def _owner(uid: str, counter: Counter) -> str:
    return "" if counter.home == "project" else uid


def _key(feature: str, counter: Counter) -> Key:
    """What an answer costs depends on the feature; what it is counted as does not."""
    counted_alike = counter.unit in {"requests", "answers"}
    return counter.home, counter.field, "" if counted_alike else feature
