"""What was measured of each peer, as a Markdown table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from scripts.benchmarks.report import markdown, number
from scripts.devtools.generated_section import GeneratedSection

SECTION: Final = GeneratedSection("peers", "./scripts/bench --peers --write")
HEAD: Final = (
    "what",
    "CPU per request, ms",
    "times the bare function",
    "requests per second",
    "CPU per token, µs",
    "first token, ms",
    "memory, MB",
    "start to first answer, s",
)


@dataclass(slots=True)
class Measured:
    """What was measured of one program, one value per round.

    Attributes:
        name: Its name in the table.
        does: What it does for a request.
        cpu_ms: CPU of a unary request.
        rate: Unary requests per second.
        token_us: CPU of a relayed token.
        first_ms: The wait for the first token of one stream.
        memory_mb: Resident memory after the load.
        start_s: From the start of the process to its first answer.
    """

    name: str
    does: str
    cpu_ms: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    token_us: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)

    def cells(self, bare_cpu_ms: float) -> tuple[str, ...]:
        cpu = _median(self.cpu_ms)
        return (
            self.name,
            number(cpu),
            "" if cpu is None else f"{cpu / bare_cpu_ms:.2f}",
            *(
                number(_median(values))
                for values in (self.rate, self.token_us, self.first_ms, self.memory_mb)
            ),
            number(_median(self.start_s)),
        )


def text_of(programs: Sequence[Measured], bare: str, heading: str, notes: Sequence[str]) -> str:
    """Return the report as Markdown.

    Args:
        programs: What was measured, in the order of the rows.
        bare: The name of the one that the others are compared with.
        heading: A line above the table.
        notes: Lines below it.
    """
    (yardstick,) = (_median(one.cpu_ms) for one in programs if one.name == bare)
    if yardstick is None:
        raise ValueError(f"{bare} was not measured")
    table = [*markdown(HEAD, [one.cells(yardstick) for one in programs])]
    work = [f"- {one.name}: {one.does}" for one in programs]
    sections = [
        [heading],
        table,
        ["What each does for a request:"],
        work,
        ["Left out:"] if notes else [],
        [f"- {note}" for note in notes],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
