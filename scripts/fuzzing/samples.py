"""Well-formed examples: the reference's, the stand-in's, and some that are only here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from scripts.devtools import ROOT

EXAMPLES: Final = ROOT / "scripts" / "devtools" / "reference" / "examples.json"
OPENROUTER: Final = ROOT / "scripts" / "standins" / "openrouter"
NOW: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

Json = dict[str, Any]


@cache
def requests() -> list[tuple[str, Any]]:
    """Return (callable, data) of each example in the reference, and of some with more fields."""
    examples = json.loads(EXAMPLES.read_text("utf-8"))
    return [(one["callable"], one["request"]) for one in examples] + _MORE_REQUESTS


@cache
def streams() -> list[list[Any]]:
    """Return the events of the stand-in's recorded streams."""
    return [_events(path.read_text("utf-8")) for path in sorted(OPENROUTER.rglob("*.sse"))] + [
        _RICH_STREAM
    ]


@cache
def models() -> list[Any]:
    """Return some entries of the stand-in's model list."""
    document = json.loads((OPENROUTER / "model_catalog.json").read_text("utf-8"))
    entries: list[Any] = document["data"] if isinstance(document, dict) else document
    return entries[:: max(1, len(entries) // 20)]


def _events(text: str) -> list[Any]:
    lines = (line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: "))
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


_MORE_REQUESTS: Final[list[tuple[str, Any]]] = [
    (
        "execute_prompt",
        {
            "feature": "chat",
            "messages": [
                {"role": "user", "content": "What is the weather?"},
                {
                    "role": "assistant",
                    "content": "Let me look.",
                    "toolCalls": [{"id": "a1", "name": "weather", "arguments": {"city": "Oslo"}}],
                },
                {"role": "tool", "toolCallId": "a1", "content": "Rain"},
            ],
            "context": "Some context.",
            "variables": {"name": "Ann"},
            "attachments": [{"name": "sky.png", "contentType": "image/png", "data": PIXEL}],
            "tools": [
                {
                    "name": "weather",
                    "description": "The weather of a city.",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                }
            ],
            "responseFormat": {
                "type": "json_schema",
                "name": "answer",
                "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            },
            "temperature": 0.5,
            "requestId": "3f0c1a52",
        },
    ),
    (
        "save_feature_settings",
        {
            "feature": "chat",
            "settings": {
                "model": "z-ai/glm-4.5-air:free",
                "fallbackModels": ["openrouter/free"],
                "systemPrompt": "Be brief, {{name}}.",
                "temperature": 0.5,
                "reasoning": {"effort": "low"},
                "parameters": {"top_a": 0.5},
                "plugins": [{"id": "web", "max_results": 3}],
                "provider": {"order": ["Z.AI"], "allow_fallbacks": True},
                "limits": {"usdPerDay": 1.0},
                "stop": ["END"],
            },
            "revision": 0,
            "note": "A try.",
        },
    ),
]
_USAGE: Final[Json] = {
    "prompt_tokens": 12,
    "completion_tokens": 30,
    "total_tokens": 42,
    "cost": 0.00012,
    "cost_details": {"upstream_inference_cost": 0.0001},
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def _chunk(delta: Json, **more: Any) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish_reason", None)}
    return {"id": "gen-1", "model": "a/b", "provider": "P", "choices": [choice], **more}


_RICH_STREAM: Final[list[Any]] = [
    _chunk({"role": "assistant", "reasoning": "Hm.", "reasoning_details": [{"text": "Hm."}]}),
    _chunk({"content": "Hello "}),
    _chunk({"images": [{"type": "image_url", "image_url": {"url": PIXEL}}]}),
    _chunk(
        {
            "tool_calls": [
                {"index": 0, "id": "a1", "function": {"name": "f", "arguments": '{"a": 1}'}}
            ],
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "https://a.b", "title": "T"}}
            ],
        }
    ),
    _chunk({"content": "world"}, finish_reason="tool_calls"),
    {**_chunk({}), "usage": _USAGE},
    "[DONE]",
]
FAILURES: Final[list[Json]] = [
    {
        "status": 429,
        "headers": {"retry-after": "7"},
        "error": {
            "code": 429,
            "message": "Provider returned error",
            "metadata": {
                "raw": "the model is busy",
                "provider_name": "P",
                "error_type": "rate_limit_exceeded",
                "headers": {"X-RateLimit-Reset": "1763000000000"},
                "limit_source": "provider",
            },
        },
    },
    {
        "status": 403,
        "headers": {},
        "error": {
            "code": 403,
            "message": "Key limit exceeded (monthly limit)",
            "metadata": {"reasons": ["violence"], "flagged_input": "…"},
        },
    },
    {
        "status": 404,
        "headers": {"retry-after": "Sat, 28 Nov 2026 12:00:10 GMT"},
        "error": {
            "code": "404",
            "message": "No endpoints found for a/b.",
            "availability": {"code": "privacy_restricted"},
        },
    },
]
APP_SETTINGS: Final[Json] = {
    "revision": 3,
    "appName": "Example",
    "referer": "https://example.com",
    "freeModelsOnly": True,
    "replaceGoneModels": False,
    "limits": {"requestsPerMinute": 10, "concurrent": 3, "usdPerDay": 1.0, "reserveUsd": 0.02},
    "anonymousLimits": {"usdPerDay": 0.1},
    "tiers": {"pro": {"usdPerDay": 5.0}},
    "ceiling": {"usdPerDay": 20.0, "usdPerMonth": 200.0},
    "retention": {"entryDays": 90, "storeTexts": True},
}
DRAFT: Final[Json] = {"revision": 4, "percent": 10, "settings": {"model": "a/b"}}
PRICES: Final[list[Json]] = [{"model": "a/b", "prompt": "0.000001", "completion": "0.000002"}]
OWN_LIMITS: Final[Json] = {"limits": {"usdPerDay": 5.0}, "tier": "pro", "blocked": False}
ENTRY: Final[Json] = {
    "uid": "ann",
    "requestId": "r1",
    "payload": "p",
    "nonce": "n",
    "instance": "i",
    "feature": "chat",
    "revision": 3,
    "model": "a/b",
    "test": False,
    "status": "done",
    "createdAt": NOW,
    "deadlineAt": NOW,
    "leaseUntil": NOW,
    "endedAt": NOW,
    "expireAt": NOW,
    "attempts": [
        {
            "model": "a/b",
            "upstreamId": "gen-1",
            "reason": None,
            "keyVersion": 1,
            "purpose": None,
            "costNanoUsd": 120_000,
            "costIsEstimate": False,
            "byokNanoUsd": 0,
            "promptTokens": 12,
            "completionTokens": 30,
        }
    ],
    "place": {"conversationId": "c", "messageId": "m", "parent": "p", "parentPage": 0},
    "question": {"id": "q", "text": "Hello"},
    "reservedNanoUsd": 1_000_000,
    "reservedTokens": 2_000,
    "shard": 2,
    "countsFeature": True,
    "tier": "pro",
    "cached": False,
    "savedNanoUsd": 5,
    "costNanoUsd": 120_000,
    "costIsEstimate": False,
    "usage": {"promptTokens": 12, "completionTokens": 30, "totalTokens": 42, "cost": 0.00012},
    "timing": {"firstTokenMs": 600, "totalMs": 1_800},
    "provider": "P",
    "finishReason": "stop",
    "error": None,
    "result": {"text": "Hello", "model": "a/b"},
    "stop": {"at": NOW, "by": "ann", "instance": "i"},
    "cacheId": "x",
    "waits": False,
    "freed": False,
    "continues": True,
    "streams": True,
    "maxTokens": 300,
}
