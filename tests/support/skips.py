"""What a run left out, and which of it may be left out in CI."""

from dataclasses import dataclass
from typing import Any

from tests.support.recordings import LEFT_OUT


@dataclass(frozen=True)
class Skip:
    test: str
    reason: str


def skips_of(terminal_reporter: Any) -> list[Skip]:
    """Return the tests that this run has skipped."""
    return [
        Skip(report.nodeid, _reason(report.longrepr))
        for report in terminal_reporter.stats.get("skipped", [])
    ]


def left_out_of(skips: list[Skip]) -> list[str]:
    """Return the tests that were skipped for want of recordings, which no clone has."""
    return [skip.test for skip in skips if skip.reason == LEFT_OUT]


def unexplained(skips: list[Skip]) -> list[str]:
    """Return the other skips, which fail a run in CI: there every test can run."""
    return [f"{skip.test}: {skip.reason}" for skip in skips if skip.reason != LEFT_OUT]


def _reason(told: Any) -> str:
    """Read what pytest says of a skip: (path, line, "Skipped: why")."""
    return str(told[2] if isinstance(told, tuple) else told).removeprefix("Skipped: ")
