"""Counts ended ledger entries in the roll-ups of their days, page by page.

    read the cursor -> a page of entries that are due -> one commit: they are counted, and the sums
    and the cursor move -> the next page, until none is left or time is up

Each entry is counted once, even if the run is cut off, repeated, or runs twice at the same time:
see `usage_store`. If another run or a correction changes an entry of the page first, the page is
read again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .. import log
from ..errors import LedgerUnavailable
from ..firestore import Conflict, FirestoreError, NotStorable, translated
from .limits import ReportLimits
from .usage_store import DueEntry, UsageStore


@dataclass(slots=True)
class _Reader:
    """A run's position: what it reads next, and how much at a time."""

    since: datetime | None
    size: int

    def narrow(self) -> None:
        self.size = max(1, self.size // 2)


class RollUp:
    """Makes the roll-ups. One per instance."""

    def __init__(
        self,
        store: UsageStore,
        *,
        limits: ReportLimits | None = None,
        random_: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._limits = limits or ReportLimits()
        self._random = random_

    async def run(self) -> dict[str, object]:
        """Count what is due. Return `{rolled, isBehind}`: the number of entries; if some are left.

        Raises:
            LedgerUnavailable: The next scheduled run tries again.
        """
        with translated(LedgerUnavailable, "usage_not_rolled_up"):
            rolled, is_behind = await self._run()
        log.info("usage_rolled_up", rolled=rolled, isBehind=is_behind)
        return {"rolled": rolled, "isBehind": is_behind}

    async def _run(self) -> tuple[int, bool]:
        now = asyncio.get_running_loop().time
        until = now() + self._limits.roll_up_s
        reader = _Reader(await self._store.cursor(), self._limits.roll_page_entries)
        rolled = 0
        while now() < until:
            page = await self._store.due(reader.since, reader.size)
            if not page:
                await self._store.note_complete()
                return rolled, False
            rolled += await self._roll(page, reader)
        return rolled, True

    async def _roll(self, page: list[DueEntry], reader: _Reader) -> int:
        """Count a page, or as much of it as fits into a commit. Return how many were counted."""
        try:
            counted = await self._store.roll(page)
        except Conflict:
            # a random pause, so that two runs do not collide again
            await asyncio.sleep(self._limits.roll_pause_s * self._random())
            reader.narrow()
            return 0
        except NotStorable as error:
            if len(page) == 1:
                await self._leave_out(page[0], error)
            reader.narrow()
            return 0
        reader.since = counted[-1].due_at
        reader.size = self._limits.roll_page_entries
        return len(counted)

    async def _leave_out(self, entry: DueEntry, error: FirestoreError) -> None:
        log.error("usage_not_counted", generation=entry.id, type=error.cause)
        try:
            await self._store.leave_out(entry)
        except Conflict:  # it has changed: the next page reads it again
            log.warning("usage_changed", generation=entry.id)
