"""The totals of a trial's projects, added up and printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.bill_test.bill_audit import Bill, LedgerBooks
from scripts.bill_test.ends import ENDS
from scripts.trials.findings import Findings, counts, usd


@dataclass
class Totals:
    """The totals of some projects.

    Attributes:
        outcomes: How the calls ended for their callers, by the end that was planned.
        statuses: How the entries ended.
        estimates: How the entries ended whose cost stays an estimate.
        reconciled: What the reconcilers did at the end.
        numbers: All other counts, by name; amounts are in nano dollars.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    estimates: Counter[str] = field(default_factory=Counter)
    reconciled: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)

    def add_project(self, books: LedgerBooks, bill: Bill) -> None:
        """Add a project's entries and bill."""
        entries, estimates = books.entries.values(), books.estimates.values()
        self.statuses.update(entry["status"] for entry in entries)
        self.estimates.update(entry["status"] for entry in estimates)
        self.numbers.update(
            generations=len(entries),
            cached=sum(bool(entry.get("cached")) for entry in entries),
            requests=len(bill.charges),
            charged=bill.nano_usd,
            exact=books.exact_nano_usd,
            estimates=len(estimates),
            unseen=len(books.unseen_free),
            estimated=sum(entry["costNanoUsd"] for entry in estimates),
        )

    def add_outcomes(self, outcomes: Mapping[str, Counter[str]]) -> None:
        for name, counted in outcomes.items():
            self.outcomes.setdefault(name, Counter()).update(counted)

    def add(self, other: Totals) -> None:
        """Add the totals of other projects."""
        self.add_outcomes(other.outcomes)
        self.add_findings(other.findings)
        for own, more in (
            (self.statuses, other.statuses),
            (self.estimates, other.estimates),
            (self.reconciled, other.reconciled),
            (self.numbers, other.numbers),
        ):
            own.update(more)

    def add_findings(self, findings: Findings) -> None:
        for name, lines in findings.lines.items():
            self.findings.check(name, [*self.findings.lines.get(name, []), *lines])

    def describe(self) -> None:
        """Print all but the findings."""
        n = self.numbers
        for end in ENDS:
            print(f"  {end.name:<31}{counts(self.outcomes.get(end.name, Counter()))}")
        for what, text in (
            ("instances", f"{n['killed']} killed"),
            ("by another device", f"{n['stopped']} stopped"),
            ("generations", f"{n['generations']}: {counts(self.statuses)}"),
            ("  left running", str(n["left"])),
            ("  cached", str(n["cached"])),
            ("audited meanwhile", f"{n['audits']} times"),
            ("reconciled at the end", counts(self.reconciled)),
            ("OpenRouter", f"{n['requests']} requests, charged {usd(n['charged'])}"),
            ("the ledger", f"{usd(n['exact'])}, and {n['estimates']} estimates"),
            ("  estimates", f"{counts(self.estimates)}: {usd(n['estimated'])}"),
            ("  charged for them", usd(n["charged"] - n["exact"])),
            ("  free, but charged", f"{n['unseen']} of them, killed before that was seen"),
        ):
            print(f"{what:<24}{text}")
