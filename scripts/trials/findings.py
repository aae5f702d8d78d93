"""What an audit found, and how that is printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from scripts.devtools.cli_errors import FAILED

NANO: Final = 1_000_000_000  # of a dollar
EXAMPLES_MAX: Final = 5  # shown of each finding


@dataclass
class Findings:
    """What does not add up: a line for each case, by the check that found it."""

    lines: dict[str, list[str]] = field(default_factory=dict)

    def check(self, name: str, lines: list[str]) -> None:
        self.lines[name] = lines

    @property
    def count(self) -> int:
        return sum(map(len, self.lines.values()))


def report(findings: Findings) -> int:
    """Print the findings. Returns the exit status."""
    for name, lines in findings.lines.items():
        print(f"{len(lines):>4}  {name}")
        for line in lines[:EXAMPLES_MAX]:
            print(f"        {line}")
    print("Some things do not add up." if findings.count else "Everything adds up.")
    return FAILED if findings.count else 0


def usd(nano_usd: int) -> str:
    return f"${nano_usd / NANO:.6f}"


def counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"
