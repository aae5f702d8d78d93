"""Counts the calls that a cap refused: in memory, and in Firestore within a minute.

    usage/{day}   refusals.{feature}.{cap}: how often

A refused call costs no write of its own. The counts are written at most once a minute, by a commit
that is sent only once: they are lost if the instance is killed first, or if the commit fails.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from google.cloud.firestore import AsyncClient

from .. import log
from ..background import BackgroundTasks
from ..firestore import Batch, FirestoreError, Paths, mapped
from .limits import ReportLimits
from .usage_store import REFUSALS


class RefusalCounts:
    """Counts refusals. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        background: BackgroundTasks,
        limits: ReportLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._background = background
        self._limits = limits or ReportLimits()
        self._now = now
        self._counts: Counter[tuple[str, str, str]] = Counter()  # by day, feature and cap
        self._timer: asyncio.TimerHandle | None = None  # starts the next write

    def count(self, cap: str, feature: str) -> None:
        """Count a refusal.

        Args:
            cap: The cap, as in `details.limit` of the refusal.
            feature: The feature that was called.
        """
        key = (f"{self._now():%Y%m%d}", feature, cap)
        if key in self._counts or len(self._counts) < self._limits.refusals_max:
            self._counts[key] += 1
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._limits.refusals_flush_s, self._start_flush)

    async def flush(self) -> None:
        """Write what was counted since the last write."""
        counts, self._counts = self._counts, Counter()
        batch = Batch(self._firestore)
        for day in {day for day, _, _ in counts}:
            moved: dict[tuple[str, ...], int] = {
                (REFUSALS, feature, cap): number
                for (of_day, feature, cap), number in counts.items()
                if of_day == day
            }
            batch.increment(self._paths.usage(day), moved)
        if counts:
            try:
                with mapped():
                    await batch.commit(timeout=self._limits.refusals_write_s)
            except FirestoreError as error:
                log.warning("refusals_not_counted", type=error.cause)

    def _start_flush(self) -> None:
        self._timer = None
        self._background.start(self.flush())
