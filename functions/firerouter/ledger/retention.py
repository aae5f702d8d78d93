"""How long the app keeps what is not a user's own conversation. Pure.

    config/app  retention   {entryDays, resultDays, cacheDays, storeTexts}

A call reads it from the app's settings and carries it in its `Admission`. Documents that were
written before a change keep their expiry.
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

    What was stored before a change keeps its expiry. Conversations stay until they are deleted; a
    quota's counters are kept while they count, 40 days at most.
    """

    entry_days: EntryDays = limits.ENTRY_DAYS
    """How many days a ledger entry is kept. The daily sums of reports are kept forever."""

    result_days: ResultDays = limits.ENTRY_DAYS
    """How many days a call's result is kept in its entry, for `resume` and for repeated requests;
    at most as long as the entry."""

    cache_days: CacheDays = limits.CACHE_MAX_S // 86_400
    """The maximum number of days that a cached answer is kept, whatever `cacheSeconds` says."""

    store_texts: bool = True
    """Whether prompts and answers are stored anywhere but in the user's own conversation. If not,
    nothing is cached, answers stop when their listeners leave even if `onDisconnect` is `continue`,
    a request that is repeated after its end is refused with `result_not_kept`, and if an instance
    is killed, what its answers had written so far is lost."""

    def entry_ends(self, now: datetime) -> datetime:
        """Return when an entry that begins now expires."""
        return now + timedelta(days=self.entry_days)

    def result_ends(self, now: datetime) -> datetime | None:
        """Return when a result that is stored now is removed; None if it goes with its entry."""
        if self.result_days >= self.entry_days:
            return None
        return now + timedelta(days=self.result_days)

    def cache_s(self, wanted_s: int) -> int:
        """Return how many seconds to cache an answer, given the feature's `wanted_s`."""
        return min(wanted_s, self.cache_days * 86_400)


BY_DEFAULT: Final = Retention()
