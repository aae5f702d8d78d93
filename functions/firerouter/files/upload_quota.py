"""Limits how many files a user may upload in a day, with a counter next to the ledger's.

    quotas/{uid}/windows/uploads-{day}    {count}

An upload counts when it starts, whatever becomes of it, and the counter never goes down. So the
write needs no guard, as long as it is sent only once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from google.cloud.firestore import AsyncClient, Increment

from ..errors import LedgerUnavailable, QuotaExceeded
from ..firestore import Paths, put, translated
from ..ledger import in_words
from .limits import FileLimits


class UploadQuota:
    """Counts uploads in Firestore. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        limits: FileLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._paths = Paths(firestore)
        self._limits = limits
        self._now = now

    async def take(self, uid: str) -> None:
        """Count one more upload.

        Raises:
            QuotaExceeded: The user has started too many today.
            LedgerUnavailable: The upload could not be counted.
        """
        now = self._now()
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        window = self._paths.quota_window(uid, f"uploads-{day:%Y%m%d}")
        expires = now + timedelta(days=self._limits.quota_keep_days)
        count = {"count": Increment(1), "expireAt": expires}
        with translated(LedgerUnavailable, "upload_not_counted"):
            written = await put(window, count, merge=True, within_s=self._limits.quota_s)
        most = self._limits.uploads_per_day
        if written.transform_results[0].integer_value > most:
            wait_s = max(1, round((day + timedelta(days=1) - now).total_seconds()))
            raise QuotaExceeded(
                f"You have uploaded too many files today. Please try again {in_words(wait_s)}.",
                limit="uploadsPerDay",
                max=most,
                retry_after_seconds=wait_s,
            )
