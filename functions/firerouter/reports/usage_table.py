"""The rows of a report: filtered, grouped, sorted, and formatted for the wire or as CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from ..contract import NANO_PER_USD, GetUsageReport, Percentiles, UsageGroup, UsageRow, UsageSums
from .histogram import percentile
from .sums import (
    BYOK_NANO_USD,
    CACHE_HITS,
    ERRORS,
    ESTIMATED_NANO_USD,
    ESTIMATES,
    FIRST_TOKEN_MS,
    NANO_USD,
    REQUESTS,
    SAVED_NANO_USD,
    STATUS,
    TESTS,
    TOKENS,
    TOTAL_MS,
    CellUsage,
    Sums,
    add,
    under,
)

GroupKey: TypeAlias = tuple[str | int, ...]
_SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_STATUSES: Final = ("done", "stopped", "failed", "interrupted")
# a spreadsheet treats a cell that begins with one of these as a formula
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Row:
    """A group of a report, and its sums."""

    key: GroupKey
    sums: Sums


def wire_day(day: str) -> str:
    """Return the day `20260714` as `2026-07-14`."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def part_of(usage: CellUsage, by: UsageGroup) -> str | int:
    """Return the value to group or filter by; text is "" if there is none."""
    cell = usage.cell
    if by == "day":
        return wire_day(usage.day)
    if by == "revision":
        return cell.revision
    if by == "user":
        return usage.uid
    return {"feature": cell.feature, "model": cell.model, "tier": cell.tier}[by] or ""


def passes(request: GetUsageReport, usage: CellUsage) -> bool:
    """Return whether a cell passes every filter of a report."""
    wanted: tuple[tuple[Sequence[str | int] | None, UsageGroup], ...] = (
        (request.features, "feature"),
        (request.models, "model"),
        (request.revisions, "revision"),
        (request.tiers, "tier"),
        (request.users, "user"),
    )
    return all(values is None or part_of(usage, part) in values for values, part in wanted)


class Groups:
    """Adds up cells by group."""

    def __init__(self, by: Sequence[UsageGroup]) -> None:
        self._by = by
        self._sums: dict[GroupKey, Sums] = {}

    def add(self, usage: CellUsage) -> None:
        key = tuple(part_of(usage, part) for part in self._by)
        add(self._sums.setdefault(key, {}), usage.sums)

    def rows(self) -> list[Row]:
        """Return the sums of each group, sorted by group."""
        return [Row(key, self._sums[key]) for key in sorted(self._sums)]


def ordered(rows: Sequence[Row], sort: str) -> list[Row]:
    """Sort rows, which are sorted by group, as the report wants them."""
    if sort == "cost":
        return sorted(rows, key=lambda row: -row.sums.get(NANO_USD, 0))
    if sort == "requests":
        return sorted(rows, key=lambda row: -row.sums.get(REQUESTS, 0))
    return list(rows)


def total(rows: Iterable[Row]) -> Sums:
    """Return the sums of all groups together."""
    added: Sums = {}
    for row in rows:
        add(added, row.sums)
    return added


# -- the wire --------------------------------------------------------------------------------------


def wire_sums(sums: Sums) -> UsageSums:
    """Return sums as reports have them."""
    by_status = under(sums, STATUS)
    done, stopped, failed, interrupted = (by_status.get(status, 0) for status in _STATUSES)
    prompt, completion, reasoning, cached = (sums.get((name,), 0) for name in TOKENS)
    return {
        "requests": sums.get(REQUESTS, 0),
        "done": done,
        "stopped": stopped,
        "failed": failed,
        "interrupted": interrupted,
        "errors": {name: n for name, n in sorted(under(sums, ERRORS).items()) if n},
        "promptTokens": prompt,
        "completionTokens": completion,
        "totalTokens": prompt + completion,
        "reasoningTokens": reasoning,
        "cachedTokens": cached,
        "cost": usd(sums.get(NANO_USD, 0)),
        "estimates": sums.get(ESTIMATES, 0),
        "estimatedCost": usd(sums.get(ESTIMATED_NANO_USD, 0)),
        "byokCost": usd(sums.get(BYOK_NANO_USD, 0)),
        "cacheHits": sums.get(CACHE_HITS, 0),
        "savedCost": usd(sums.get(SAVED_NANO_USD, 0)),
        "tests": sums.get(TESTS, 0),
        "firstTokenMs": _percentiles(under(sums, FIRST_TOKEN_MS)),
        "totalMs": _percentiles(under(sums, TOTAL_MS)),
    }


def wire_row(row: Row, by: Sequence[UsageGroup]) -> UsageRow:
    """Return a row as reports have it."""
    groups = dict(zip(by, row.key, strict=True))
    return {**groups, **wire_sums(row.sums)}  # type: ignore[typeddict-item]


def usd(nano_usd: int) -> float:
    """Return an amount in US dollars, exact to the nano dollar when printed."""
    return nano_usd / NANO_PER_USD


def _percentiles(counts: Mapping[str, int]) -> Percentiles | None:
    p50, p95, p99 = (percentile(counts, share) for share in _SHARES.values())
    if p50 is None or p95 is None or p99 is None:
        return None
    return {"p50": p50, "p95": p95, "p99": p99}


# -- CSV -------------------------------------------------------------------------------------------


def csv_text(rows: Iterable[Row], by: Sequence[UsageGroup], *, with_head: bool) -> str:
    """Return rows as CSV (RFC 4180), without cells that a spreadsheet would treat as formulas."""
    text = io.StringIO()
    writer = csv.writer(text)
    if with_head:
        writer.writerow((*by, *_cells_of({})))
    for row in rows:
        writer.writerow([harmless(cell) for cell in (*row.key, *_cells_of(row.sums).values())])
    return text.getvalue()


def harmless(cell: str | int) -> str | int:
    """Return a cell that is read as text: an apostrophe in front disarms a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _cells_of(sums: Sums) -> dict[str, str | int]:
    wire = wire_sums(sums)
    cells: dict[str, str | int] = {}
    for name, value in wire.items():
        if isinstance(value, int):
            cells[name] = value
        elif name == "errors":
            cells[name] = "; ".join(f"{reason} {n}" for reason, n in wire["errors"].items())
    money = {
        "cost": NANO_USD,
        "estimatedCost": ESTIMATED_NANO_USD,
        "byokCost": BYOK_NANO_USD,
        "savedCost": SAVED_NANO_USD,
    }
    cells |= {name: _decimal(sums.get(path, 0)) for name, path in money.items()}
    for name, times in (("firstTokenMs", wire["firstTokenMs"]), ("totalMs", wire["totalMs"])):
        for share in _SHARES:
            cells[f"{name}.{share}"] = times[share] if times else ""  # type: ignore[literal-required]
    return cells


def _decimal(nano_usd: int) -> str:
    """Return an amount in US dollars, exactly and without an exponent."""
    return f"{Decimal(nano_usd) / NANO_PER_USD:f}"
