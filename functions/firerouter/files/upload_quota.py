"""How many files a user may upload in a day: a counter beside the ledger's, and its cap.

    quotas/{uid}/windows/uploads-{day}    {count}

What was begun counts, whatever comes of it, and nothing is given back. So the commit needs no guard
but to be sent once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from google.cloud.firestore import AsyncClient, Increment

from .. import limits, log
from ..errors import LedgerUnavailable, QuotaExceeded
from ..firestore import AWAY, key_of


class UploadQuota:
    """Counts in Firestore. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._firestore = firestore
        self._now = now

    async def take(self, uid: str) -> None:
        """One more upload of the user's. Raises QuotaExceeded, LedgerUnavailable."""
        now = self._now()
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        window = self._firestore.document("quotas", key_of(uid), "windows", f"uploads-{day:%Y%m%d}")
        count = {"count": Increment(1), "expireAt": now + timedelta(days=limits.WINDOW_TTL_DAYS)}
        try:
            written = await window.set(count, merge=True, retry=None, timeout=limits.ADMIT_S)
        except AWAY as error:
            log.error("upload_not_counted", type=type(error).__name__)
            raise LedgerUnavailable from None
        if written.transform_results[0].integer_value > limits.UPLOADS_PER_DAY:
            raise QuotaExceeded(
                "You have uploaded too many files today. It starts again at midnight UTC.",
                limit="uploadsPerDay",
                max=limits.UPLOADS_PER_DAY,
                retry_after_seconds=max(1, round((day + timedelta(days=1) - now).total_seconds())),
            )
