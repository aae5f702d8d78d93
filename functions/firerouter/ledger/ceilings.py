"""What all users of the app together may spend: a day and a month, however many instances serve.

    ceilings/{month}/shards/{n}   {days.{dd}: {nanoUsd}, month: {nanoUsd}, expireAt}

Each admission is counted in one shard, in the same commit as its entry, so that no document is
written by all. The sum of the shards is known from a few seconds ago. From a share of the ceiling
on (`ceiling_exact_from`) it is read for each admission, after its own commit: then two that do not
fit together see each other, and what is reserved does not exceed the ceiling. Below that share,
what other instances reserve within `ceiling_fresh_s` is not seen: the ceiling is exceeded only
where that is more than the rest of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..contract import NANO_PER_USD
from ..firestore import Document
from .caps import Ceiling
from .limits import LedgerLimits
from .quotas import NANO_USD, Counter, Windows
from .store import LedgerStore


@dataclass(frozen=True, slots=True)
class CeilingUse:
    """What the whole app has reserved and spent, in nano dollars, on a day and in its month."""

    day_nano_usd: int
    month_nano_usd: int


class Ceilings:
    """Compares what the whole app spends with its ceiling. One per instance."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        limits: LedgerLimits,
        clock: Callable[[], float] = time.monotonic,
        random_: random.Random | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._random = random_ or random.Random()  # noqa: S311  # spreads writes, guards nothing
        self._month = ""
        self._shards: dict[int, Document] = {}
        self._read_at: float | None = None
        self._admitted: list[float] = []  # when, within the last second

    def choose_shard(self) -> int:
        """Return the shard for an admission: one of more, the more this instance admits."""
        now = self._clock()
        self._admitted = [at for at in self._admitted if at > now - 1][
            -self._limits.ceiling_shards_max :
        ]
        self._admitted.append(now)
        most = max(self._limits.ceiling_shards_min, len(self._admitted))
        return self._random.randrange(min(most, self._limits.ceiling_shards_max))

    async def excess(
        self, ceiling: Ceiling, windows: Windows, counted: Mapping[str, tuple[Counter, int]]
    ) -> tuple[Counter, int, float] | None:
        """Return the ceiling that is exceeded, if any is.

        Args:
            ceiling: What the app may spend.
            windows: Where the admission is counted.
            counted: The counters of its shard, by the name of the cap, with their new totals.

        Returns:
            The counter with its cap, the new total of all shards, and the cap in nano dollars.

        Raises:
            FirestoreError: The sum cannot be read.
        """
        caps = {"app.usdPerDay": ceiling.usd_per_day, "app.usdPerMonth": ceiling.usd_per_month}
        age = float("inf") if self._read_at is None else self._clock() - self._read_at
        known = self._month == windows.month and age < self._limits.ceiling_fresh_s
        if known:
            self._note(windows, counted)
            near = any(
                self._sum(counter) >= self._limits.ceiling_exact_from * caps[cap] * NANO_PER_USD
                for cap, (counter, _) in counted.items()
            )
        if not known or near:
            await self._read(windows)
        for cap, (counter, _) in counted.items():
            total, most = self._sum(counter), caps[cap] * NANO_PER_USD
            if total > most:
                return counter, total, most
        return None

    async def use(self, windows: Windows) -> CeilingUse:
        """Return what the app has reserved and spent by now. Raises FirestoreError."""
        await self._read(windows)
        day = sum(_at(shard, "days", windows.day) for shard in self._shards.values())
        month = sum(_at(shard, "month") for shard in self._shards.values())
        return CeilingUse(day, month)

    async def _read(self, windows: Windows) -> None:
        begun = self._clock()
        self._shards = await self._store.ceiling_shards(windows)
        self._month, self._read_at = windows.month, begun

    def _note(self, windows: Windows, counted: Mapping[str, tuple[Counter, int]]) -> None:
        """Take the new totals of the shard that was just written."""
        shard: Document = {"days": {}, "month": {}}
        for counter, total in counted.values():
            place = shard[counter.field[0]]
            if isinstance(place, dict):
                inner = place.setdefault(counter.field[1], {}) if len(counter.field) > 2 else place
                inner[NANO_USD] = total
        self._shards[windows.shard] = shard

    def _sum(self, counter: Counter) -> int:
        return sum(_at(shard, *counter.field[:-1]) for shard in self._shards.values())


def _at(document: Mapping[str, object], *names: str) -> int:
    value: object = document
    for name in (*names, NANO_USD):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) else 0
