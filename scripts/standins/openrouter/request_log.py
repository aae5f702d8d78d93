"""The requests, how they ended and what was charged, for tests to inspect. It stores no key."""

from __future__ import annotations

import json
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from .completions import as_number

Json = dict[str, Any]

REQUESTS_KEPT = 2000
GENERATIONS_KEPT = 60_000
BYOK_FEE = Decimal("0.05")  # of what the provider bills
BODY_KEPT_BYTES = 1_048_576
GENERATION_DELAY_S = 0.150  # OpenRouter does not know an answer at once either
KEY_SHOWN_FROM_CHARS = 16  # the last four characters of a shorter key would reveal most of it


@dataclass
class Record:
    """A request. Times are Unix seconds."""

    id: int
    path: str
    model: str | None
    stream: bool
    key_last4: str
    headers: dict[str, str]
    body: Any
    started_at: float
    ended_at: float | None = None
    ended_clock: float = 0.0
    closed_by_client: bool = False
    tokens_sent: int = 0
    on_end: Callable[[], None] | None = field(default=None, repr=False)

    def end(self, *, by_client: bool = False) -> None:
        """Record the end. The first one counts: closing after the last byte is no hang-up."""
        if self.ended_at is None:
            self.ended_at = time.time()
            self.ended_clock = time.monotonic()
            self.closed_by_client = by_client
            if self.on_end is not None:
                self.on_end()

    def view(self) -> Json:
        return {
            "id": self.id,
            "path": self.path,
            "model": self.model,
            "stream": self.stream,
            "keyLast4": self.key_last4,
            "headers": self.headers,
            "body": self.body,
            "startedAt": self.started_at,
            "endedAt": self.ended_at,
            "closedByClient": self.closed_by_client,
            "open": self.ended_at is None,
            "tokensSent": self.tokens_sent,
        }


@dataclass
class Bill:
    """What was charged to a key.

    Attributes:
        usd: By OpenRouter.
        byok_usd: By providers, to accounts of the key's owner there.
        generations: How many requests were accepted, free ones included.
    """

    usd: Decimal = Decimal(0)
    byok_usd: Decimal = Decimal(0)
    generations: int = 0

    def view(self) -> Json:
        return {
            "usd": f"{self.usd:f}",
            "byokUsd": f"{self.byok_usd:f}",
            "generations": self.generations,
        }


@dataclass
class Generation:
    """What `/generation` reports on an accepted request.

    Attributes:
        flat_usd: What it costs, whatever comes of it; None if that depends on the tokens.
        bills_always: It is charged without output, and after an error, too.
        is_byok: The provider bills the key's owner, and OpenRouter charges a fee alone.
        asked: The beginnings of its first and its last message, to tell what it was for.
    """

    id: str
    record: Record
    model: str
    provider: str
    router: str | None
    prompt_tokens: int
    prompt_price: Decimal
    completion_price: Decimal
    session_id: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    reasoning_tokens: int = 0
    flat_usd: Decimal | None = None
    bills_always: bool = False
    is_byok: bool = False
    asked: str = ""

    def ready(self) -> bool:
        ended = self.record.ended_at is not None
        return ended and time.monotonic() - self.record.ended_clock >= GENERATION_DELAY_S

    def cost(self) -> Decimal:
        """Return what the provider charges: mostly nothing without output, or after an error."""
        if self.flat_usd is not None:
            return self.flat_usd
        tokens = self.record.tokens_sent
        if not self.bills_always and (not tokens or self.finish_reason == "error"):
            return Decimal(0)
        return self.prompt_tokens * self.prompt_price + tokens * self.completion_price

    def charges(self) -> tuple[Decimal, Decimal]:
        """Return what OpenRouter charges, and what the provider bills to the key's owner."""
        cost = self.cost()
        return (cost * BYOK_FEE, cost) if self.is_byok else (cost, Decimal(0))

    def charge_view(self) -> Json:
        charged, billed = self.charges()
        return {
            "id": self.id,
            "model": self.model,
            "asked": self.asked,
            "usd": f"{charged:f}",
            "byokUsd": f"{billed:f}",
        }

    def view(self) -> Json:
        record = self.record
        completion = record.tokens_sent
        took_ms = round(((record.ended_at or record.started_at) - record.started_at) * 1000)
        charged, billed = map(as_number, self.charges())
        unknown_here = (
            "app_id cache_discount external_user moderation_latency num_fetches web_search_engine "
            "num_input_audio_prompt num_media_completion num_media_prompt num_search_results "
            "preset_id provider_responses service_tier upstream_id workspace_id request_id"
        )
        return {
            **dict.fromkeys(unknown_here.split()),
            "id": self.id,
            "model": self.model,
            "provider_name": self.provider,
            "router": self.router,
            "created_at": datetime.fromtimestamp(record.started_at, UTC).isoformat(),
            "api_type": "completions",
            "data_region": "global",
            "streamed": record.stream,
            "cancelled": record.closed_by_client,
            "finish_reason": self.finish_reason if not record.closed_by_client else None,
            "native_finish_reason": (
                self.native_finish_reason if not record.closed_by_client else None
            ),
            "tokens_prompt": self.prompt_tokens,
            "tokens_completion": completion,
            "native_tokens_prompt": self.prompt_tokens,
            "native_tokens_completion": completion,
            "native_tokens_completion_images": 0,
            "native_tokens_reasoning": min(self.reasoning_tokens, completion),
            "native_tokens_cached": 0,
            "total_cost": charged,
            "usage": charged,
            "upstream_inference_cost": billed if self.is_byok else charged,
            "is_byok": self.is_byok,
            "latency": took_ms,
            "generation_time": took_ms,
            "origin": record.headers.get("http-referer", ""),
            "http_referer": record.headers.get("http-referer"),
            "user_agent": record.headers.get("user-agent"),
            "session_id": self.session_id,
        }


