"""One trial: the calls, then reconciliation, then the audits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Final

from firerouter.app.bootstrap import App
from scripts.bill_test.bill_audit import Bill, LedgerBooks
from scripts.bill_test.ends import ENDS
from scripts.bill_test.plan import plan
from scripts.bill_test.traffic import Traffic
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite
from scripts.kill_test.findings import Findings, counts, report, usd
from scripts.kill_test.reconciliation import reconcile_all, reconcile_twice
from scripts.usage_audit.recount import check_day
from scripts.usage_audit.usage_documents import UsageDocuments

PROGRESS_EVERY: Final = 500  # calls
RECONCILIATIONS_MAX: Final = 60


class Trial:
    """A run of one plan, and what was found meanwhile."""

    def __init__(self, suite: Suite, logs: Path) -> None:
        self._suite = suite
        self._began = time.monotonic()
        self.key = f"sk-or-v1-bill-{secrets.token_hex(12)}"
        self.traffic = Traffic(suite, f"demo-bill-{secrets.token_hex(4)}", logs)
        self.app = App({**suite.environment(), "GCLOUD_PROJECT": self.traffic.project})
        self.wrong_meanwhile: list[str] = []
        self.audits = 0
        self._audit = asyncio.Lock()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    async def audit(self) -> None:
        """Compare what has ended with the bill, then reconcile and roll up: all under load."""
        async with self._audit:
            books = await LedgerBooks.read(self.app.firestore)
            bill = await Bill.read(self._suite, self.key)  # after the ledger: it has all of that
            self.wrong_meanwhile += books.unlike_the_bill(bill)
            self.audits += 1
            await reconcile_twice(self.app)
            await self.roll_up()

    async def roll_up(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # its log lines are for Cloud Logging
            while (await self.app.reports.rollup.run())["isBehind"]:
                pass

    def on_call(self, count: int) -> None:
        if count % PROGRESS_EVERY == 0:
            say(f"{self.seconds:5.0f} s  {count} calls")


async def run(suite: Suite, logs: Path, generations: int, seed: int) -> int:
    """Run a trial against a started suite, in a project of its own.

    Returns:
        The exit status.
    """
    planned = plan(generations, seed)
    trial = Trial(suite, logs)
    await asyncio.to_thread(trial.traffic.prepare, trial.key)
    await trial.traffic.run(planned, on_audit=trial.audit, on_call=trial.on_call)
    say(f"{trial.seconds:5.0f} s  reconciling")
    before = await LedgerBooks.read(trial.app.firestore)
    left = sum(entry["status"] == "running" for entry in before.entries.values())
    done = await reconcile_all(trial.app, runs_max=RECONCILIATIONS_MAX)
    await trial.roll_up()
    after = await LedgerBooks.read(trial.app.firestore)
    bill = await Bill.read(suite, trial.key)
    print(f"{len(planned.calls)} calls (seed {seed}), {trial.seconds:.0f} s")
    _describe(trial, after, bill, left, done)
    findings = Findings()
    findings.check("entries that differed from the bill meanwhile", trial.wrong_meanwhile)
    findings.lines |= after.findings(bill, planned.calls).lines
    findings.check("roll-ups that differ from the entries", await _wrong_rollups(trial, after))
    return report(findings)


async def _wrong_rollups(trial: Trial, books: LedgerBooks) -> list[str]:
    """Do what `./scripts/usage --check` does, on each day of the run."""
    documents = await UsageDocuments.of(trial.app.firestore)
    lines = []
    for day in sorted({f"{entry['createdAt']:%Y%m%d}" for entry in books.entries.values()}):
        count = await check_day(documents, day)
        lines += count.differences
        if count.waiting:
            lines.append(f"{day}: {count.waiting} entries are not counted")
    return lines


def _describe(trial: Trial, after: LedgerBooks, bill: Bill, left: int, done: Counter[str]) -> None:
    traffic, entries = trial.traffic, after.entries.values()
    ended = Counter(entry["status"] for entry in entries)
    estimates = Counter(entry["status"] for entry in after.estimates.values())
    held = sum(entry["costNanoUsd"] for entry in after.estimates.values())
    for end in ENDS:
        print(f"  {end.name:<31}{counts(traffic.outcomes.get(end.name, Counter()))}")
    for what, text in (
        ("instances", f"{traffic.killed} killed; audited {trial.audits} times meanwhile"),
        ("by another device", f"{traffic.stopped} stopped"),
        ("generations", f"{len(after.entries)}: {counts(ended)}"),
        ("  left running", str(left)),
        ("  cached", str(sum(bool(entry.get("cached")) for entry in entries))),
        ("reconciled at the end", counts(done)),
        ("OpenRouter", f"{len(bill.charges)} requests, charged {usd(bill.nano_usd)}"),
        ("the ledger", f"{usd(after.exact_nano_usd)} and {len(after.estimates)} estimates"),
        ("  estimates", f"{counts(estimates)}: {usd(held)}"),
        ("  charged for them", usd(bill.nano_usd - after.exact_nano_usd)),
    ):
        print(f"{what:<24}{text}")
