"""What an admin should look at: a document and a log line, once per cause and day (or month).

    alerts/{id}   {kind, day, message, at, expireAt, ...}      id: the day, or month, and the cause

The log events have stable names, so that log-based alerts can use them: `alert_ceiling`,
`alert_unusual_cost`, `alert_account`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from google.cloud.firestore import AsyncClient

from .. import log
from ..contract import NANO_PER_USD
from ..firestore import AlreadyExists, Paths, create, get_all
from .limits import ReportLimits

AlertKind = Literal["ceiling", "unusual_cost", "account"]
CENT: Final = NANO_PER_USD // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        id: The day, or month, and the cause. There is one alert per id.
        kind: What it is about.
        day: The day (UTC) that it is about, such as `20260714`.
        message: One or two sentences for an admin.
        fields: More fields of the document and the log line. Amounts are in nano dollars.
    """

    id: str
    kind: AlertKind
    day: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)


class Alerts:
    """The alerts of the app. One per instance. Its methods raise FirestoreError."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        limits: ReportLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._limits = limits
        self._now = now

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return the ids that already have an alert."""
        references = [self._paths.alert(id_) for id_ in ids]
        found = await get_all(
            self._firestore, references, fields=["kind"], within_s=self._limits.alert_read_s
        )
        return {snapshot.id for snapshot in found if snapshot.exists}

    async def give(self, alert: Alert) -> bool:
        """Log and record an alert. Return whether it is a new one.

        The line is written first: if the process dies before the document, it is written again.
        """
        if await self.known([alert.id]):
            return False
        log.warning(f"alert_{alert.kind}", id=alert.id, day=alert.day, **alert.fields)
        now = self._now()
        document = {
            "kind": alert.kind,
            "day": alert.day,
            "message": alert.message,
            "at": now,
            "expireAt": now + timedelta(days=self._limits.alert_ttl_days),
            **alert.fields,
        }
        try:
            await create(self._paths.alert(alert.id), document, within_s=self._limits.alert_write_s)
        except AlreadyExists:  # another run was faster
            return False
        return True


def dollars(nano_usd: int) -> str:
    """Return an amount as alerts show it: `$1,234.50`, or `$0.0042` where cents say too little."""
    if 0 < nano_usd < CENT:
        return "$" + f"{max(nano_usd, NANO_PER_USD // 10**6) / NANO_PER_USD:.6f}".rstrip("0")
    return f"${nano_usd / NANO_PER_USD:,.2f}"
