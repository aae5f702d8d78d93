"""What the schedule `roll_up_usage` does: it counts the ledger, then checks the sums for alerts."""

from __future__ import annotations

from ..errors import LedgerUnavailable
from ..firestore import translated
from .account_check import AccountCheck
from .cost_check import CostCheck
from .rollup import RollUp


class UsageUpkeep:
    """The schedule. One per instance."""

    def __init__(self, *, rollup: RollUp, costs: CostCheck, accounts: AccountCheck) -> None:
        self._rollup = rollup
        self._costs = costs
        self._accounts = accounts

    async def run(self) -> dict[str, object]:
        """Return `{rolled, isBehind, alerts}`.

        The accounts are checked only when nothing is left to count.

        Raises:
            LedgerUnavailable, SettingsUnavailable: The next scheduled run tries again.
        """
        summary = await self._rollup.run()
        with translated(LedgerUnavailable, "cost_not_checked"):
            alerts = await self._costs.run()
            if not summary["isBehind"]:
                alerts += await self._accounts.run()
        return {**summary, "alerts": alerts}
