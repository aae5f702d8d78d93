"""Error envelopes, and the statuses that a model name selects.

    {"error": {"message", "code", "metadata"?}, "user_id"?}

`metadata.error_type` is present where OpenRouter documents it. As recorded, errors of the gate (no
key, unknown model, no credits) have none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import chat_requests
from .chat_requests import ChatRequest

Json = dict[str, Any]

USER_ID = "user_simulated"
DAY_S = 86_400
SMALL_CONTEXT_TOKENS = 8_192
EDGE_TIMEOUT_HTML = (
    "<!DOCTYPE html>\n<html><head><title>openrouter.ai | 524: A timeout occurred</title></head>"
    "<body><h1>A timeout occurred <small>Error code 524</small></h1>"
    "<p>Simulated by the OpenRouter stand-in.</p></body></html>\n"
)


@dataclass
class Refusal(Exception):
    """The response is this status and envelope, and nothing else."""

    status: int
    message: str
    metadata: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    user_id: str | None = USER_ID
    html: str | None = None
    availability: Json | None = None

    @property
    def content_type(self) -> str:
        return "text/html; charset=UTF-8" if self.html else "application/json"

    def body(self) -> bytes:
        if self.html:
            return self.html.encode()
        error: Json = {"message": self.message, "code": self.status}
        if self.metadata is not None:
            error["metadata"] = self.metadata
        if self.availability is not None:
            error["availability"] = self.availability
        envelope: Json = {"error": error}
        if self.user_id is not None:
            envelope["user_id"] = self.user_id
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def no_credentials() -> Refusal:
    return Refusal(401, "No auth credentials found", user_id=None)


def user_not_found() -> Refusal:
    return Refusal(401, "User not found.", user_id=None)


def invalid_model(model: str) -> Refusal:
    return Refusal(400, f"{model} is not a valid model ID")


def invalid_request(message: str) -> Refusal:
    return Refusal(400, message, {"error_type": "invalid_request"})


def json_object(raw: bytes) -> Json:
    """Parse a body. Raises Refusal."""
    try:
        return chat_requests.json_object(raw)
    except chat_requests.RequestInvalid as invalid:
        raise invalid_request(str(invalid)) from None


def context_exceeded() -> Refusal:
    message = (
        "This endpoint's maximum context length is 131072 tokens. However, you requested "
        "about 140000 tokens. Please reduce the length"
    )
    metadata = {"error_type": "context_length_exceeded", "provider_name": "Simulated"}
    return Refusal(400, message, metadata)


def no_credits() -> Refusal:
    message = "Insufficient credits. Add more using https://openrouter.ai/settings/credits"
    return Refusal(402, message)


def management_key() -> Refusal:
    return Refusal(403, "Management keys cannot be used for inference")


def key_limit(period: str = "monthly") -> Refusal:
    """A key's own limit: a 403 without metadata."""
    message = (
        f"Key limit exceeded ({period} limit). Manage it using https://openrouter.ai/settings/keys"
    )
    return Refusal(403, message)


def key_limit_402() -> Refusal:
    """The same, as a request is told it that would go beyond the limit."""
    metadata = {
        "error_type": "payment_required",
        "reason": "weight_exceeds_budget",
        "limit_source": "openrouter_key_limit",
    }
    message = (
        "This request requires more credits, or fewer max_tokens. You requested up to 32000 "
        "tokens, but can only afford 12. To increase, visit https://openrouter.ai/settings/keys "
        "and create a key with a higher monthly limit"
    )
    return Refusal(402, message, metadata)


_BUDGET = {
    "limit_source": "openrouter_guardrail_budget",
    "scope": "guardrail",
    "limit_usd": 5,
    "spend_usd": 5.01,
    "resets_at": "2099-01-01T00:00:00.000Z",
}


def guardrail_budget() -> Refusal:
    """A budget that other keys may share."""
    return Refusal(403, "Budget exceeded", {"error_type": "permission_denied", **_BUDGET})


def rate_limited(retry_after_s: int | None = None) -> Refusal:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    message = "Rate limit exceeded, try again later"
    return Refusal(429, message, {"error_type": "rate_limit_exceeded"}, headers)


def not_found(message: str) -> Refusal:
    return Refusal(404, message, user_id=None)


