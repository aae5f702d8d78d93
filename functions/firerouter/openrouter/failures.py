"""Every way in which OpenRouter fails, as one leaf of the error tree. The only place that guesses.

Sources: OpenRouter's "errors" and "limits" pages and the error bodies recorded in public. Enums are
open: what is new falls to the leaf of its HTTP status, and a status that is new to its class.
Texts are matched only where nothing else tells cases apart, and are never passed on.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from ..errors import (
    ContextTooLong,
    CreditBusy,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    MaxTokensTooHigh,
    ModelNotFound,
    Moderated,
    NoCredit,
    NoProvider,
    RateLimited,
    UpstreamBusy,
    UpstreamError,
    UpstreamForbidden,
    UpstreamRejected,
    UpstreamTimeout,
)

BY_ERROR_TYPE: Final[Mapping[str, type[UpstreamError]]] = {
    "invalid_request": UpstreamRejected,
    "invalid_prompt": UpstreamRejected,
    "context_length_exceeded": ContextTooLong,
    "token_limit_exceeded": ContextTooLong,
    "string_too_long": ContextTooLong,
    "max_tokens_exceeded": MaxTokensTooHigh,
    "invalid_image": UpstreamRejected,
    "image_too_large": UpstreamRejected,
    "image_too_small": UpstreamRejected,
    "unsupported_image_format": UpstreamRejected,
    "image_download_failed": UpstreamRejected,
    "image_not_found": UpstreamRejected,
    "authentication": KeyInvalid,
    "payment_required": NoCredit,
    "permission_denied": UpstreamForbidden,
    "content_policy_violation": Moderated,
    "refusal": Moderated,
    "not_found": ModelNotFound,
    "precondition_failed": UpstreamRejected,
    "payload_too_large": ContextTooLong,
    "unprocessable": UpstreamRejected,
    "rate_limit_exceeded": RateLimited,
    "server": UpstreamBusy,
    "unmapped": UpstreamBusy,
    "provider_unavailable": UpstreamBusy,
    "provider_overloaded": UpstreamBusy,
    "timeout": UpstreamTimeout,
}

BY_STATUS: Final[Mapping[int, type[UpstreamError]]] = {
    400: UpstreamRejected,
    401: KeyInvalid,
    402: NoCredit,
    403: UpstreamForbidden,
    404: ModelNotFound,
    408: UpstreamTimeout,
    409: UpstreamRejected,
    410: ModelNotFound,
    412: UpstreamRejected,
    413: ContextTooLong,
    422: UpstreamRejected,
    429: RateLimited,
    499: UpstreamBusy,
    500: UpstreamBusy,
    502: UpstreamBusy,
    503: UpstreamBusy,
    504: UpstreamTimeout,
    524: UpstreamTimeout,
    529: UpstreamBusy,
}


def from_status(
    status: int, body: object, headers: Mapping[str, str], *, now: float | None = None
) -> UpstreamError:
    """The failure behind an HTTP status. `body` is the `error` object, or text, or None."""
    error = body if isinstance(body, dict) else {}
    retry_after = _retry_after(headers, error, time.time() if now is None else now)
    return _failure(status, error, retry_after)


def from_event(error: object, *, now: float | None = None) -> UpstreamError:
    """The failure in an `error` object that came inside a 200, in JSON or as an event."""
    if not isinstance(error, dict):
        return UpstreamBusy()
    code = error.get("code")
    if isinstance(code, str) and re.fullmatch(r"[1-5][0-9]{2}", code):
        code = int(code)
    # without a status a provider died, as "server_error"
    status = code if isinstance(code, int) and 100 <= code < 600 else 502
    return _failure(status, error, _retry_after({}, error, time.time() if now is None else now))


def _failure(status: int, error: dict[str, Any], retry_after: float | None) -> UpstreamError:
    metadata = error.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    message = str(error.get("message") or "").lower()[:500]
    leaf = _told_apart(status, metadata, message, retry_after)
    if leaf is None:
        kind = metadata.get("error_type")
        leaf = BY_ERROR_TYPE.get(kind) if isinstance(kind, str) else None
    if leaf is None:
        leaf = BY_STATUS.get(status) or (UpstreamRejected if 400 <= status < 500 else UpstreamBusy)
    failure = leaf(retry_after_seconds=retry_after, upstreamStatus=status)
    failure.files = metadata.get("file_annotations")
    return failure


def _told_apart(
    status: int, metadata: Mapping[str, Any], message: str, retry_after: float | None
) -> type[UpstreamError] | None:
    """Cases that share a status and an error type, or come with no metadata at all."""
    source = str(metadata.get("limit_source") or "")
    leaf: type[UpstreamError] | None = None
    if status == 400:
        if "not a valid model" in message:
            leaf = ModelNotFound
        elif "maximum context length" in message or "context length" in message:
            leaf = ContextTooLong
    elif status == 402:
        if metadata.get("reason") == "in_flight_budget_exhausted" or "in-flight" in message:
            leaf = CreditBusy
        elif source == "openrouter_key_limit" or "key limit" in message:
            leaf = KeyLimitReached
    elif status == 403:
        if "flagged_input" in metadata or "reasons" in metadata:
            leaf = Moderated
        elif source.endswith(("_budget", "_key_limit")) or "key limit" in message:
            leaf = KeyLimitReached
    elif status == 404 and "no endpoints found" in message:
        # "for <model>" when it is gone; "matching your data policy" and the like when a setting is
        leaf = ModelNotFound if "no endpoints found for" in message else NoProvider
    elif status == 429 and (
        source == "openrouter_free_tier_daily" or "free-models-per-day" in message
    ):
        leaf = FreeDailyLimit
    elif status == 503 and "routing requirements" in message:
        leaf = NoProvider
    return leaf


def _retry_after(headers: Mapping[str, str], error: dict[str, Any], now: float) -> float | None:
    """Seconds to wait: the header, else the rate limit's reset, which is epoch milliseconds."""
    seconds = _number(headers.get("retry-after"))
    if seconds is None:
        metadata = error.get("metadata")
        inner = metadata.get("headers") if isinstance(metadata, dict) else None
        reset = _number(inner.get("X-RateLimit-Reset")) if isinstance(inner, dict) else None
        seconds = None if reset is None else reset / 1000 - now
    if seconds is None or seconds < 0:
        return None
    return math.ceil(min(seconds, 86_400.0) * 10) / 10


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
