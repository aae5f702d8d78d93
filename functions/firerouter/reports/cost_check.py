"""Compares spending with the app's ceilings, and each day with the week before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from google.cloud.firestore import AsyncClient

from ..contract import NANO_PER_USD
from ..firestore import Paths, content, get_all, query
from ..ledger import Ceiling, count_at
from .alerts import Alert, Alerts, dollars
from .limits import ReportLimits
from .sums import NANO_USD, flatten
from .usage_store import SUMS


class CostCheck:
    """Gives alerts about spending. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        alerts: Alerts,
        ceiling: Callable[[], Awaitable[Ceiling]],
        limits: ReportLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`ceiling` returns what the app may spend, according to its current settings."""
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._alerts = alerts
        self._ceiling = ceiling
        self._limits = limits
        self._now = now

    async def run(self) -> int:
        """Return the number of alerts given. Raises SettingsUnavailable, FirestoreError."""
        now = self._now()
        given = await self._check_ceilings(now)
        # a day is only complete once entries of the next one have been counted
        for day in (now - timedelta(days=1), now):
            given += await self._check_day(day)
        return given

    # -- ceilings ------------------------------------------------------------------------------

    async def _check_ceilings(self, now: datetime) -> int:
        ceiling = await self._ceiling()
        found = await query(
            self._paths.ceiling_shards(f"{now:%Y%m}"), within_s=self._limits.alert_read_s
        )
        shards = [content(snapshot) for snapshot in found]
        of_day = sum(count_at(shard, "days", f"{now:%d}", *NANO_USD) for shard in shards)
        of_month = sum(count_at(shard, "month", *NANO_USD) for shard in shards)
        given = await self._check_ceiling("day", f"{now:%Y%m%d}", now, of_day, ceiling.usd_per_day)
        return given + await self._check_ceiling(
            "month", f"{now:%Y%m}", now, of_month, ceiling.usd_per_month
        )

    async def _check_ceiling(
        self, window: str, begins: str, now: datetime, nano_usd: int, ceiling_usd: float
    ) -> int:
        """Give the alert for the highest share reached, unless that or a higher one was given."""
        ids = {share: f"{begins}-ceiling-{window}-{share}" for share in self._limits.alert_shares}
        reached = [share for share in ids if nano_usd * 100 >= share * ceiling_usd * NANO_PER_USD]
        if not reached or nano_usd <= 0:
            return 0
        share = reached[0]
        if await self._alerts.known([id_ for other, id_ in ids.items() if other >= share]):
            return 0
        spent = f"{dollars(nano_usd)} of {dollars(round(ceiling_usd * NANO_PER_USD))}"
        alert = Alert(
            id=ids[share],
            kind="ceiling",
            day=f"{now:%Y%m%d}",
            message=f"The app has reached {share}% of its ceiling for the {window}: {spent}.",
            fields={
                "window": window,
                "share": share,
                "nanoUsd": nano_usd,
                "ceilingNanoUsd": round(ceiling_usd * NANO_PER_USD),
            },
        )
        return int(await self._alerts.give(alert))

    # -- a day and its week --------------------------------------------------------------------

    async def _check_day(self, day: datetime) -> int:
        days = [day - timedelta(days=back) for back in range(self._limits.unusual_days + 1)]
        references = [self._paths.usage(f"{one:%Y%m%d}") for one in days]
        found = await get_all(
            self._firestore,
            references,
            fields=[f"{SUMS}.{NANO_USD[0]}"],
            within_s=self._limits.alert_read_s,
        )
        cost, *week = (flatten(content(one).get(SUMS)).get(NANO_USD, 0) for one in found)
        usual = round(median(week))
        least = self._limits.unusual_min_usd * NANO_PER_USD
        if cost < least or cost <= self._limits.unusual_factor * usual:
            return 0
        name = f"{day:%Y%m%d}"
        alert = Alert(
            id=f"{name}-unusual-cost",
            kind="unusual_cost",
            day=name,
            message=f"{day:%Y-%m-%d} cost {dollars(cost)}, more than "
            f"{self._limits.unusual_factor} times the median of the week before, "
            f"{dollars(usual)}.",
            fields={"nanoUsd": cost, "medianNanoUsd": usual},
        )
        return int(await self._alerts.give(alert))
