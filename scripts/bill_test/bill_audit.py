"""Compares a project's ledger with the items of its bill, using only their documents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx
from google.cloud.firestore import AsyncClient

from scripts.bill_test.plan import PlannedCall
from scripts.devtools.suite import Suite
from scripts.trials.findings import NANO, Findings

Json = dict[str, Any]
FREE_BUT_BILLS: Final = "sim/free-billed"
HTTP_TIMEOUT_S: Final = 60.0
ENTRY_FIELDS: Final = (
    *("uid", "requestId", "feature", "status", "createdAt", "attempts", "usage", "countsFeature"),
    *("costNanoUsd", "costIsEstimate", "cached", "model"),
)


@dataclass(frozen=True, slots=True)
class Charge:
    """One item of the bill: what was charged for a request that OpenRouter had accepted.

    Attributes:
        asked: The beginning of the request's text, which contains the mark of its call.
    """

    id: str
    asked: str
    nano_usd: int


class Bill:
    """What OpenRouter's stand-in charged one key."""

    def __init__(self, charges: Iterable[Charge]) -> None:
        self.charges = {charge.id: charge for charge in charges}

    @classmethod
    async def read(cls, suite: Suite, key: str) -> Bill:
        async with httpx.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
            url = f"{suite.openrouter_root}/sim/charges"
            items = (await http.get(url, params={"key": key[-4:]})).raise_for_status().json()
        return cls(
            Charge(
                item["id"],
                item["asked"],
                int((Decimal(item["usd"]) + Decimal(item["byokUsd"])) * NANO),
            )
            for item in items
        )

    @property
    def nano_usd(self) -> int:
        return sum(charge.nano_usd for charge in self.charges.values())

    def of(self, id_: str | None) -> int:
        """Return what was charged for the request with this ID, in nano dollars."""
        charge = self.charges.get(id_ or "")
        return charge.nano_usd if charge else 0


