"""The requests and how they ended, for tests to inspect. It never stores a key."""

from __future__ import annotations

import json
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from .completions import as_number

Json = dict[str, Any]

REQUESTS_KEPT = 2000
GENERATIONS_KEPT = 2000
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

    def end(self, *, by_client: bool = False) -> None:
        """Record the end. The first one counts: closing after the last byte is no hang-up."""
        if self.ended_at is None:
            self.ended_at = time.time()
            self.ended_clock = time.monotonic()
            self.closed_by_client = by_client

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
class Generation:
    """What `/generation` reports on an accepted request."""

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

    def ready(self) -> bool:
        ended = self.record.ended_at is not None
        return ended and time.monotonic() - self.record.ended_clock >= GENERATION_DELAY_S

    def cost(self) -> Decimal:
        """Return the cost: without output, or after an error, nothing is billed."""
        if not self.record.tokens_sent or self.finish_reason == "error":
            return Decimal(0)
        sent = self.record.tokens_sent * self.completion_price
        return self.prompt_tokens * self.prompt_price + sent

    def view(self) -> Json:
        record = self.record
        completion = record.tokens_sent
        took_ms = round(((record.ended_at or record.started_at) - record.started_at) * 1000)
        cost = as_number(self.cost())
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
            "total_cost": cost,
            "usage": cost,
            "upstream_inference_cost": cost,
            "is_byok": False,
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
        self.records.append(record)
        self.open += 1
        return record

    def accept(self, generation: Generation) -> None:
        self.generations[generation.id] = generation
        while len(self.generations) > GENERATIONS_KEPT:
            self.generations.popitem(last=False)

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
