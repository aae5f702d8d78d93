"""Reads the books of a project and adds them up, knowing nothing of how they are kept."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx
from google.cloud.firestore import AsyncClient

from scripts.devtools.seed import LOCAL_KEY
from scripts.devtools.suite import BUCKET, Suite
from scripts.kill_test.plan import CAPPED, PROMPT, RETRIED

NANO: Final = 1_000_000_000
ANSWER: Final = re.compile(re.escape(PROMPT).replace(re.escape("{{request}}"), r"(\d+-\w+)"))
ASIDE: Final = re.compile(r"for (\d+-\w+)\.")
MINUTE: Final = re.compile(r"requests-\d{8}T\d{4}Z(-.*)?")
Json = dict[str, Any]


@dataclass
class Findings:
    """What does not add up, a line each, by the check that found it."""

    wrong: dict[str, list[str]] = field(default_factory=dict)

    def check(self, name: str, found: list[str]) -> None:
        self.wrong[name] = found

    @property
    def count(self) -> int:
        return sum(map(len, self.wrong.values()))


class Books:
    """The entries and the counters, as they stand. windows: by user, then by name. written: by
    generation, the text that is kept of one that is not over."""

    def __init__(
        self,
        entries: dict[str, Json],
        windows: dict[str, dict[str, Json]],
        written: dict[str, str] | None = None,
    ) -> None:
        self.entries = entries
        self.windows = windows
        self.written = written or {}

    @classmethod
    async def read(cls, firestore: AsyncClient) -> Books:
        entries = {
            s.id: s.to_dict() or {} async for s in firestore.collection("generations").stream()
        }
        windows: dict[str, dict[str, Json]] = {}
        async for snapshot in firestore.collection_group("windows").stream():
            user = snapshot.reference.parent.parent.id
            windows.setdefault(user, {})[snapshot.id] = snapshot.to_dict() or {}
        written: dict[str, str] = {}
        pieces = firestore.collection_group("progress").stream()
        for piece in sorted([piece async for piece in pieces], key=lambda piece: piece.id):
            generation = piece.reference.parent.parent.id
            written[generation] = written.get(generation, "") + piece.get("text")
        return cls(entries, windows, written)

    @property
    def running(self) -> list[Json]:
        return [entry for entry in self.entries.values() if entry["status"] == "running"]

    def of(self, user: str, feature: str | None = None) -> list[Json]:
        return [
            entry
            for entry in self.entries.values()
            if entry["uid"] == user and feature in (None, entry["feature"])
        ]

    def findings(self, asked: list[Json], charged: dict[str, int]) -> Findings:
        """asked: what OpenRouter was, of this project; charged: nano dollars by its id."""
        found = Findings()
        found.check("generations still running", [entry["requestId"] for entry in self.running])
        users = sorted({entry["uid"] for entry in self.entries.values()} | self.windows.keys())
        places, reserved, counted = [], [], []
        for user in users:
            windows = self.windows.get(user, {})
            if count := windows.get("concurrent", {}).get("count", 0):
                places.append(f"{user}: {count}")
            spent = sum(w["nanoUsd"] for name, w in windows.items() if name.startswith("usd-"))
            cost = sum(entry.get("costNanoUsd", 0) for entry in self.of(user))
            if spent != cost:
                reserved.append(f"{user}: counted {spent}, cost {cost}")
            for feature in (None, CAPPED):
                requests, entries = self._requests(windows, feature), len(self.of(user, feature))
                if requests != entries:
                    counted.append(f"{user} {feature or ''}: counted {requests}, are {entries}")
        found.check("places not given back", places)
        found.check("reservations left, or spending that differs", reserved)
        found.check("generations counted twice, or not", counted)
        found.check("requests that OpenRouter was asked twice for", _asked_twice(asked))
        found.check("requests to OpenRouter with no entry", self._unknown(asked))
        found.check("costs that differ from OpenRouter's", self._costs(charged))
        return found

    def _requests(self, windows: dict[str, Json], feature: str | None) -> int:
        suffix = None if feature is None else f"-{feature}"
        matches = ((MINUTE.fullmatch(name), kept) for name, kept in windows.items())
        return sum(kept["count"] for match, kept in matches if match and match[1] == suffix)

    def _unknown(self, asked: list[Json]) -> list[str]:
        known = {entry["requestId"] for entry in self.entries.values()}
        return [marker for marker, _ in map(marker_of, asked) if marker not in known]

    def _costs(self, charged: dict[str, int]) -> list[str]:
        wrong = []
        for entry in self.entries.values():
            ids = [a["upstreamId"] for a in entry["attempts"] if a["upstreamId"]]
            cost = sum(charged.get(id_, 0) for id_ in ids)
            exact = not entry.get("costIsEstimate", True)
            if (exact and entry["costNanoUsd"] != cost) or cost > entry.get("costNanoUsd", 0):
                wrong.append(f"{entry['requestId']}: {entry.get('costNanoUsd')}, charged {cost}")
        return wrong


def marker_of(request: Json) -> tuple[str, str]:
    """(the request id, `answer` or `aside`): every answer's system prompt says whose it is; that
    of a title does not, but it quotes the question."""
    messages = request["body"]["messages"]
    first, last = messages[0], messages[-1]
    for kind, message, said in (("answer", first, ANSWER), ("aside", last, ASIDE)):
        if found := re.search(said, str(message["content"])):
            return found[1], kind
    return "?", "?"


def _asked_twice(asked: list[Json]) -> list[str]:
    counts = Counter((*marker_of(request), request["model"]) for request in asked)
    return [
        f"{marker}: {n}" for (marker, _, model), n in counts.items() if n > RETRIED.get(model, 1)
    ]


async def asked_of(suite: Suite, referer: str) -> list[Json]:
    """What the stand-in was asked, of one project's app."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        seen = (await http.get(f"{suite.openrouter_root}/sim/requests")).json()
    return [r for r in seen if r["headers"].get("http-referer") == referer]


async def charged_by(suite: Suite, books: Books) -> dict[str, int]:
    """What the stand-in charged for each id that the books know, in nano dollars."""
    charged = {}
    headers = {"Authorization": f"Bearer {LOCAL_KEY}"}
    async with httpx.AsyncClient(trust_env=False, timeout=30, headers=headers) as http:
        for entry in books.entries.values():
            for id_ in (a["upstreamId"] for a in entry["attempts"]):
                if id_:
                    url = f"{suite.openrouter_url}/generation"
                    told = (await http.get(url, params={"id": id_})).raise_for_status().json()
                    charged[id_] = int(Decimal(str(told["data"]["total_cost"])) * NANO)
    return charged


async def files_lost(suite: Suite, paths: list[str]) -> list[str]:
    """Those of the paths where nothing lies."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        bucket = f"{suite.storage_url}/storage/v1/b/{BUCKET}/o"
        looked = [await http.get(f"{bucket}/{quote(path, safe='')}") for path in paths]
    return [path for path, found in zip(paths, looked, strict=True) if not found.is_success]