class LedgerBooks:
    """A project's entries and counters at one moment."""

    def __init__(
        self,
        entries: Mapping[str, Json],
        windows: Mapping[str, Mapping[str, Json]],
        ceilings: Iterable[Json] = (),
    ) -> None:
        """Take the entries by generation, the windows by user and name, the ceilings' shards."""
        self.entries = entries
        self.windows = windows
        self.ceilings = list(ceilings)

    @classmethod
    async def read(cls, firestore: AsyncClient) -> LedgerBooks:
        query = firestore.collection("generations").select(ENTRY_FIELDS)
        entries = {found.id: found.to_dict() or {} async for found in query.stream()}
        windows: dict[str, dict[str, Json]] = {}
        async for found in firestore.collection_group("windows").stream():
            user = found.reference.parent.parent.id
            windows.setdefault(user, {})[found.id] = found.to_dict() or {}
        shards = firestore.collection_group("shards").stream()
        return cls(entries, windows, [shard.to_dict() or {} async for shard in shards])

    # -- at any moment -----------------------------------------------------------------------------

    def unlike_the_bill(self, bill: Bill) -> list[str]:
        """Return the ended entries, without estimates, that differ from the bill."""
        return [
            f"{id_} {entry['requestId']}: {entry['costNanoUsd']}, charged {charged}"
            for id_, entry in self.entries.items()
            if _is_exact(entry) and entry["costNanoUsd"] != (charged := _charged(entry, bill))
        ]

    # -- at the end --------------------------------------------------------------------------------

    def findings(self, bill: Bill, calls: Iterable[PlannedCall]) -> Findings:
        """Compare everything, after reconciliation."""
        found = Findings()
        running = [id_ for id_, entry in self.entries.items() if entry["status"] == "running"]
        found.check("generations still running", running)
        found.check("entries that differ from the bill", self.unlike_the_bill(bill))
        found.check("requests charged to two entries", self._claimed_twice())
        behind, orphans = self._behind_estimates(bill, calls)
        found.check("charges without an entry", orphans)
        found.check("estimates below what was charged", self._too_low(behind))
        rest = bill.nano_usd - self.exact_nano_usd - sum(behind.values())
        found.check("nano dollars on the bill and in no entry", [str(rest)] if rest else [])
        places = [
            f"{user} {name}: {count}"
            for user, windows in self.windows.items()
            for name, count in _counts(windows.get("concurrent", {}))
            if count
        ]
        found.check("places not given back", places)
        found.check("counters that differ from the entries", self._wrong_counters())
        found.check("ceilings that differ from the entries", self._wrong_ceilings())
        return found

    @property
    def exact_nano_usd(self) -> int:
        return sum(e["costNanoUsd"] for e in self.entries.values() if _is_exact(e))

    @property
    def estimates(self) -> dict[str, Json]:
        return {id_: e for id_, e in self.entries.items() if e.get("costIsEstimate")}

    def _claimed_twice(self) -> list[str]:
        ids = Counter(
            attempt["upstreamId"]
            for entry in self.entries.values()
            for attempt in entry["attempts"]
            if attempt["upstreamId"]
        )
        return [f"{id_}: {times}" for id_, times in ids.items() if times > 1]

    def _behind_estimates(
        self, bill: Bill, calls: Iterable[PlannedCall]
    ) -> tuple[dict[str, int], list[str]]:
        """Return the charges behind entries whose cost stays an estimate, and those without entry.

        A request whose ID never arrived is recognized by its text.
        """
        behind: Counter[str] = Counter()
        known = set()
        for id_, entry in self.entries.items():
            known |= {attempt["upstreamId"] for attempt in entry["attempts"]}
            if not _is_exact(entry):
                behind[id_] += _charged(entry, bill)
        marked: dict[str, list[str]] = defaultdict(list)
        talks: dict[str, list[str]] = defaultdict(list)
        for call in calls:
            own = [id_ for id_ in call.generations if id_ in self.entries]
            marked[call.mark] += own
            if call.conversation is not None:
                talks[call.conversation] += own
        for call in calls:  # a summary quotes earlier questions
            marked[call.mark] += talks.get(call.conversation or "", [])
        orphans = []
        for charge in bill.charges.values():
            if charge.id in known or not charge.nano_usd:
                continue
            mark = next((word for word in _words(charge.asked) if word in marked), "")
            estimates = [id_ for id_ in marked[mark] if not _is_exact(self.entries[id_])]
            if estimates:
                behind[estimates[0]] += charge.nano_usd
            else:
                orphans.append(f"{charge.id} {mark or charge.asked!r}: {charge.nano_usd}")
        return dict(behind), orphans

    def _too_low(self, behind: Mapping[str, int]) -> list[str]:
        """Return the estimates that are too low, except for models that are listed as free.

        If an instance is killed before it sees that such a model bills, nobody can know.
        """
        return [
            f"{id_} {entry['requestId']}: {entry.get('costNanoUsd')}, charged {charged}"
            for id_, charged in behind.items()
            if charged > (entry := self.entries[id_]).get("costNanoUsd", 0)
            and entry["model"] != FREE_BUT_BILLS
        ]

    @property
    def unseen_free(self) -> list[str]:
        """Return the entries without an ID whose model is listed as free but bills."""
        found = self.estimates.items()
        return [id_ for id_, entry in found if entry["model"] == FREE_BUT_BILLS]

    def _wrong_counters(self) -> list[str]:
        expected: Counter[tuple[str, ...]] = Counter()
        for entry in self.entries.values():
            own = [()] if not entry.get("countsFeature") else [(), ("features", entry["feature"])]
            month, day = f"{entry['createdAt']:%Y%m}", f"{entry['createdAt']:%d}"
            for at in own:
                place = (entry["uid"], month, *at)
                cost = entry.get("costNanoUsd", 0)
                expected[*place, "days", day, "nanoUsd"] += cost
                expected[*place, "month", "nanoUsd"] += cost
                expected[*place, "days", day, "requests"] += 1
                expected[*place, "days", day, "tokens"] += _tokens(entry)
        counted: Counter[tuple[str, ...]] = Counter()
        for user, windows in self.windows.items():
            for name, document in windows.items():
                if name.isdecimal():
                    counted.update(dict(_leaves(document, (user, name))))
        return _unequal(counted, expected)

    def _wrong_ceilings(self) -> list[str]:
        expected: Counter[tuple[str, ...]] = Counter()
        for entry in self.entries.values():
            cost = entry.get("costNanoUsd", 0)
            expected["days", f"{entry['createdAt']:%d}", "nanoUsd"] += cost
            expected["month", "nanoUsd"] += cost
        counted: Counter[tuple[str, ...]] = Counter()
        for shard in self.ceilings:
            counted.update(dict(_leaves(shard, ())))
        return _unequal(counted, expected)


def _is_exact(entry: Json) -> bool:
    return entry["status"] != "running" and entry.get("costIsEstimate") is False


def _charged(entry: Json, bill: Bill) -> int:
    return sum(bill.of(attempt["upstreamId"]) for attempt in entry["attempts"])


def _tokens(entry: Json) -> int:
    """Return how many tokens of an entry count. Those of a cached answer were counted before."""
    count = (entry.get("usage") or {}).get("totalTokens")
    return 0 if entry.get("cached") else count or 0


def _words(text: str) -> Iterable[str]:
    return (word.strip(",:") for word in text.split())


def _counts(document: Json) -> list[tuple[str, int]]:
    own = [(name, of.get("count", 0)) for name, of in document.get("features", {}).items()]
    return [("", document.get("count", 0)), *own]


def _leaves(value: Json, place: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], int]]:
    """Yield the counters of a document that are compared, with their paths."""
    for name, inner in value.items():
        if isinstance(inner, dict) and name != "minutes":
            yield from _leaves(inner, (*place, name))
        elif name in ("nanoUsd", "requests", "tokens") and isinstance(inner, int):
            yield (*place, name), inner


def _unequal(counted: Counter[tuple[str, ...]], expected: Counter[tuple[str, ...]]) -> list[str]:
    return [
        f"{'.'.join(place)}: {counted[place]}, the entries {expected[place]}"
        for place in sorted(counted.keys() | expected.keys())
        if counted[place] != expected[place]
    ]