@dataclass
class Log:
    """The latest requests and generations, in order."""

    records: deque[Record] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))
    generations: OrderedDict[str, Generation] = field(default_factory=OrderedDict)
    bills: dict[str, Bill] = field(default_factory=dict)  # by the last four characters of the key
    numbers: count[int] = field(default_factory=lambda: count(1))
    open: int = 0

    def begin(self, path: str, key: str, headers: Mapping[str, str], raw: bytes) -> Record:
        body = _body_without_key(raw, key)
        fields = body if isinstance(body, dict) else {}
        model = fields.get("model")
        record = Record(
            id=next(self.numbers),
            path=path,
            model=model if isinstance(model, str) else None,
            stream=fields.get("stream") is True,
            key_last4=key[-4:] if len(key) >= KEY_SHOWN_FROM_CHARS else "",
            headers=_headers_without_key(headers, key),
            body=body,
            started_at=time.time(),
        )
        if len(self.records) == REQUESTS_KEPT:
            self.records[0].body = None  # a generation may hold on to it
        self.records.append(record)
        self.open += 1
        return record

    def accept(self, generation: Generation) -> None:
        self.generations[generation.id] = generation
        generation.record.on_end = lambda: self._charge(generation)
        while len(self.generations) > GENERATIONS_KEPT:
            self.generations.popitem(last=False)

    def charges(self, key_last4: str) -> list[Json]:
        """Return what each request of a key was charged that has ended: the items of its bill."""
        return [
            generation.charge_view()
            for generation in self.generations.values()
            if generation.record.key_last4 == key_last4 and generation.record.ended_at is not None
        ]

    def _charge(self, generation: Generation) -> None:
        bill = self.bills.setdefault(generation.record.key_last4, Bill())
        charged, billed = generation.charges()
        bill.usd += charged
        bill.byok_usd += billed
        bill.generations += 1

    def forget(self) -> None:
        """Clear the lists. Open requests continue, unlisted."""
        self.records.clear()
        self.generations.clear()


def _headers_without_key(headers: Mapping[str, str], key: str) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() != "authorization" and not (key and key in value)
    }


def _body_without_key(raw: bytes, key: str) -> Any:
    """Return the parsed body: None if it is not JSON, a note if it is too long to store."""
    if len(raw) > BODY_KEPT_BYTES:
        return {"notKept": f"{len(raw)} bytes, the limit is {BODY_KEPT_BYTES}"}
    if key:
        raw = raw.replace(key.encode(), b"[key]")
    try:
        return json.loads(raw)
    except ValueError:
        return None
