"""One trial: in each project the calls, then reconciliation, then the audits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from firerouter.app.bootstrap import App
from firerouter.errors import LedgerUnavailable
from scripts.bill_test.bill_audit import Bill, LedgerBooks
from scripts.bill_test.plan import Plan, plan
from scripts.bill_test.totals import Totals
from scripts.bill_test.traffic import Traffic
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite
from scripts.trials.findings import Findings, report
from scripts.trials.reconciliation import reconcile_all, reconcile_twice
from scripts.usage_audit.recount import check_day
from scripts.usage_audit.usage_documents import UsageDocuments

# For each instance's listener, the emulator checks every write of a project against all of its
# entries: its work grows with the square of their number
PROJECT_CALLS: Final = 1_000
PROGRESS_EVERY: Final = 500  # calls
RECONCILIATIONS_MAX: Final = 60
ROLL_UPS_MAX: Final = 10


class ProjectTrial:
    """One plan in a project of its own."""

    def __init__(self, suite: Suite, logs: Path) -> None:
        self._suite = suite
        self.key = f"sk-or-v1-bill-{secrets.token_hex(12)}"
        self.traffic = Traffic(suite, f"demo-bill-{secrets.token_hex(4)}", logs)
        self.app = App({**suite.environment(), "GCLOUD_PROJECT": self.traffic.project})
        self.wrong_meanwhile: list[str] = []
        self.audits = 0
        self._audit = asyncio.Lock()

    async def audit(self) -> None:
        """Compare ended entries with the bill, then reconcile and roll up, all under load."""
        async with self._audit:
            books = await LedgerBooks.read(self.app.firestore)
            bill = await Bill.read(self._suite, self.key)  # after the ledger: it covers all of that
            self.wrong_meanwhile += books.unlike_the_bill(bill)
            self.audits += 1
            try:
                await reconcile_twice(self.app)
                await self.roll_up()
            except LedgerUnavailable:
                pass  # the emulator is busy: as when deployed, a later run tries again

    async def roll_up(self, *, times: int = 1) -> None:
        """Roll up ended entries. If Firestore is unavailable, try again, as the schedule does."""
        with contextlib.redirect_stdout(io.StringIO()):  # its log lines are for Cloud Logging
            for last in range(times - 1, -1, -1):
                try:
                    while (await self.app.reports.rollup.run())["isBehind"]:
                        pass
                    return
                except LedgerUnavailable:
                    if not last:
                        raise

    async def run(
        self, planned: Plan, on_call: Callable[[], None], *, pause_s: float = 0.0
    ) -> Totals:
        """Carry out a plan, reconcile, and compare everything. See `Traffic.run`."""
        await asyncio.to_thread(self.traffic.prepare, self.key)
        await self.traffic.run(planned, on_audit=self.audit, on_call=on_call, pause_s=pause_s)
        totals = Totals()
        before = await LedgerBooks.read(self.app.firestore)
        totals.reconciled = await reconcile_all(self.app, runs_max=RECONCILIATIONS_MAX)
        await self.roll_up(times=ROLL_UPS_MAX)
        books = await LedgerBooks.read(self.app.firestore)
        bill = await Bill.read(self._suite, self.key)
        totals.add_project(books, bill)
        totals.add_outcomes(self.traffic.outcomes)
        totals.numbers.update(
            calls=len(planned.calls),
            killed=self.traffic.killed,
            stopped=self.traffic.stopped,
            audits=self.audits,
            left=sum(entry["status"] == "running" for entry in before.entries.values()),
        )
        findings = Findings()
        findings.check("entries that differed from the bill meanwhile", self.wrong_meanwhile)
        findings.lines |= books.findings(bill, planned.calls).lines
        findings.check("roll-ups that differ from the entries", await self._wrong_rollups(books))
        totals.add_findings(findings)
        return totals

    async def _wrong_rollups(self, books: LedgerBooks) -> list[str]:
        """Do what `./scripts/usage --check` does, on each day of the run."""
        documents = await UsageDocuments.of(self.app.firestore)
        lines = []
        for day in sorted({f"{entry['createdAt']:%Y%m%d}" for entry in books.entries.values()}):
            count = await check_day(documents, day)
            lines += count.differences
            if count.waiting:
                lines.append(f"{day}: {count.waiting} entries are not counted")
        return lines


async def run(suite: Suite, logs: Path, generations: int, seed: int) -> int:
    """Run a trial against a started suite, in projects of its own, one after the other.

    Returns:
        The exit status.
    """
    began, calls, totals = time.monotonic(), 0, Totals()

    def on_call() -> None:
        nonlocal calls
        calls += 1
        if calls % PROGRESS_EVERY == 0:
            say(f"{time.monotonic() - began:5.0f} s  {calls} calls")

    for number, size in enumerate(sizes(generations)):
        planned = plan(size, seed + number)
        totals.add(await ProjectTrial(suite, logs).run(planned, on_call))
    print(f"{calls} calls (seed {seed}), {time.monotonic() - began:.0f} s")
    totals.describe()
    return report(totals.findings)


def sizes(generations: int) -> list[int]:
    """Return how many calls each project gets, as evenly as possible."""
    projects = -(-generations // PROJECT_CALLS)
    return [(generations + at) // projects for at in range(projects)]
