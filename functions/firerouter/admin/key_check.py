"""Admins check an OpenRouter key, before or after they store it."""

from __future__ import annotations

import time

from ..callable import Call
from ..contract import TestConnection, parse
from ..errors import FeatureUnknown, InvalidArgument, KeyInvalid, KeyMissing
from ..features import FeatureStore
from ..keys import KeyPool, Secret
from ..openrouter import OpenRouter
from ..users import Caller
from .key_faults import fault_of
from .keys import NOT_ACCEPTED


class KeyCheck:
    """The callable `test_openrouter_connection`."""

    def __init__(self, *, features: FeatureStore, keys: KeyPool, openrouter: OpenRouter) -> None:
        self._features = features
        self._keys = keys
        self._openrouter = openrouter

    async def test(self, call: Call[Caller]) -> dict[str, object]:
        """Ask OpenRouter about a stored key or a candidate. This is free, and uses no tokens.

        Returns `{valid: false, lastFour, latencyMs, reason, message}` for a key that can't answer
        anything: OpenRouter refuses it, nothing of its limit is left, or it is a management key.
        For any other it is
        `{valid, lastFour, latencyMs, isManagementKey, isFreeTier, usageUsd, limitUsd, ...}`.
        Raises InvalidArgument, FeatureUnknown, KeyMissing, KeyUnavailable, KeyStoreForbidden,
        SettingsUnavailable,
        UpstreamError.
        """
        request = parse(TestConnection, call.data)
        key = (
            Secret(request.key)
            if request.key
            else await self._stored_key(request.feature, request.position)
        )
        started_at = time.perf_counter()
        try:
            report = await self._openrouter.key_report(key)
        except KeyInvalid as refused:
            return {
                "valid": False,
                "lastFour": key.last_four,
                "latencyMs": _ms_since(started_at),
                "reason": refused.reason,
                "message": NOT_ACCEPTED if request.key else refused.admin_message,
            }
        latency_ms = _ms_since(started_at)
        if fault := fault_of(report):
            return {
                "valid": False,
                "lastFour": key.last_four,
                "latencyMs": latency_ms,
                "reason": fault.error.reason,
                "message": fault.message,
            }
        return {
            "valid": True,
            "lastFour": key.last_four,
            "latencyMs": latency_ms,
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

    async def _stored_key(self, feature: str | None, position: int) -> Secret:
        slots = await self._keys.slots(refresh=True)
        if feature is not None and not slots.keys_of(feature):
            if (await self._features.read(feature)).feature is None:
                raise FeatureUnknown(field="feature")
            sentence = "This feature has no keys of its own; it uses the default ones."
            raise InvalidArgument(sentence, field="feature")
        versions = slots.versions_for(feature)
        if not versions:
            raise KeyMissing
        if position > len(versions):
            raise InvalidArgument(f"position may be at most {len(versions)}.", field="position")
        version = versions[position - 1]
        try:
            return await self._keys.read(version)
        except KeyMissing:
            if version is None:  # first boot: there may be no version at all
                raise
            sentence = (
                f"The key at position {position} is version {version} of the secret, which is "
                "disabled or unusable in Secret Manager. Set the key again."
            )
            raise KeyMissing(sentence, field="position") from None


def _ms_since(started_at: float) -> int:
    return round((time.perf_counter() - started_at) * 1000)
