"""The top users over many days, without reading every user of each day.

The top users of each day are read. Those with the highest sums are then looked up on the days on
which they were not among the top, so that their totals are exact. To prove that nobody else belongs
in the list, the others' maximum is computed: on a day on which they were not among the top users,
they had no more than the last of those.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .limits import ReportLimits
from .usage_reader import Measure, UsageReader, UserUsage


@dataclass(frozen=True, slots=True)
class TopUsers:
    """The users with the highest totals.

    Attributes:
        users: The total of each over all days, highest first; `day` is empty.
        is_exact: Whether it is proven that nobody else belongs in the list.
    """

    users: list[UserUsage]
    is_exact: bool


async def find_top_users(
    reader: UsageReader,
    days: Sequence[str],
    measure: Measure,
    count: int,
    limits: ReportLimits,
) -> TopUsers:
    """Return the top users of these days together. Raises as `reader` does."""
    read = max(limits.top_users_read, count)
    first = await reader.top(days, measure, read)
    seen: Counter[str] = Counter()
    on: dict[str, set[str]] = defaultdict(set)
    by_day: dict[str, list[int]] = defaultdict(list)
    for one in first:
        seen[one.uid] += one.by(measure)
        on[one.uid].add(one.day)
        by_day[one.day].append(one.by(measure))
    # what a user can have at most on a day on which they are not among the top users
    unread = {day: had[-1] if len(had) == read else 0 for day, had in by_day.items()}
    compared = [uid for uid, _ in seen.most_common(count * limits.top_users_compared)]
    missing = {
        day: [uid for uid in compared if day not in on[uid]] for day, most in unread.items() if most
    }
    found = [one for one in first if one.uid in set(compared)] + await reader.totals_of(missing)
    users = sorted(_totals(found), key=lambda user: (-user.by(measure), user.uid))[:count]
    others = [seen[uid] + _most(unread, on[uid]) for uid in seen.keys() - set(compared)]
    others.append(_most(unread, set()))
    least = users[-1].by(measure) if len(users) == count else 0
    return TopUsers(users, is_exact=max(others) <= least)


def _most(unread: dict[str, int], on: set[str]) -> int:
    return sum(most for day, most in unread.items() if day not in on)


def _totals(usages: Sequence[UserUsage]) -> list[UserUsage]:
    requests: Counter[str] = Counter()
    nano_usd: Counter[str] = Counter()
    for usage in usages:
        requests[usage.uid] += usage.requests
        nano_usd[usage.uid] += usage.nano_usd
    return [UserUsage("", uid, requests[uid], nano_usd[uid]) for uid in requests]
