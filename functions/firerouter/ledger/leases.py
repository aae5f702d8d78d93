"""An instance's lease, which tells others whether the generations that it runs are still alive.

    instances/{instance}   {aliveUntil, expireAt}

An entry is alive for `lease_s` after its admission, which is longer than most answers take. While
an instance runs an older one, it renews a lease of its own: one write for all its generations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from .. import log
from ..background import BackgroundTasks
from ..firestore import FirestoreError
from .limits import LedgerLimits
from .store import LedgerStore


class Leases:
    """Renews the lease of this instance while it needs one. One per instance."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        instance: str,
        background: BackgroundTasks,
        limits: LedgerLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._instance = instance
        self._background = background
        self._limits = limits
        self._now = now
        self._held: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, id_: str) -> None:
        """Keep a generation alive until it is released."""
        self._held.add(id_)
        if self._timer is None:
            self._schedule()

    def release(self, id_: str) -> None:
        """Release a generation that has ended."""
        self._held.discard(id_)
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.lease_renewal_s, self._start)

    def _start(self) -> None:
        self._schedule()
        self._background.start(self._renew())

    async def _renew(self) -> None:
        try:
            await self._store.renew_lease(self._instance, now=self._now())
        except FirestoreError as error:
            log.warning("lease_not_renewed", type=error.cause)  # the next one is still in time
