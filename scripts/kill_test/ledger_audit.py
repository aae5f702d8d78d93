"""Audits the ledger of a project by its documents only, without the code that writes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx
from google.cloud.firestore import AsyncClient

from scripts.devtools.seed import LOCAL_KEY
from scripts.devtools.suite import BUCKET, Suite
from scripts.kill_test.plan import CAPPED, PROMPT, TRIES
from scripts.trials.findings import NANO, Findings

ANSWER: Final = re.compile(re.escape(PROMPT).replace(re.escape("{{request}}"), r"(\d+-\w+)"))
TITLE: Final = re.compile(r"for (\d+-\w+)\.")
HTTP_TIMEOUT_S: Final = 30.0
Json = dict[str, Any]


class LedgerAudit:
    """The ledger's entries and counters at one moment.

    Attributes:
        entries: The ledger entries by generation.
        windows: The counters, by user and then by name.
        saved_text: By generation, the text that is saved of an unfinished answer.
    """

    def __init__(
        self,
        entries: dict[str, Json],
        windows: dict[str, dict[str, Json]],
        saved_text: dict[str, str] | None = None,
    ) -> None:
        self.entries = entries
        self.windows = windows
        self.saved_text = saved_text or {}

    @classmethod
    async def read(cls, firestore: AsyncClient) -> LedgerAudit:
        entries = {
            s.id: s.to_dict() or {} async for s in firestore.collection("generations").stream()
        }
        windows: dict[str, dict[str, Json]] = {}
        async for snapshot in firestore.collection_group("windows").stream():
            user = snapshot.reference.parent.parent.id
            windows.setdefault(user, {})[snapshot.id] = snapshot.to_dict() or {}
        saved_text: dict[str, str] = {}
        pieces = firestore.collection_group("progress").stream()
        for piece in sorted([piece async for piece in pieces], key=lambda piece: piece.id):
            generation = piece.reference.parent.parent.id
            saved_text[generation] = saved_text.get(generation, "") + piece.get("text")
        return cls(entries, windows, saved_text)

    @property
    def running_entries(self) -> list[Json]:
        return [entry for entry in self.entries.values() if entry["status"] == "running"]

    def entries_of(self, user: str, feature: str | None = None) -> list[Json]:
        return [
            entry
            for entry in self.entries.values()
            if entry["uid"] == user and feature in (None, entry["feature"])
        ]

    def findings(self, requests: list[Json], charges: dict[str, int]) -> Findings:
        """Compare entries, counters and OpenRouter's records.

        Args:
            requests: The requests of this project that OpenRouter received.
            charges: Nano dollars by OpenRouter's ID of the answer.
        """
        found = Findings()
        running = [entry["requestId"] for entry in self.running_entries]
        found.check("generations still running", running)
        users = sorted({entry["uid"] for entry in self.entries.values()} | self.windows.keys())
        slots, spending, counters = [], [], []
        for user in users:
            windows = self.windows.get(user, {})
            if count := windows.get("concurrent", {}).get("count", 0):
                slots.append(f"{user}: {count}")
            spent = sum(_of_days(windows, None, "nanoUsd"))
            cost = sum(entry.get("costNanoUsd", 0) for entry in self.entries_of(user))
            if spent != cost:
                spending.append(f"{user}: the counter says {spent}, the entries {cost}")
            for feature in (None, CAPPED):
                counted = sum(_of_days(windows, feature, "requests"))
                entries = len(self.entries_of(user, feature))
                if counted != entries:
                    counters.append(
                        f"{user} {feature or ''}: the counter says {counted}, there are {entries}"
                    )
        found.check("concurrency slots not released", slots)
        found.check("spending that differs from the entries", spending)
        found.check("request counters that differ from the entries", counters)
        found.check("requests sent to OpenRouter twice", _repeated(requests))
        found.check("requests to OpenRouter without an entry", self._without_entry(requests))
        found.check("costs that differ from OpenRouter's", self._wrong_costs(charges))
        return found

    def _without_entry(self, requests: list[Json]) -> list[str]:
        known = {entry["requestId"] for entry in self.entries.values()}
        return [id_ for id_, _ in map(origin_of, requests) if id_ not in known]

    def _wrong_costs(self, charges: dict[str, int]) -> list[str]:
        lines = []
        for entry in self.entries.values():
            ids = [a["upstreamId"] for a in entry["attempts"] if a["upstreamId"]]
            cost = sum(charges.get(id_, 0) for id_ in ids)
            exact = not entry.get("costIsEstimate", True)
            if (exact and entry["costNanoUsd"] != cost) or cost > entry.get("costNanoUsd", 0):
                lines.append(f"{entry['requestId']}: {entry.get('costNanoUsd')}, charged {cost}")
        return lines


def origin_of(request: Json) -> tuple[str, str]:
    """Return the request ID that a request to OpenRouter belongs to, and `answer` or `title`.

    Every answer's system prompt names its request; a title's does not, but it quotes the question.
    """
    messages = request["body"]["messages"]
    first, last = messages[0], messages[-1]
    for kind, message, pattern in (("answer", first, ANSWER), ("title", last, TITLE)):
        if found := re.search(pattern, str(message["content"])):
            return found[1], kind
    return "?", "?"


def _of_days(windows: dict[str, Json], feature: str | None, name: str) -> Iterator[int]:
    """Yield a counter of each day, of a feature if one is named."""
    for document in windows.values():
        counted = document if feature is None else document.get("features", {}).get(feature, {})
        for day in counted.get("days", {}).values():
            yield day.get(name, 0)


def _repeated(requests: list[Json]) -> list[str]:
    counts = Counter((*origin_of(request), request["model"]) for request in requests)
    return [f"{id_}: {n}" for (id_, _, model), n in counts.items() if n > TRIES.get(model, 1)]


async def requests_from(suite: Suite, referer: str) -> list[Json]:
    """Return the requests that the stand-in received from one project's app."""
    async with httpx.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
        requests = (await http.get(f"{suite.openrouter_root}/sim/requests")).json()
    return [r for r in requests if r["headers"].get("http-referer") == referer]


async def charges_of(suite: Suite, ledger: LedgerAudit) -> dict[str, int]:
    """Return what the stand-in charged for each ID in the ledger, in nano dollars."""
    charges = {}
    headers = {"Authorization": f"Bearer {LOCAL_KEY}"}
    async with httpx.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S, headers=headers) as http:
        for entry in ledger.entries.values():
            for id_ in (a["upstreamId"] for a in entry["attempts"]):
                if id_:
                    url = f"{suite.openrouter_url}/generation"
                    found = (await http.get(url, params={"id": id_})).raise_for_status().json()
                    charges[id_] = int(Decimal(str(found["data"]["total_cost"])) * NANO)
    return charges


async def missing_files(suite: Suite, paths: list[str]) -> list[str]:
    """Return the paths under which Cloud Storage has no file."""
    async with httpx.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
        bucket = f"{suite.storage_url}/storage/v1/b/{BUCKET}/o"
        responses = [await http.get(f"{bucket}/{quote(path, safe='')}") for path in paths]
    return [path for path, got in zip(paths, responses, strict=True) if not got.is_success]