def too_large() -> Refusal:
    message = "Request body is too large"
    return Refusal(413, message, {"error_type": "payload_too_large"}, user_id=None)


def overloaded(retry_after: int | str | None = None) -> Refusal:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    metadata = {"error_type": "provider_overloaded", "provider_name": "Simulated"}
    return Refusal(503, "Provider is overloaded, try again later", metadata, headers)


@dataclass(frozen=True)
class NamedStatus:
    name: str
    line: str
    refuse: Callable[[ChatRequest], Refusal]


def _typed(
    status: int, message: str, error_type: str, **metadata: Any
) -> Callable[[ChatRequest], Refusal]:
    return lambda _: Refusal(status, message, {"error_type": error_type, **metadata})


def _plain(
    status: int, message: str, metadata: Json | None = None
) -> Callable[[ChatRequest], Refusal]:
    return lambda _: Refusal(status, message, metadata)


def _in_flight(_: ChatRequest) -> Refusal:
    metadata = {
        "reason": "in_flight_budget_exhausted",
        "limit_source": "openrouter_in_flight_budget",
        "remedy_hint": "Wait for the requests in flight to settle, or add credits.",
    }
    message = (
        "This request would exceed your available credits given your current in-flight "
        "requests. Retry after in-flight requests settle, or add credits."
    )
    return Refusal(402, message, metadata, {"Retry-After": "1"})


