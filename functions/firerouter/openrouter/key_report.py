"""The response of `GET /key`: a key's limits, its spending and its kind. Pure.

OpenRouter accepts a management key here like a regular one, but it can't run completions.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UpstreamMalformed
from .json_fields import Json, as_amount, as_object, as_text


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What OpenRouter reports. Amounts are US dollars; None: not reported, or no limit."""

    is_management_key: bool
    is_free_tier: bool  # the account has never bought credits
    usage_usd: float | None
    usage_today_usd: float | None
    limit_usd: float | None
    limit_remaining_usd: float | None
    limit_reset: str | None
    expires_at: str | None  # ISO 8601
    free_model_requests_today: Json | None


def read_key_report(document: object) -> KeyReport:
    """Read the body of `GET /key`. Raises UpstreamMalformed."""
    data = as_object(document).get("data")
    if not isinstance(data, dict):
        raise UpstreamMalformed
    free = data.get("free_model_daily_requests")
    return KeyReport(
        is_management_key=data.get("is_management_key") is True,
        is_free_tier=data.get("is_free_tier") is True,
        usage_usd=as_amount(data.get("usage")),
        usage_today_usd=as_amount(data.get("usage_daily")),
        limit_usd=as_amount(data.get("limit")),
        limit_remaining_usd=as_amount(data.get("limit_remaining")),
        limit_reset=as_text(data.get("limit_reset")),
        expires_at=as_text(data.get("expires_at")),
        free_model_requests_today=free if isinstance(free, dict) else None,
    )
