"""Is the OpenRouter key any good? What an admin sees before and after storing one."""

from __future__ import annotations

import time
from typing import Any

from .callable import Call
from .contract import TestConnection, parse
from .errors import KeyInvalid, UpstreamMalformed
from .identity import Caller, require_admin
from .keys import Keys, Secret
from .openrouter import OpenRouter

PING_S = 10.0


class Connection:
    """The use case `test_openrouter_connection`."""

    def __init__(self, *, keys: Keys, openrouter: OpenRouter) -> None:
        self._keys = keys
        self._openrouter = openrouter

    async def test(self, call: Call[Caller]) -> dict[str, Any]:
        """`GET /key` with the stored key or a candidate: free of charge, no tokens spent.

        Answers `{valid: false, reason, message}` for a key that OpenRouter refuses, else
        `{valid, lastFour, latencyMs, isManagementKey, isFreeTier, usageUsd, limitUsd, ...}`.
        A management key is valid but can not generate. Raises CallableError.
        """
        require_admin(call.caller)
        candidate = parse(TestConnection, call.data if call.data is not None else {}).key
        key = Secret(candidate) if candidate else await self._keys.get()
        began = time.perf_counter()
        try:
            document = await self._openrouter.get("/key", key, PING_S)
        except KeyInvalid as refused:
            return {
                "valid": False,
                "lastFour": key.last_four,
                "reason": refused.reason,
                "message": refused.message,
            }
        latency_ms = round((time.perf_counter() - began) * 1000)
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            raise UpstreamMalformed
        free = data.get("free_model_daily_requests")
        return {
            "valid": True,
            "lastFour": key.last_four,
            "latencyMs": latency_ms,
            "isManagementKey": data.get("is_management_key") is True,
            "isFreeTier": data.get("is_free_tier") is True,
            "usageUsd": data.get("usage"),
            "usageTodayUsd": data.get("usage_daily"),
            "limitUsd": data.get("limit"),
            "limitRemainingUsd": data.get("limit_remaining"),
            "limitReset": data.get("limit_reset"),
            "expiresAt": data.get("expires_at"),
            "freeModelRequestsToday": free if isinstance(free, dict) else None,
        }
