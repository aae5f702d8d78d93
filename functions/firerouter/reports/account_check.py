"""Compares what OpenRouter charged each key on a day with the ledger's sum for it.

    usage/{day}                     sums.keyNanoUsd.{key}: what the ledger says
    usage/accounts/keys/{key}       {day, totalNanoUsd}: the key's total at the end of that day

`GET /key` reports what a key has spent in all and what it has spent today (UTC). Their difference
is the total at the end of yesterday, whatever time it is today. The difference between two such
totals is what the key spent on the days between. Neither includes what a provider charged to the
owner's own account.

The ledger counts a generation on the day of its admission. OpenRouter may count one that runs past
midnight on the next day. The tolerance is for these, and for estimates that are not corrected yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from google.cloud.firestore import AsyncClient

from .. import log
from ..callable import CallableError
from ..contract import NANO_PER_USD
from ..firestore import Paths, content, get, get_all, put
from ..keys import KeyPool, Secret
from ..openrouter import KeyReport
from .alerts import Alert, Alerts, dollars
from .limits import ReportLimits
from .sums import KEY_ESTIMATED_NANO_USD, KEY_NANO_USD, flatten, key_name, under
from .usage_store import SUMS


class KeyReports(Protocol):
    """Says what a key has spent. `openrouter.OpenRouter` is one."""

    def key_report(self, key: Secret) -> Awaitable[KeyReport]: ...


@dataclass(frozen=True, slots=True)
class _Statement:
    """What OpenRouter said about a key.

    Attributes:
        day: The last whole day that it covers.
        total_nano_usd: What the key had spent in all by the end of that day.
    """

    day: date
    total_nano_usd: int


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What the ledger says that OpenRouter charged a key, and how much of it is estimated."""

    nano_usd: int
    estimated_nano_usd: int


class AccountCheck:
    """Checks each key once a day. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        alerts: Alerts,
        keys: KeyPool,
        openrouter: Callable[[], KeyReports],
        limits: ReportLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._alerts = alerts
        self._keys = keys
        self._openrouter = openrouter
        self._limits = limits
        self._now = now

    async def run(self) -> int:
        """Check the keys for which yesterday has not been checked. Return the number of alerts.

        A key that cannot be read, or that OpenRouter does not report on, is left to the next run.

        Raises:
            SettingsUnavailable, FirestoreError: The next scheduled run tries again.
        """
        due = self._now() - timedelta(days=1, seconds=self._limits.account_after_s)
        slots = await self._keys.slots()
        versions: Sequence[int | None] = sorted(slots.all_versions())
        if slots.default is None and (key := await self._key(None)) is not None:
            versions = [*versions, key.version]  # the newest, until an admin has stored one
        given = 0
        for version in versions:
            given += await self._check(version, due.date())
        return given

    async def _check(self, version: int | None, day: date) -> int:
        name = key_name(version)
        before = await self._last_statement(name)
        if before is not None and before.day >= day:
            return 0
        now = await self._statement(version)
        if now is None or now.day < day:  # asked around midnight
            return 0
        given = False
        if before is not None:
            ledger = await self._ledger(name, before.day, now.day)
            charged = now.total_nano_usd - before.total_nano_usd
            if self._differs(charged, ledger.nano_usd):
                alert = _alert(name, (before.day, now.day), charged, ledger)
                given = await self._alerts.give(alert)
        statement = {"day": f"{now.day:%Y%m%d}", "totalNanoUsd": now.total_nano_usd}
        await put(self._paths.key_account(name), statement, within_s=self._limits.alert_write_s)
        return int(given)

    def _differs(self, charged: int, counted: int) -> bool:
        difference = abs(charged - counted)
        share = self._limits.account_share * max(charged, counted)
        return difference > share and difference > self._limits.account_min_usd * NANO_PER_USD

    async def _last_statement(self, name: str) -> _Statement | None:
        stored = content(await get(self._paths.key_account(name)))
        day, total = stored.get("day"), stored.get("totalNanoUsd")
        if not isinstance(day, str) or not isinstance(total, int):
            return None
        return _Statement(datetime.strptime(day, "%Y%m%d").date(), total)

    async def _statement(self, version: int | None) -> _Statement | None:
        """Ask OpenRouter. Return None if it or Secret Manager did not answer."""
        key = await self._key(version)
        if key is None:
            return None
        asked_on = self._now().date()
        try:
            report = await self._openrouter().key_report(key)
        except CallableError as error:
            log.warning("account_not_told", key=key_name(version), reason=error.reason)
            return None
        if report.usage_usd is None or report.usage_today_usd is None:
            log.warning("account_not_told", key=key_name(version), reason="no_usage")
            return None
        if self._now().date() != asked_on:  # "today" may be either day
            return None
        total = _nano_usd(report.usage_usd) - _nano_usd(report.usage_today_usd)
        return _Statement(asked_on - timedelta(days=1), total)

    async def _key(self, version: int | None) -> Secret | None:
        try:
            return await self._keys.read(version)
        except CallableError as error:
            log.warning("account_not_told", key=key_name(version), reason=error.reason)
            return None

    async def _ledger(self, name: str, after: date, until: date) -> _Ledger:
        """Return what the ledger counted after day `after`, up to the end of day `until`."""
        days = [after + timedelta(days=1 + number) for number in range((until - after).days)]
        references = [self._paths.usage(f"{day:%Y%m%d}") for day in days]
        found = await get_all(self._firestore, references, within_s=self._limits.alert_read_s)
        sums = [flatten(content(snapshot).get(SUMS)) for snapshot in found]
        return _Ledger(
            nano_usd=sum(under(one, KEY_NANO_USD).get(name, 0) for one in sums),
            estimated_nano_usd=sum(under(one, KEY_ESTIMATED_NANO_USD).get(name, 0) for one in sums),
        )


def _alert(name: str, days: tuple[date, date], charged: int, ledger: _Ledger) -> Alert:
    after, day = days
    first = after + timedelta(days=1)
    when = f"On {day}" if first == day else f"From {first} to {day}"
    return Alert(
        id=f"{day:%Y%m%d}-account-{name}",
        kind="account",
        day=f"{day:%Y%m%d}",
        message=f"{when} (UTC), OpenRouter charged {dollars(charged)} to the key {name}, but the "
        f"ledger counts {dollars(ledger.nano_usd)}, of which "
        f"{dollars(ledger.estimated_nano_usd)} is estimated. Is the key used elsewhere?",
        fields={
            "key": name,
            "firstDay": f"{first:%Y%m%d}",
            "chargedNanoUsd": charged,
            "ledgerNanoUsd": ledger.nano_usd,
            "estimatedNanoUsd": ledger.estimated_nano_usd,
        },
    )


def _nano_usd(usd: float) -> int:
    return round(Decimal(repr(usd)) * NANO_PER_USD)
