"""What is left of a user's limits, as a result tells it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..contract import NANO_PER_USD
from .quotas import Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLeft:
    """One limit.

    Attributes:
        cap: Its name, as a refusal's `details.limit` has it.
        unit: What it counts.
        max: Its value.
        left: What is left of it, in nano dollars if it counts dollars.
        resets_at: When the next window begins.
    """

    cap: str
    unit: str
    max: float
    left: int
    resets_at: datetime | None

    @property
    def wire_left(self) -> float:
        """What is left: US dollars where dollars are counted, and never less than nothing."""
        left = max(0, self.left)
        return left / NANO_PER_USD if self.unit == "usd" else left


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of each limit of a user."""

    limits: tuple[LimitLeft, ...] = ()

    @classmethod
    def of(cls, counters: Sequence[Counter], totals: Sequence[int]) -> Allowance:
        """Return what is left by the totals of the counters. What has no limit is left out."""
        return cls(
            tuple(
                LimitLeft(
                    cap=counter.cap,
                    unit=counter.unit,
                    max=counter.max,
                    left=int(counter.max_total) - total,
                    resets_at=counter.ends,
                )
                for counter, total in zip(counters, totals, strict=True)
                if counter.max is not None
            )
        )

    def after(self, *, unspent_nano_usd: int, unused_tokens: int) -> Allowance:
        """Return what is left once a generation has ended that needed less than it reserved."""
        given_back = {"usd": unspent_nano_usd, "tokens": unused_tokens}
        return Allowance(
            tuple(replace(one, left=one.left + given_back.get(one.unit, 0)) for one in self.limits)
        )

    def to_wire(self) -> dict[str, float]:
        """Return what is left by the names of the limits, as a result tells it."""
        return {one.cap: one.wire_left for one in self.limits if one.unit != "answers"}
