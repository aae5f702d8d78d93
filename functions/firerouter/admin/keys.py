"""Admins store and remove OpenRouter keys, in an order that works wherever it is cut off.

    set:     check with OpenRouter -> add a version -> point config/app at it -> disable the others
    remove:                                         point config/app past it -> disable the others
    a removal of nothing:                           record it in config/app  -> disable the others

                                      key in use    left over
    cut before the version is added   the old key   nothing
    cut before config/app             the old key   the new version, enabled and unused
    cut before the disabling          the new key   the old version, enabled and unused

Before the first key is set through the app, the newest version is in use, so there the second cut
activates the new key: it has been checked. A feature's own key, or a second one, must not become
active like that: before one is added at first boot, config/app is pointed at the version in use, in
a commit of its own.

The others are all versions that no slot uses, so the next `set` or `remove` disables what is left
over. One of them may have been added just now, by a concurrent `set` that has not written
config/app yet: each of these commits is a conflict for that `set`, so that it never activates a
disabled version.

A key is accepted, used and never shown again: besides the secret itself, all that is stored is its
last four characters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from .. import log
from ..callable import Call, CallableError
from ..contract import RemoveKey, SetKey, parse
from ..errors import InvalidArgument, KeyInvalid, KeyMissing, SettingsChanged
from ..features import FeatureStore
from ..firestore import Change
from ..keys import (
    KeyEntries,
    KeyEntry,
    KeyPool,
    KeySlots,
    KeySlotStore,
    Secret,
    StoredKeySlots,
    Vault,
)
from ..openrouter import KeyReport, OpenRouter
from ..users import Caller
from .key_faults import fault_of
from .limits import AdminLimits

NOT_ACCEPTED: Final = (
    "OpenRouter doesn't accept this key. Check that you copied all of it, or create a new one at "
    "openrouter.ai/settings/keys."
)
_SET: Final = "set_openrouter_key"
_REMOVE: Final = "remove_openrouter_key"

Json = dict[str, object]
Warnings = list[dict[str, str]]


class KeyAdmin:
    """The callables `set_openrouter_key` and `remove_openrouter_key`."""

    def __init__(
        self,
        *,
        vault: Vault,
        keys: KeyPool,
        slots: KeySlotStore,
        features: FeatureStore,
        openrouter: OpenRouter,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: AdminLimits = AdminLimits(),
    ) -> None:
        self._vault = vault
        self._keys = keys
        self._slots = slots
        self._features = features
        self._openrouter = openrouter
        self._now = now
        self._limits = limits

    async def set_key(self, call: Call[Caller]) -> Json:
        """Check a key, store and activate it: here at once, on other instances within seconds.

        Returns `{version, lastFour, checkedAt, isFreeTier, limitUsd, limitRemainingUsd, expiresAt,
        feature?, position, count, warnings: [{reason, message}]}`; `count` is how many keys the
        slot has now. Raises KeyInvalid, ManagementKey, KeyLimitReached, InvalidArgument,
        SettingsChanged, KeyUnavailable, KeyStoreForbidden, SettingsUnavailable, UpstreamError.
        """
        request = parse(SetKey, call.data)
        key = Secret(request.key)
        report = await self._check(key)
        stored = await self._slots.read()
        # listed before anything is written: versions that others add later are not ours to disable
        enabled = await self._vault.enabled_versions()
        slot = keys_in_slot(stored.slots, request.feature, enabled)
        if request.position > len(slot) + 1:
            raise _no_such_position(len(slot) + 1)
        if stored.slots.default is None and (request.feature or request.position > 1):
            stored = await self._freeze_first_boot(call.caller, stored, enabled)
            slot = keys_in_slot(stored.slots, request.feature, enabled)
        version = await self._vault.add(key)
        checked_at = self._now()
        set_by = call.caller.email or call.caller.uid
        entry = _entry(key, version, report, checked_at, set_by)
        entries = (*slot[: request.position - 1], entry, *slot[request.position :])
        try:
            saved = await self._save(call.caller, _SET, stored, request.feature, entries)
        except SettingsChanged:
            await self._disable([version])
            raise
        # Every other failure may have come after the commit. An enabled version that no slot uses
        # does no harm; a disabled version that a slot uses would.
        self._keys.put(version, key)
        left_over = await self._disable(unused_versions(enabled, saved))
        about = warnings(report, checked_at, self._limits) + await self._unknown(request.feature)
        return {
            **entry.to_document(),
            "checkedAt": checked_at.isoformat(),
            "expiresAt": report.expires_at,
            **_position(request.feature, request.position),
            "count": len(entries),
            "warnings": about + left_over,
        }

    async def remove_key(self, call: Call[Caller]) -> Json:
        """Remove a key, or every key of a slot.

        Returns `{removed, lastFour, feature?, position?, count, warnings}`. `removed` is false if
        there was none; even then, what an earlier call left enabled is disabled. Raises
        InvalidArgument, SettingsChanged, KeyUnavailable, KeyStoreForbidden, SettingsUnavailable.
        """
        request = parse(RemoveKey, call.data)
        stored = await self._slots.read()
        enabled = await self._vault.enabled_versions()
        slot = keys_in_slot(stored.slots, request.feature, enabled)
        first, last = (request.position or 1) - 1, request.position or len(slot)
        if last > len(slot):
            raise _no_such_position(len(slot))
        remaining = slot[:first] + slot[last:]
        saved = stored.slots
        removed = remaining != saved.keys_of(request.feature)
        if removed:
            saved = await self._save(call.caller, _REMOVE, stored, request.feature, remaining)
        unused = unused_versions(enabled, saved)
        if unused and not removed:
            await self._slots.record_cleanup(stored, _cleanup_change(call.caller, unused))
        gone = slot[first:last]
        return {
            "removed": removed,
            "lastFour": gone[0].last_four if gone else None,
            **_position(request.feature, request.position),
            "count": len(remaining),
            "warnings": await self._disable(unused),
        }

    async def _freeze_first_boot(
        self, caller: Caller, stored: StoredKeySlots, enabled: set[int]
    ) -> StoredKeySlots:
        """Name the version in use at first boot, before another one becomes the newest."""
        entries = keys_in_slot(stored.slots, None, enabled)
        if entries:
            with suppress(KeyMissing):  # it holds no usable key: nothing to show of it
                key = await self._vault.read(entries[0].version)
                entries = (replace(entries[0], last_four=key.last_four),)
        saved = await self._save(caller, _SET, stored, None, entries)
        now = await self._slots.read()
        if now.slots != saved:
            raise SettingsChanged
        return now

    async def _save(
        self,
        caller: Caller,
        action: str,
        stored: StoredKeySlots,
        feature: str | None,
        entries: KeyEntries,
    ) -> KeySlots:
        change = Change(
            by=caller.uid,
            email=caller.email,
            action=action,
            target=f"config/app keys.{'default' if feature is None else f'features.{feature}'}",
            before=_audited(stored.slots.keys_of(feature)),
            after=_audited(entries),
        )
        await self._slots.save(stored, feature, entries, change)
        return stored.slots.with_keys(feature, entries)

    async def _check(self, key: Secret) -> KeyReport:
        try:
            report = await self._openrouter.key_report(key)
        except KeyInvalid:
            raise KeyInvalid(NOT_ACCEPTED, field="key") from None
        if fault := fault_of(report):
            raise fault.error(fault.message, field="key")
        return report

    async def _unknown(self, feature: str | None) -> Warnings:
        """Return a warning if the key is for a feature that does not exist, perhaps a typo."""
        if feature is None or not (await self._features.read(feature)).is_absent:
            return []
        message = f"There is no feature {feature} yet, so the key isn't used."
        return [_warning("feature_unknown", message)]

    async def _disable(self, versions: Iterable[int]) -> Warnings:
        """Disable versions concurrently. A failure is a warning: the next change tries again."""
        outcomes = await asyncio.gather(
            *(self._vault.disable(version) for version in versions), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, CallableError):
                raise failure
            log.warning("old_key_enabled", reason=failure.reason)
        if not failures:
            return []
        message = "The old key is no longer used, but it is still enabled in Secret Manager."
        return [_warning("old_key_enabled", message)]


def warnings(report: KeyReport, now: datetime, limits: AdminLimits = AdminLimits()) -> Warnings:
    """Return warnings about a key that works, but perhaps not for everything or not for long."""
    result: Warnings = []
    if report.is_free_tier:
        message = "The account has never bought credits, so only free models work."
        result.append(_warning("free_tier", message))
    remaining = report.limit_remaining_usd
    if remaining is not None and remaining < limits.low_limit_usd:
        left = f"Only ${remaining:.2f}" if remaining >= 0.005 else "Nothing"
        message = f"{left} of the key's limit is left."
        result.append(_warning("low_limit", message))
    expires = _read_time(report.expires_at)
    if expires and expires - now < timedelta(days=limits.expires_soon_days):
        result.append(_warning("expires_soon", f"The key expires on {expires:%Y-%m-%d}."))
    return result


def _warning(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}


def _read_time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def keys_in_slot(slots: KeySlots, feature: str | None, enabled: set[int]) -> KeyEntries:
    """Return the keys of a slot. At first boot, the default one has the newest version, if any."""
    entries = slots.keys_of(feature)
    return tuple(map(KeyEntry, sorted(enabled)[-1:])) if entries is None else entries


def unused_versions(enabled: set[int], slots: KeySlots) -> set[int]:
    """Return the enabled versions that no slot uses."""
    first_boot = {entry.version for entry in keys_in_slot(slots, None, enabled)}
    return enabled - slots.all_versions() - first_boot


def _entry(
    key: Secret, version: int, report: KeyReport, checked_at: datetime, set_by: str
) -> KeyEntry:
    return KeyEntry(
        version,
        key.last_four,
        checked_at,
        report.is_free_tier,
        report.limit_usd,
        report.limit_remaining_usd,
        set_by,
    )


def _position(feature: str | None, position: int | None) -> Json:
    fields = {"feature": feature, "position": position}
    return {name: value for name, value in fields.items() if value is not None}


def _no_such_position(highest: int) -> InvalidArgument:
    sentence = f"position may be at most {highest}." if highest else "There is no key to remove."
    return InvalidArgument(sentence, field="position")


def _cleanup_change(caller: Caller, versions: set[int]) -> Change:
    return Change(
        by=caller.uid,
        email=caller.email,
        action=_REMOVE,
        target="config/app keys.swept",
        before=[{"version": version} for version in sorted(versions)],
        after=[],
    )


def _audited(entries: KeyEntries | None) -> list[Json] | None:
    """Return a slot's keys as the audit shows them; None for first boot's newest version."""
    if entries is None:
        return None
    return [{"version": entry.version, "lastFour": entry.last_four} for entry in entries]
