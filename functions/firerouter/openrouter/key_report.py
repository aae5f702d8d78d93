"""What `GET /key` says of a key: its limits, its spending, what it is good for. Pure.

An ordinary key can ask models; a management key passes the same check, but can not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..errors import UpstreamMalformed

_AMOUNT_MAX: Final = 1e15  # Firestore holds 64 bits, JSON any number


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Amounts are US dollars; None: OpenRouter did not say, or there is no limit."""

    is_management_key: bool
    is_free_tier: bool  # the account has never bought credits
    usage_usd: float | None
    usage_today_usd: float | None
    limit_usd: float | None
    limit_remaining_usd: float | None
    limit_reset: str | None
    expires_at: str | None  # ISO 8601
    free_model_requests_today: dict[str, Any] | None


def read_key_report(document: Any) -> KeyReport:
    """The body of `GET /key`. Raises UpstreamMalformed."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise UpstreamMalformed
    free = data.get("free_model_daily_requests")
    return KeyReport(
        is_management_key=data.get("is_management_key") is True,
        is_free_tier=data.get("is_free_tier") is True,
        usage_usd=_number(data.get("usage")),
        usage_today_usd=_number(data.get("usage_daily")),
        limit_usd=_number(data.get("limit")),
        limit_remaining_usd=_number(data.get("limit_remaining")),
        limit_reset=_text(data.get("limit_reset")),
        expires_at=_text(data.get("expires_at")),
        free_model_requests_today=free if isinstance(free, dict) else None,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < _AMOUNT_MAX else None  # nor for NaN


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
