"""Who a key belongs to. Words inside the key decide, so that a test can ask for an account."""

from __future__ import annotations

from typing import Any

from . import refusals

Json = dict[str, Any]

KEY_PREFIX = "sk-or-v1-"
ANONYMOUS = ""
FREE_DAILY_LOW = 50
FREE_DAILY_HIGH = 1000


def key_of(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ANONYMOUS


def admit(key: str) -> None:
    """Raises Refusal for no key, or one that belongs to nobody."""
    if not key:
        raise refusals.no_credentials()
    if not key.startswith(KEY_PREFIX) or "revoked" in key:
        raise refusals.user_not_found()


def admit_inference(key: str) -> None:
    """Raises Refusal also for keys that may look but not spend."""
    admit(key)
    if "management" in key:
        raise refusals.Refusal(403, "Management keys cannot be used for inference")
    if "no-credit" in key:
        raise refusals.no_credits()


def key_data(key: str) -> Json:
    """The `data` of `GET /key`."""
    free_tier = "free-tier" in key
    spent = "no-credit" in key
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
        "creator_user_id": refusals.USER_ID,
        "organization_id": None,
        "workspace_id": None,
        "expires_at": None,
    }
