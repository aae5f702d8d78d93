"""Adds up the entries of a day again, and compares the sums with the roll-ups, exactly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from firerouter.firestore import ERASED_USER, NO_USER, key_of
from firerouter.ledger import RUNNING, EntryField
from firerouter.reports import Contribution, contribution_of, flatten, of_cell
from scripts.usage_audit.usage_documents import Json, UsageDocuments

Numbers = Counter[str]
EXAMPLES_MAX: Final = 5  # of one kind of difference


@dataclass
class DayCount:
    """A day's totals, by its roll-up and by its entries, and where these disagree.

    Attributes:
        day: Such as `20260714`.
        requests, nano_usd: According to the roll-up.
        ledger_requests, ledger_nano_usd: According to the entries, including those that wait to be
            counted and those that were erased with their users.
        waiting: How many entries wait to be counted, for the first time or again.
        waiting_nano_usd: How much that will change the cost.
        running: How many entries have not ended.
        differences: A line for each difference.
    """

    day: str
    requests: int = 0
    nano_usd: int = 0
    ledger_requests: int = 0
    ledger_nano_usd: int = 0
    waiting: int = 0
    waiting_nano_usd: int = 0
    running: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass
class _Expected:
    """What was counted of a day's entries, added up by the document that should contain it."""

    day: Numbers = field(default_factory=Counter)
    cells: dict[str, Numbers] = field(default_factory=lambda: defaultdict(Counter))
    users: dict[str, dict[str, Numbers]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )

    def add(self, counted: Contribution) -> None:
        key = NO_USER if counted.uid is None else key_of(counted.uid)
        self.day.update(_named(counted.sums))
        for sums in (self.cells[counted.cell.id], self.users[key][counted.cell.id]):
            sums.update(_named(of_cell(counted.sums)))

    def add_erased(self, document: Json) -> None:
        """Add what was counted of entries that were deleted with their users."""
        self.day.update(_named(flatten(document.get("keys"))))
        for id_, cell in document.get("cells", {}).items():
            numbers = _numbers(cell)
            for sums in (self.day, self.cells[id_], self.users[ERASED_USER][id_]):
                sums.update(numbers)


async def read_day(documents: UsageDocuments, day: str) -> DayCount:
    """Return a day's totals according to its roll-up."""
    sums = _numbers(await documents.day(day))
    return DayCount(day, requests=sums["requests"], nano_usd=sums["nanoUsd"])


async def check_day(documents: UsageDocuments, day: str) -> DayCount:
    """Return a day's totals, compared with the ledger."""
    count, expected = await read_day(documents, day), _Expected()
    uncounted, outdated = [], []
    async for id_, entry in documents.entries(day):
        counted = Contribution.from_document(entry.get(EntryField.ROLLED))
        if counted is not None:
            expected.add(counted)
        if entry.get(EntryField.STATUS) == RUNNING:
            count.running += 1
            continue
        cost = entry.get(EntryField.COST)
        cost = cost if isinstance(cost, int) else 0
        before = counted.sums.get(("nanoUsd",), 0) if counted else 0
        count.ledger_requests += 1
        count.ledger_nano_usd += cost
        if EntryField.ROLL_DUE_AT in entry:
            count.waiting += 1
            count.waiting_nano_usd += cost - before
        elif counted is None:
            uncounted.append(id_)
        elif counted != contribution_of(entry):
            outdated.append(id_)
    erased = (await documents.users(day)).get(ERASED_USER, {})
    expected.add_erased(erased)
    count.ledger_requests += erased.get("requests", 0)
    count.ledger_nano_usd += erased.get("nanoUsd", 0)
    count.differences += _listed("not counted", uncounted)
    count.differences += _listed("changed since it was counted", outdated)
    count.differences += await _differences(documents, day, expected)
    if count.nano_usd + count.waiting_nano_usd != count.ledger_nano_usd and not count.differences:
        count.differences.append("the cost differs from the sum of the entries'")
    return count


async def _differences(documents: UsageDocuments, day: str, expected: _Expected) -> list[str]:
    place = f"usage/{day}"
    lines = _unequal(place, _numbers(await documents.day(day)), expected.day)
    cells = {id_: _numbers(cell) for id_, cell in (await documents.cells(day)).items()}
    for id_ in cells.keys() | expected.cells.keys():
        lines += _unequal(f"{place}/cells/{id_}", cells.get(id_, Counter()), expected.cells[id_])
    users = await documents.users(day)
    for key in users.keys() | expected.users.keys():
        lines += _user_differences(f"{place}/users/{key}", users.get(key, {}), expected.users[key])
    return lines


def _user_differences(place: str, document: Json, expected: Mapping[str, Numbers]) -> list[str]:
    lines, total = [], Numbers()
    cells = document.get("cells", {})
    for id_ in cells.keys() | expected.keys():
        numbers = expected.get(id_, Counter())
        total.update(numbers)
        lines += _unequal(f"{place} {id_}", _numbers(cells.get(id_, {})), numbers)
    for name in ("requests", "nanoUsd"):
        if document.get(name, 0) != total[name]:
            lines.append(f"{place} {name}: {document.get(name, 0)}, the ledger {total[name]}")
    return lines


def _unequal(place: str, found: Numbers, expected: Numbers) -> list[str]:
    names = sorted(found.keys() | expected.keys())
    return [
        f"{place} {name}: {found[name]}, the ledger {expected[name]}"
        for name in names
        if found[name] != expected[name]
    ]


def _listed(what: str, ids: list[str]) -> list[str]:
    more = [f"{what}: {len(ids) - EXAMPLES_MAX} more"] if len(ids) > EXAMPLES_MAX else []
    return [*(f"{what}: generations/{id_}" for id_ in ids[:EXAMPLES_MAX]), *more]


def _numbers(document: Mapping[str, Any]) -> Numbers:
    return Counter(_named(flatten(document.get("sums"))))


def _named(sums: Mapping[tuple[str, ...], int]) -> dict[str, int]:
    return {".".join(path): number for path, number in sums.items()}
