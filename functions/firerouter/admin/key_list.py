"""Admins look at the OpenRouter keys: what each of them is worth now. The keys stay secret."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from ..callable import Call, CallableError
from ..contract import KeyList, KeyState, ListedKey, ListKeys, parse
from ..errors import KeyInvalid
from ..features import FeatureStore
from ..keys import KeyEntry, KeyPool, KeyRefusal, KeyRefusals, KeySlotStore, Vault
from ..openrouter import KeyReport, OpenRouter
from ..users import Caller
from .key_faults import fault_of
from .keys import keys_in_slot, unused_versions
from .limits import AdminLimits


@dataclass(frozen=True, slots=True)
class _Check:
    """What can be said of a key now.

    Attributes:
        message: One sentence for admins; empty if the key works.
        report: What OpenRouter reports; None if it was not asked, or did not say.
    """

    state: KeyState
    message: str = ""
    report: KeyReport | None = None


class KeyListing:
    """The callable `list_keys`. One per instance."""

    def __init__(
        self,
        *,
        vault: Vault,
        keys: KeyPool,
        slots: KeySlotStore,
        refusals: KeyRefusals,
        features: FeatureStore,
        openrouter: OpenRouter,
        limits: AdminLimits = AdminLimits(),
    ) -> None:
        self._vault = vault
        self._keys = keys
        self._slots = slots
        self._refusals = refusals
        self._features = features
        self._openrouter = openrouter
        self._limits = limits

    async def list(self, call: Call[Caller]) -> KeyList:
        """Return every key in the order of its use, checked with OpenRouter: free, no tokens.

        Raises KeyUnavailable, KeyStoreForbidden, KeyStoreDisabled, SettingsUnavailable.
        """
        parse(ListKeys, {} if call.data is None else call.data)
        stored, enabled, refusals, features = await asyncio.gather(
            self._slots.read(),
            self._vault.enabled_versions(),
            self._refusals.read(),
            self._features.read_all(),
        )
        slots = stored.slots
        entries = [
            (feature, position, entry)
            for feature in (None, *slots.features)
            for position, entry in enumerate(keys_in_slot(slots, feature, enabled), 1)
        ]
        at_once = asyncio.Semaphore(self._limits.key_checks_at_once)
        checks = await asyncio.gather(
            *(self._check(entry.version, enabled, at_once) for _, _, entry in entries)
        )
        keys = [
            _listed(feature, position, entry, check, refusals)
            for (feature, position, entry), check in zip(entries, checks, strict=True)
        ]
        unused = sorted(unused_versions(enabled, slots))
        return {
            "keys": keys,
            "unusedVersions": unused,
            "unknownFeatures": sorted(slots.features.keys() - features.keys()),
        }

    async def _check(self, version: int, enabled: set[int], at_once: asyncio.Semaphore) -> _Check:
        if version not in enabled:
            message = (
                f"Version {version} of the secret is disabled, or gone, in Secret Manager. Set the "
                "key again."
            )
            return _Check("disabled", message)
        async with at_once:
            try:
                report = await self._openrouter.key_report(await self._keys.read(version))
            except KeyInvalid as refused:
                return _Check("refused", refused.admin_message)
            except CallableError as error:
                return _Check("unknown", error.admin_message)
        fault = fault_of(report)
        return _Check(fault.state, fault.message, report) if fault else _Check("works", "", report)


def _listed(
    feature: str | None,
    position: int,
    entry: KeyEntry,
    check: _Check,
    refusals: Mapping[int, KeyRefusal],
) -> ListedKey:
    report, refusal = check.report, refusals.get(entry.version)
    remaining = report.limit_remaining_usd if report else entry.limit_remaining_usd
    key: ListedKey = {
        "version": entry.version,
        "lastFour": entry.last_four,
        "position": position,
        "state": check.state,
        "limitUsd": report.limit_usd if report else entry.limit_usd,
        "limitRemainingUsd": remaining,
        "usageTodayUsd": report.usage_today_usd if report else None,
        "expiresAt": report.expires_at if report else None,
    }
    if feature is not None:
        key["feature"] = feature
    if check.message:
        key["message"] = check.message
    if entry.checked_at is not None:
        key["setAt"] = entry.checked_at.isoformat()
    if entry.set_by is not None:
        key["setBy"] = entry.set_by
    if refusal is not None:
        key["lastRefusal"] = {"at": refusal.at.isoformat(), "reason": refusal.reason}
    return key
