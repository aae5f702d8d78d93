"""The limits of a row, and the table of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scripts.benchmarks.report import markdown
from scripts.devtools.cli_errors import FAILED
from scripts.devtools.generated_section import GeneratedSection

SECTION: Final = GeneratedSection("crowd", "./scripts/crowd-test --write")
DELAY_MAX_MS: Final = 250
MEMORY_MAX_MB: Final = 400
HEAD: Final = (
    *("attack", "delayed by, ms", "upstream delayed by, ms", "streams that failed"),
    "other calls that failed",
    *("peak memory, MB", "within the limits", "runs", "what the attacker got"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one attack did to the others.

    Attributes:
        name: The attack's name.
        what: What the attacker does.
        delay_ms: The longest wait for a token, beyond the longest one without the attack, and
            beyond the longest one of streams directly from the stand-in of OpenRouter.
        upstream_ms: The longest wait in those, beyond the longest one without the attack.
        died: The streams that did not get their whole answer.
        refused: The calls of other users that failed meanwhile.
        peak_mb: The most memory that the instance had.
        got: What the attacker got.
        runs: How many runs this is the best of.
    """

    name: str
    what: str
    delay_ms: float
    upstream_ms: float
    died: int
    refused: int
    peak_mb: float
    got: str
    runs: int = 1

    @property
    def is_over(self) -> bool:
        """Whether it is beyond a limit."""
        failed = self.died + self.refused
        return self.delay_ms > DELAY_MAX_MS or failed > 0 or self.peak_mb > MEMORY_MAX_MB

    @property
    def badness(self) -> tuple[int, float]:
        """How bad it is: of several runs, the least bad one counts."""
        excess = max(self.delay_ms / DELAY_MAX_MS, self.peak_mb / MEMORY_MAX_MB)
        return self.died + self.refused, excess

    def cells(self) -> tuple[str, ...]:
        return (
            f"{self.name}: {self.what}",
            f"{max(0, round(self.delay_ms))}",
            f"{max(0, round(self.upstream_ms))}",
            f"{self.died}",
            f"{self.refused}",
            f"{self.peak_mb:.0f}",
            "**no**" if self.is_over else "yes",
            f"{self.runs}",
            self.got,
        )


def text_of(rows: Sequence[Row], heading: str, victims: int) -> str:
    """Return the table as Markdown."""
    limits = (
        f"{victims} streams, a token every 20 ms. Limits: {DELAY_MAX_MS} ms, no failure, "
        f"{MEMORY_MAX_MB} MB."
    )
    return "\n\n".join([heading, limits, "\n".join(markdown(HEAD, [row.cells() for row in rows]))])


def status_of(rows: Sequence[Row]) -> int:
    """Return the exit status of these rows."""
    return FAILED if any(row.is_over for row in rows) else 0
