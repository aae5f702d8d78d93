"""What admins set for single users, as each instance caches it.

    limits/{user}   {tier?, limits?: {requestsPerMinute?, ...}, blocked?, at, by}

A malformed field counts as absent, except `blocked`: any value but `false` blocks the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from .. import log
from ..cache import Cached, Recent
from ..errors import LedgerUnavailable
from ..firestore import Paths, content, get, translated
from .caps import LimitsOverride, OwnLimits, read_override
from .limits import LedgerLimits

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient


class OwnLimitsStore:
    """The limits of single users. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        limits: LedgerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = Paths(firestore)
        self._limits = limits or LedgerLimits()
        self._clock = clock
        self._cached: Recent[str, Cached[OwnLimits]] = Recent(self._limits.own_limits_users)

    async def get(self, uid: str) -> OwnLimits:
        """Return what an admin set for a user, at most `own_limits_stale_s` old.

        Raises:
            LedgerUnavailable, FirestoreForbidden: It cannot be read.
        """
        cached = self._cached.get(uid)
        if cached is None:
            cached = Cached(
                partial(self._load, uid),
                fresh_s=self._limits.own_limits_fresh_s,
                stale_s=self._limits.own_limits_stale_s,
                clock=self._clock,
            )
            self._cached.put(uid, cached)
        return await cached.get()

    def forget(self, uid: str) -> None:
        """Drop a user's cached limits, because this instance has just changed them."""
        self._cached.pop(uid)

    async def _load(self, uid: str) -> OwnLimits:
        with translated(LedgerUnavailable, "limits_unavailable"):
            return read_own_limits(content(await get(self._paths.user_limits(uid))))


def read_own_limits(document: Mapping[str, object]) -> OwnLimits:
    """Read what a document says about one user. It may be malformed."""
    tier = document.get("tier")
    own = document.get("limits")
    override = LimitsOverride()
    if isinstance(own, Mapping):
        override, malformed = read_override(own)
        for name in malformed:
            log.error("limit_malformed", field=f"limits.{name}")
    return OwnLimits(
        tier=tier if isinstance(tier, str) and tier else None,
        limits=override,
        blocked=document.get("blocked", False) is not False,
    )
