"""Is the OpenRouter key any good? What an admin sees before and after storing one."""

from __future__ import annotations

import time
from typing import Any

from ..callable import Call
from ..contract import TestConnection, parse
from ..errors import InvalidArgument, KeyInvalid, KeyMissing
from ..keys import Keys, Secret
from ..openrouter import OpenRouter
from ..users import Caller


class KeyCheck:
    """The use case `test_openrouter_connection`."""

    def __init__(self, *, keys: Keys, openrouter: OpenRouter) -> None:
        self._keys = keys
        self._openrouter = openrouter

    async def test(self, call: Call[Caller]) -> dict[str, Any]:
        """`GET /key` with a stored key or a candidate: free of charge, no tokens spent.

        Answers `{valid: false, lastFour, latencyMs, reason, message}` for a key that OpenRouter
        refuses, else
        `{valid, lastFour, latencyMs, isManagementKey, isFreeTier, usageUsd, limitUsd, ...}`.
        A management key is valid but can not generate. Raises CallableError.
        """
        asked = parse(TestConnection, call.data if call.data is not None else {})
        key = Secret(asked.key) if asked.key else await self._stored(asked.feature, asked.position)
        began = time.perf_counter()
        try:
            report = await self._openrouter.key_report(key)
        except KeyInvalid as refused:
            return {
                "valid": False,
                "lastFour": key.last_four,
                "latencyMs": _ms_since(began),
                "reason": refused.reason,
                "message": refused.admin_message,
            }
        return {
            "valid": True,
            "lastFour": key.last_four,
            "latencyMs": _ms_since(began),
            "isManagementKey": report.is_management_key,
            "isFreeTier": report.is_free_tier,
            "usageUsd": report.usage_usd,
            "usageTodayUsd": report.usage_today_usd,
            "limitUsd": report.limit_usd,
            "limitRemainingUsd": report.limit_remaining_usd,
            "limitReset": report.limit_reset,
            "expiresAt": report.expires_at,
            "freeModelRequestsToday": report.free_model_requests_today,
        }

    async def _stored(self, feature: str | None, position: int) -> Secret:
        slots = await self._keys.slots(anew=True)
        if feature is not None and not slots.own(feature):
            what = "has no keys of its own: the default ones serve it"
            raise InvalidArgument(f"feature {what}.", field="feature")
        versions = slots.serving(feature)
        if not versions:
            raise KeyMissing
        if position > len(versions):
            raise InvalidArgument(f"position may be at most {len(versions)}.", field="position")
        version = versions[position - 1]
        try:
            return await self._keys.read(version)
        except KeyMissing:
            if version is None:  # first boot: there may be none at all
                raise
            sentence = (
                f"The key at position {position}, version {version} of the secret, is disabled."
            )
            raise KeyMissing(sentence, field="position") from None


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
