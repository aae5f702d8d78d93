"""The account of a key. Words inside the key select one, so that a test can choose it.

revoked       no account: 401 everywhere
lapsed        GET /key accepts it, anything else does not, as if it had just been deleted
management    may read, but not run completions
free-tier     an account that never bought credits
no-credit     an account that has spent its credits: 402
key-limit     the key has spent its own limit: 403
key-spent     the same, told as 402
later         with the three above: GET /key tells nothing of it, as if it had just been spent
key-budget    a budget that other keys may share is spent: 403
rate-limited  429
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from . import error_responses

Json = dict[str, Any]

KEY_PREFIX = "sk-or-v1-"
ANONYMOUS = ""
FREE_DAILY_LOW = 50
FREE_DAILY_HIGH = 1000
INFERENCE_REFUSALS: Final[Mapping[str, Callable[[], error_responses.Refusal]]] = {
    "lapsed": error_responses.user_not_found,
    "management": error_responses.management_key,
    "no-credit": error_responses.no_credits,
    "key-limit": error_responses.key_limit,
    "key-spent": error_responses.key_limit_402,
    "key-budget": error_responses.guardrail_budget,
    "rate-limited": error_responses.rate_limited,
}


def key_of(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ANONYMOUS


def admit(key: str) -> None:
    """Raise Refusal for a missing key, or one without an account."""
    if not key:
        raise error_responses.no_credentials()
    if not key.startswith(KEY_PREFIX) or "revoked" in key:
        raise error_responses.user_not_found()


def admit_inference(key: str) -> None:
    """Raise Refusal as `admit` does, and for keys that may read but not spend."""
    admit(key)
    for word, refuse in INFERENCE_REFUSALS.items():
        if word in key:
            raise refuse()


def key_data(key: str) -> Json:
    """Return the `data` of `GET /key`."""
    free_tier = "free-tier" in key
    spent = any(word in key for word in ("no-credit", "key-limit", "key-spent"))
    spent = spent and "later" not in key
    manages = "management" in key
    daily = FREE_DAILY_LOW if free_tier else FREE_DAILY_HIGH
    used = 12 if free_tier else 0
    usage = 10.0 if spent else 0.25
    return {
        "label": f"{key[:12]}...{key[-3:]}",
        "limit": None if free_tier else 10.0,
        "limit_remaining": None if free_tier else 10.0 - usage,
        "limit_reset": None,
        "usage": 0.0 if free_tier else usage,
        "usage_daily": 0.0,
        "usage_weekly": 0.0,
        "usage_monthly": 0.0 if free_tier else usage,
        "byok_usage": 0.0,
        "byok_usage_daily": 0.0,
        "byok_usage_weekly": 0.0,
        "byok_usage_monthly": 0.0,
        "include_byok_in_limit": False,
        "is_free_tier": free_tier,
        "is_management_key": manages,
        "is_provisioning_key": manages,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated, ignore it."},
        "free_model_daily_requests": {"used": used, "limit": daily, "remaining": daily - used},
        "budgets": [],
        "effective_budget": None,
        "allowed_data_regions": ["global"],
        "creator_user_id": error_responses.USER_ID,
        "organization_id": None,
        "workspace_id": None,
        "expires_at": None,
    }
