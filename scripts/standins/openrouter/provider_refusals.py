"""Refusals whose reason is not in their status: in `raw`, in `availability`, in words, in a date.

Most refuse always. Those that answer otherwise answer as soon as the request is as they want it.
"""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

from .chat_requests import ChatRequest
from .error_responses import NamedStatus, Refusal, key_limit, overloaded, too_long

Json = dict[str, Any]

AFFORDABLE_TOKENS = 30_104
YEAR_S = 365 * 86_400


def raw(status: int, reason: object, message: str = "Provider returned error") -> Refusal:
    """Return a refusal whose reason only the provider's own text has."""
    text = reason if isinstance(reason, str) else json.dumps(reason, ensure_ascii=False)
    return Refusal(status, message, {"raw": text, "provider_name": "Simulated"})


def too_long_in_raw(chat: ChatRequest) -> Refusal | None:
    """Refuse as `too_long`, with the reason in the provider's own words."""
    if too_long(chat) is None:
        return None
    reason = "prompt is too long: 208732 tokens > 200000 maximum"
    error = {"type": "invalid_request_error", "message": reason}
    return raw(400, {"type": "error", "error": error, "input": chat.last_text})


def no_system_role(chat: ChatRequest) -> Refusal | None:
    """Refuse a system prompt."""
    if not chat.has_system:
        return None
    reason = "Developer instruction is not enabled for models/simulated"
    return raw(400, [{"error": {"code": 400, "message": reason, "status": "INVALID_ARGUMENT"}}])


def little_credit(chat: ChatRequest) -> Refusal | None:
    """Refuse an answer of more tokens than the account can pay for."""
    if chat.max_tokens is not None and chat.max_tokens <= AFFORDABLE_TOKENS:
        return None
    message = (
        "This request requires more credits, or fewer max_tokens. You requested up to "
        f"{chat.max_tokens or 65_536} tokens, but can only afford {AFFORDABLE_TOKENS}. To "
        "increase, visit https://openrouter.ai/settings/credits and add more credits"
    )
    return Refusal(402, message, {"provider_name": None})


def quotes_prompt(chat: ChatRequest) -> Refusal:
    """Refuse with a reason that quotes what was asked."""
    return raw(400, {"error": {"message": f"Unsupported value: {chat.last_text!r} in messages"}})


def _unavailable(status: int, code: str) -> NamedStatus:
    availability = {"code": code, "retryable": False, "requested_models": ["sim/x"]}
    return NamedStatus(
        f"sim/{status}-{code.replace('_', '-')}",
        f"{status}, availability.code {code}",
        lambda _: Refusal(
            status,
            "No endpoints found for the requested model.",
            {"error_type": "not_found"},
            availability=availability,
        ),
    )


def _typed(name: str, line: str, status: int, message: str, **metadata: Any) -> NamedStatus:
    return NamedStatus(name, line, lambda _: Refusal(status, message, metadata or None))


REFUSALS = (
    *(
        _unavailable(404, code)
        for code in ("privacy_restricted", "constraint_filtered", "no_endpoints", "model_not_found")
    ),
    _unavailable(400, "privacy_restricted"),
    NamedStatus("sim/403-key-limit", "403, this key's own limit is spent", lambda _: key_limit()),
    _typed(
        "sim/403-injection",
        "403, a guardrail found an injection",
        403,
        "Request blocked: prompt injection patterns detected",
        patterns=["ignore-instructions"],
    ),
    _typed(
        "sim/404-no-allowed-provider",
        "404, the provider settings exclude all providers",
        404,
        "No allowed providers are available for the selected model.",
        available_providers=["simulated"],
        requested_providers=["other"],
    ),
    _typed(
        "sim/404-ignored",
        "404, all providers are ignored",
        404,
        "All providers have been ignored. To change your default ignored providers, visit: "
        "https://openrouter.ai/settings/preferences",
    ),
    _typed(
        "sim/404-guardrail-policy",
        "404, a guardrail and the data policy exclude all providers",
        404,
        "No endpoints available matching your guardrail restrictions and data policy. Configure: "
        "https://openrouter.ai/settings/privacy",
    ),
    _typed(
        "sim/400-max-tokens-exceeded",
        "400, max_tokens_exceeded",
        400,
        "The completion reached its maximum",
        error_type="max_tokens_exceeded",
    ),
    _typed(
        "sim/400-token-limit",
        "400, token_limit_exceeded",
        400,
        "The token limit is exceeded",
        error_type="token_limit_exceeded",
    ),
    _typed(
        "sim/400-invalid-image",
        "400, invalid_image",
        400,
        "The image is invalid",
        error_type="invalid_image",
    ),
    NamedStatus(
        "sim/400-filter-in-raw",
        "400, a provider's content filter, told in raw",
        lambda _: raw(400, {"error": {"message": "Filtered", "code": "content_filter"}}),
    ),
    NamedStatus("sim/400-quotes", "400, raw quotes the prompt", quotes_prompt),
    NamedStatus(
        "sim/503-date",
        "503, Retry-After is a date in two seconds",
        lambda _: overloaded(formatdate(time.time() + 2, usegmt=True)),
    ),
    NamedStatus(
        "sim/503-next-year",
        "503, Retry-After is a date in a year",
        lambda _: overloaded(formatdate(time.time() + YEAR_S, usegmt=True)),
    ),
)
