"""What is left of a user's limits, as results report it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .quotas import Counter


@dataclass(frozen=True, slots=True)
class LimitLeft:
    """What is left of one limit, in nano dollars if it counts dollars."""

    counter: Counter
    left: int

    @classmethod
    def of(cls, counter: Counter, total: int) -> LimitLeft:
        """Return what is left by the counter's total."""
        return cls(counter, int(counter.max_total) - total)

    def to_wire(self) -> float:
        """Return it as callers get it: never negative."""
        return self.counter.to_wire(max(0, self.left))


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of each limit of a user."""

    limits: tuple[LimitLeft, ...] = ()

    @classmethod
    def of(cls, counters: Sequence[Counter], totals: Sequence[int]) -> Allowance:
        """Return what is left by the counters' totals. Counters without a limit are omitted."""
        return cls(
            tuple(
                LimitLeft.of(counter, total)
                for counter, total in zip(counters, totals, strict=True)
                if counter.max is not None
            )
        )

    def after(self, *, unspent_nano_usd: int, unused_tokens: int) -> Allowance:
        """Return what is left after a generation ended and used less than it reserved."""
        given_back = {"usd": unspent_nano_usd, "tokens": unused_tokens}
        return Allowance(
            tuple(
                replace(one, left=one.left + given_back.get(one.counter.unit, 0))
                for one in self.limits
            )
        )

    def to_wire(self) -> dict[str, float]:
        """Return what is left, by the limits' names, as results have it."""
        return {
            one.counter.cap: one.to_wire() for one in self.limits if one.counter.unit != "answers"
        }
