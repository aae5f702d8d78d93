"""The table in docs/security.md, and what it was computed from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from scripts.devtools import ROOT
from scripts.devtools.generated_section import GeneratedSection
from scripts.worst_day.worst_case import CALLS_PER_S, MIX, Row, Taken, read_taken, rows

PAGE: Final = ROOT / "docs" / "security.md"
STORED: Final = Path(__file__).with_name("measured.json")
SECTION: Final = GeneratedSection("worst day", "./scripts/worst-day --write")


def stored() -> tuple[str, list[Taken]]:
    """Return the machine, and what was measured on it."""
    kept: dict[str, Any] = json.loads(STORED.read_text("utf-8"))
    return kept["machine"], read_taken(kept["calls"])


def store(machine: str, measured: Sequence[Taken]) -> None:
    """Keep what was measured."""
    calls = [{name: getattr(one, name) for name in Taken.__slots__} for one in measured]
    STORED.write_text(f"{json.dumps({'machine': machine, 'calls': calls}, indent=2)}\n", "utf-8")


def section(machine: str, measured: Sequence[Taken]) -> str:
    """Return the text between the markers."""
    table = rows(measured)
    mix = next(row for row in table if row.does == MIX)
    said = (
        f"So with what is on by default, one free account costs ${mix.calls_usd:,.2f} a day at "
        f"most beside the flood. The flood needs no account: ${table[-2].usd:,.2f} at one "
        f"function, ${table[-1].usd:,.2f} at all of them."
    )
    return "\n\n".join(
        [
            f"{CALLS_PER_S} calls a second, all day, at Google's list prices, in US dollars. "
            f"Measured on {machine}.",
            _table(
                ("caller", "calls", "go on", "they cost", "the flood costs", "together"),
                [_cells(row) for row in table],
            ),
            said,
            "What was measured, per call:",
            _table(
                ("call", "reads", "writes", "deletes", "CPU, ms", "bytes sent", "counts as"),
                [
                    (
                        f"{one.function}, {one.variant}" if one.variant else one.function,
                        *(f"{value:,.4g}" for value in (one.reads, one.writes, one.deletes)),
                        f"{one.cpu_ms:.3g}" if one.cpu_ms else "not measured",
                        f"{one.sent_bytes:,.0f}" if one.sent_bytes else "not measured",
                        f"{one.units:,.0f}",
                    )
                    for one in measured
                ],
            ),
        ]
    )


def _cells(row: Row) -> tuple[str, ...]:
    dollars = (row.calls_usd, row.flood_usd, row.usd)
    return (row.caller, row.does, f"{row.accepted:,}", *(f"{value:,.2f}" for value in dollars))


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    words = 2 if head[0] == "caller" else 1
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))