def _free_daily(_: ChatRequest) -> Refusal:
    """Name the next midnight UTC, in milliseconds, as the reset."""
    next_midnight_ms = (int(time.time()) // DAY_S + 1) * DAY_S * 1000
    limits = {
        "X-RateLimit-Limit": "50",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(next_midnight_ms),
    }
    metadata = {
        "error_type": "rate_limit_exceeded",
        "limit_source": "openrouter_free_tier_daily",
        "headers": limits,
        "provider_name": None,
    }
    message = (
        "Rate limit exceeded: free-models-per-day. "
        "Add 10 credits to unlock 1000 free model requests per day"
    )
    return Refusal(429, message, metadata, limits)


def _provider_429(chat: ChatRequest) -> Refusal:
    """Answer as recorded: no `error_type`, and the provider's text quotes the prompt."""
    raw = {"error": f"{chat.model} is temporarily rate-limited upstream", "input": chat.last_text}
    metadata = {"raw": json.dumps(raw, ensure_ascii=False), "provider_name": "Simulated"}
    return Refusal(429, "Provider returned error", metadata)


def _moderation(chat: ChatRequest) -> Refusal:
    metadata = {
        "error_type": "content_policy_violation",
        "reasons": ["violence"],
        "flagged_input": chat.last_text[:100],
        "provider_name": "Simulated",
        "model_slug": chat.model,
    }
    message = f"{chat.model} requires moderation. Your input was flagged"
    return Refusal(403, message, metadata)


def too_long(chat: ChatRequest) -> Refusal | None:
    """Refuse if the context has no room for the request and its answer."""
    asked = chat.prompt_tokens + (chat.max_tokens or 0)
    asked += len(json.dumps([chat.tools, chat.format])) // 4
    if asked <= SMALL_CONTEXT_TOKENS:
        return None
    message = (
        f"This endpoint's maximum context length is {SMALL_CONTEXT_TOKENS} tokens. However, you "
        f"requested about {asked} tokens. Please reduce the length"
    )
    return Refusal(400, message, {"error_type": "context_length_exceeded"})


def pdf_then_502(chat: ChatRequest) -> Refusal | None:
    """Refuse if a file had to be read first, after which no provider is left."""
    if not chat.unread:
        return None
    metadata = {"error_type": "provider_unavailable", "file_annotations": [*chat.unread]}
    return Refusal(502, "Provider returned an error", metadata)


NAMED_STATUSES = (
    NamedStatus(
        "sim/400",
        "400, a bad parameter",
        _typed(400, "temperature must be at most 2", "invalid_request"),
    ),
    NamedStatus(
        "sim/400-invalid-model",
        "400, the model does not exist; no metadata",
        lambda chat: invalid_model(chat.model),
    ),
    NamedStatus(
        "sim/400-context-length",
        "400, context_length_exceeded",
        lambda _: context_exceeded(),
    ),
    NamedStatus(
        "sim/400-max-tokens",
        "400, the request asks for more tokens than the model may write",
        _typed(400, "max_tokens must be at most 16384", "invalid_request"),
    ),
    NamedStatus("sim/401", "401, the key belongs to no account", lambda _: user_not_found()),
    NamedStatus(
        "sim/402",
        "402, not enough credits for max_tokens",
        _plain(
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 32000 "
            "tokens, but can only afford 12. To increase, visit "
            "https://openrouter.ai/settings/credits and upgrade to a paid account",
            {"provider_name": None},
        ),
    ),
    NamedStatus("sim/402-in-flight", "402, in-flight budget, Retry-After 1", _in_flight),
    NamedStatus(
        "sim/402-key-limit",
        "402, this key's own limit is spent",
        lambda _: key_limit_402(),
    ),
    NamedStatus(
        "sim/403",
        "403, permission denied",
        _typed(403, "This key may not use this model", "permission_denied"),
    ),
    NamedStatus("sim/403-moderation", "403, input flagged; metadata quotes it", _moderation),
    NamedStatus(
        "sim/403-guardrail",
        "403, a guardrail's pattern matched",
        _typed(403, "Request blocked by guardrail", "content_policy_violation", patterns=["email"]),
    ),
    NamedStatus(
        "sim/403-budget",
        "403, a guardrail's budget is spent",
        lambda _: guardrail_budget(),
    ),
    NamedStatus(
        "sim/404",
        "404, no endpoint supports the request",
        _typed(404, "No endpoints found that support tool use", "not_found"),
    ),
    NamedStatus(
        "sim/404-data-policy",
        "404, the account's privacy settings leave no endpoint; no metadata",
        _plain(
            404,
            "No endpoints found matching your data policy (Paid model training). "
            "Configure: https://openrouter.ai/settings/privacy",
        ),
    ),
    NamedStatus(
        "sim/404-model-gone",
        "404, the model was withdrawn; no metadata",
        _plain(404, "No endpoints found for sim/404-model-gone."),
    ),
    NamedStatus("sim/408", "408, the request timed out", _plain(408, "Request timed out")),
    NamedStatus("sim/409", "409, conflict (not declared for chat)", _plain(409, "Conflict")),
    NamedStatus("sim/410", "410, gone (not declared for chat)", _plain(410, "Gone")),
    NamedStatus(
        "sim/412",
        "412, precondition failed (not declared for chat)",
        _typed(412, "Precondition failed", "precondition_failed"),
    ),
    NamedStatus("sim/413", "413, the body is too large", lambda _: too_large()),
    NamedStatus(
        "sim/422",
        "422, well-formed but impossible",
        _typed(422, "The request cannot be processed", "unprocessable"),
    ),
    NamedStatus("sim/429", "429, without a hint when to retry", lambda _: rate_limited()),
    NamedStatus("sim/429-retry-after", "429, Retry-After 1", lambda _: rate_limited(1)),
    NamedStatus("sim/429-retry-after-60", "429, Retry-After 60", lambda _: rate_limited(60)),
    NamedStatus(
        "sim/429-free-daily",
        "429, the free daily cap; X-RateLimit-Reset in epoch milliseconds",
        _free_daily,
    ),
    NamedStatus(
        "sim/429-provider",
        "429 from the provider, as recorded; metadata.raw quotes the prompt",
        _provider_429,
    ),
    NamedStatus("sim/500", "500, message masked", _typed(500, "Internal Server Error", "server")),
    NamedStatus(
        "sim/502",
        "502, the provider is down",
        _typed(
            502,
            "Provider returned error",
            "provider_unavailable",
            provider_name="Simulated",
            raw="upstream connect error",
        ),
    ),
    NamedStatus("sim/503", "503, overloaded", lambda _: overloaded()),
    NamedStatus("sim/503-retry-after", "503, overloaded, Retry-After 1", lambda _: overloaded(1)),
    NamedStatus(
        "sim/504",
        "504, the provider was too slow",
        _typed(504, "Provider timed out", "timeout", provider_name="Simulated"),
    ),
    NamedStatus(
        "sim/524",
        "524, the edge timed out, with an HTML body",
        lambda _: Refusal(524, "A timeout occurred", html=EDGE_TIMEOUT_HTML),
    ),
    NamedStatus(
        "sim/529", "529, the provider is overloaded", _plain(529, "Provider returned error")
    ),
)
