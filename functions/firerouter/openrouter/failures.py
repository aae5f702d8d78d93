"""Maps every failure that OpenRouter reports to one leaf of the error tree.

OpenRouter reports failures with an HTTP status, an `error` object inside a 200, or a finish reason.
Other failures are raised by the modules that notice them: a connection that breaks or stays silent,
an answer that is malformed, empty, cut off or too long.

Sources: OpenRouter's "errors" and "limits" pages and publicly recorded error bodies. Enums are
open: an unknown error type is mapped by its HTTP status, and an unknown status by its class.
Messages are matched only if nothing else distinguishes two cases, and are never passed on.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Final

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
from .json_fields import Json, as_object

RETRY_AFTER_MAX_S: Final = 86_400.0  # the longest wait that a client is told
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

BY_FINISH_REASON: Final[Mapping[str, type[UpstreamError]]] = {
    "error": UpstreamBusy,  # a provider failed while answering
}


def from_status(
    status: int, body: object, headers: Mapping[str, str], *, now: float | None = None
) -> UpstreamError:
    """Return the failure behind an HTTP status.

    Args:
        status: The status.
        body: The `error` object of the body, or text, or None.
        headers: The headers of the response.
        now: The current time, in seconds since the epoch.
    """
    error = as_object(body)
    retry_after = _retry_after(headers, error, time.time() if now is None else now)
    return _failure(status, error, retry_after)


def from_event(error: object, *, now: float | None = None) -> UpstreamError:
    """Return the failure in an `error` object inside a 200, in JSON or as an event."""
    if not isinstance(error, dict):
        return UpstreamBusy()
    code = error.get("code")
    if isinstance(code, str) and re.fullmatch(r"[1-5][0-9]{2}", code):
        code = int(code)
    # without a status, a provider failed, with the code "server_error" for example
    status = code if isinstance(code, int) and 100 <= code < 600 else 502
    return _failure(status, error, _retry_after({}, error, time.time() if now is None else now))


def from_finish_reason(reason: str) -> UpstreamError | None:
    """Return the failure that a finish reason means; None if it is not a failure."""
    leaf = BY_FINISH_REASON.get(reason)
    return leaf() if leaf else None


def _failure(status: int, error: Json, retry_after: float | None) -> UpstreamError:
    metadata = as_object(error.get("metadata"))
    message = str(error.get("message") or "").lower()[:500]
    leaf = _leaf_of_details(status, metadata, message)
    if leaf is None:
        kind = metadata.get("error_type")
        leaf = BY_ERROR_TYPE.get(kind) if isinstance(kind, str) else None
    if leaf is None:
        leaf = BY_STATUS.get(status) or (UpstreamRejected if 400 <= status < 500 else UpstreamBusy)
    failure = leaf(retry_after_seconds=retry_after, upstreamStatus=status)
    failure.file_annotations = metadata.get("file_annotations")
    return failure


def _leaf_of_details(status: int, metadata: Json, message: str) -> type[UpstreamError] | None:
    """Distinguish cases that share a status and an error type, or come without metadata."""
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
        # "for <model>" if the model is gone; "matching your data policy" and the like for settings
        leaf = ModelNotFound if "no endpoints found for" in message else NoProvider
    elif status == 429 and (
        source == "openrouter_free_tier_daily" or "free-models-per-day" in message
    ):
        leaf = FreeDailyLimit
    elif status == 503 and "routing requirements" in message:
        leaf = NoProvider
    return leaf


def _retry_after(headers: Mapping[str, str], error: Json, now: float) -> float | None:
    """Return the seconds to wait: from the header, or else until the rate limit resets."""
    seconds = _number(headers.get("retry-after"))
    if seconds is None:
        nested = as_object(as_object(error.get("metadata")).get("headers"))
        reset = _number(nested.get("X-RateLimit-Reset"))  # milliseconds since the epoch
        seconds = None if reset is None else reset / 1000 - now
    if seconds is None or seconds < 0:
        return None
    return math.ceil(min(seconds, RETRY_AFTER_MAX_S) * 10) / 10


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
