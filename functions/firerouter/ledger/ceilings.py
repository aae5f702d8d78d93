"""What all users of the app together may spend in a day and a month, across all instances.

    ceilings/{month}/shards/{n}   {days.{dd}: {nanoUsd}, month: {nanoUsd}, expireAt}

Each admission is counted in one shard, in the same commit as its entry, so that no single document
is written by every call. The sum of the shards is a few seconds old: one admission reads it for all
that wait for it. Above a share of the ceiling (`ceiling_exact_from`), each admission reads it after
its own commit: of two that do not fit together, at least one then sees the other, and reservations
do not exceed the ceiling. Below that share, an instance does not see what others have reserved in
the last `ceiling_stale_s`: the ceiling is exceeded only if that is more than what was left of it.
After a refusal, each admission reads it for that long, because all those refused try again.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping

from ..cache import Cached
from ..contract import NANO_PER_USD
from ..firestore import Document
from .caps import Ceiling
from .limits import LedgerLimits
from .malformed import counted
from .quotas import NANO_USD, Counter, Field, Windows
from .store import LedgerStore


class Spending:
    """What the shards of a month hold, and the sum of each of their counters, in nano dollars."""

    def __init__(self, documents: Mapping[int, Document]) -> None:
        self._shards: dict[int, dict[Field, int]] = {}
        self._sums: dict[Field, int] = {}
        for number, document in documents.items():
            self.put(number, _counters(document))

    def put(self, number: int, counters: Mapping[Field, int]) -> None:
        """Set some counters of a shard."""
        shard = self._shards.setdefault(number, {})
        for field, value in counters.items():
            self._sums[field] = self.sum(field) + value - shard.get(field, 0)
            shard[field] = value

    def sum(self, field: Field) -> int:
        return self._sums.get(field, 0)


class Ceilings:
    """Compares what the whole app spends with its ceilings. One per instance."""

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
        self._month = ""  # the month that is cached
        self._known: Cached[Spending] | None = None
        self._noted: dict[int, tuple[float, Mapping[Field, int]]] = {}  # when, and the new totals
        self._exact_until = 0.0  # by the clock: so long after a refusal, each admission reads
        self._admitted: deque[float] = deque(maxlen=limits.ceiling_shards_max)  # when, lately

    def choose_shard(self) -> int:
        """Return a shard for an admission. A busy instance uses more shards."""
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - 1:
            self._admitted.popleft()
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
            counted: The counters of its shard with their new totals, by the cap's name.

        Returns:
            The counter with its cap, the new total of all shards, and the cap in nano dollars.

        Raises:
            FirestoreError: The sum cannot be read.
        """
        caps = {"app.usdPerDay": ceiling.usd_per_day, "app.usdPerMonth": ceiling.usd_per_month}
        known = self._known_in(windows)
        spending = await known.get()
        new = {counter.field: total for counter, total in counted.values()}
        spending.put(windows.shard, new)
        self._noted[windows.shard] = self._clock(), new
        is_near = self._clock() < self._exact_until or any(
            spending.sum(counter.field)
            >= self._limits.ceiling_exact_from * caps[cap] * NANO_PER_USD
            for cap, (counter, _) in counted.items()
        )
        if is_near:
            spending = await self._read_now(windows)
        for cap, (counter, _) in counted.items():
            total, most = spending.sum(counter.field), caps[cap] * NANO_PER_USD
            if total > most:
                self._exact_until = self._clock() + self._limits.ceiling_stale_s
                return counter, total, most
        return None

    async def total(self, windows: Windows, field: Field) -> int:
        """Return what all shards hold now of one of their counters. Raises FirestoreError."""
        return (await self._read_now(windows)).sum(field)

    def _known_in(self, windows: Windows) -> Cached[Spending]:
        """Return the cached sums of the month of these windows."""
        if self._known is None or self._month != windows.month:
            self._month, self._noted = windows.month, {}
            self._known = Cached(
                lambda: self._read(windows),
                fresh_s=self._limits.ceiling_fresh_s,
                stale_s=self._limits.ceiling_stale_s,
                clock=self._clock,
            )
        return self._known

    async def _read(self, windows: Windows) -> Spending:
        begun, noted = self._clock(), self._noted
        return _with_newer(await self._store.ceiling_shards(windows), begun, noted)

    async def _read_now(self, windows: Windows) -> Spending:
        """Return the sums after everything that was written before this read, and no less."""
        begun, noted = self._clock(), self._noted
        documents = await self._store.ceiling_shards(windows)
        self._known_in(windows).put(_with_newer(documents, begun, noted))
        return Spending(documents)


def _with_newer(
    documents: Mapping[int, Document],
    begun: float,
    noted: Mapping[int, tuple[float, Mapping[Field, int]]],
) -> Spending:
    """Return what was read, with the totals noted since the read began.

    They are newer, unless another instance has written to the same shard meanwhile.
    """
    spending = Spending(documents)
    for number, (at, totals) in noted.items():
        if at >= begun:
            spending.put(number, totals)
    return spending


def _counters(shard: Document) -> dict[Field, int]:
    days = shard.get("days")
    found: dict[Field, object] = {("month",): shard.get("month")}
    if isinstance(days, Mapping):
        found |= {("days", day): value for day, value in days.items()}
    return {
        (*path, NANO_USD): counted(value.get(NANO_USD))
        for path, value in found.items()
        if isinstance(value, Mapping)
    }
