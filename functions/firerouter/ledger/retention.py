"""How long the app keeps what is not a user's own conversation. Pure.

    config/app  retention   {entryDays, resultDays, cacheDays, storeTexts}

It is read from the app's settings as a call knows them, and goes with its `Admission`: documents
that were written before a change keep the time that they were given.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from .. import limits
from ..contract import Record

EntryDays = Annotated[int, Field(ge=limits.ENTRY_MIN_DAYS, le=limits.ENTRY_MAX_DAYS)]
ResultDays = Annotated[int, Field(ge=1, le=limits.ENTRY_MAX_DAYS)]
CacheDays = Annotated[int, Field(ge=1, le=limits.CACHE_MAX_S // 86_400)]


class Retention(Record):
    """How long ledger entries, results and cached answers are kept, and whether texts are at all.

    What was stored before a change keeps the time that it was given. Conversations stay until they
    are deleted; a quota's counters live as long as they count, and 40 days at most.
    """

    entry_days: EntryDays = limits.ENTRY_DAYS
    """How many days a ledger entry is kept. The daily sums of reports stay."""

    result_days: ResultDays = limits.ENTRY_DAYS
    """How many days the result of a call is kept in its entry, for the same request sent again and
    for `resume`; at most as long as the entry."""

    cache_days: CacheDays = limits.CACHE_MAX_S // 86_400
    """The most days that a cached answer is kept, whatever a feature's `cacheSeconds` says."""

    store_texts: bool = True
    """Whether prompts and answers are stored anywhere but in the user's own conversation. If not,
    nothing is cached, an answer stops with its listeners even where `onDisconnect` is `continue`,
    the same request sent again after its end is refused with `result_not_kept`, and what an
    instance had written when it was killed is lost."""

    def entry_ends(self, now: datetime) -> datetime:
        """Return when an entry that begins now expires."""
        return now + timedelta(days=self.entry_days)

    def result_ends(self, now: datetime) -> datetime | None:
        """Return when a result that is stored now is removed; None if it goes with its entry."""
        if self.result_days >= self.entry_days:
            return None
        return now + timedelta(days=self.result_days)

    def cache_s(self, wanted_s: int) -> int:
        """Return for how many seconds an answer is cached that a feature caches for `wanted_s`."""
        return min(wanted_s, self.cache_days * 86_400)


BY_DEFAULT: Final = Retention()
