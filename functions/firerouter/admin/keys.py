"""Storing and removing OpenRouter keys, in an order that works wherever it is cut off.

    set:     check with OpenRouter -> add a version -> point config/app at it -> disable the others
    remove:                                         point config/app past it -> disable the others
    a removal of nothing:                           note it in config/app    -> disable the others

                                      what serves   what is left over
    cut before the version is added   the old key   nothing
    cut before config/app             the old key   the new version, enabled, nobody's
    cut before the disabling          the new key   the old version, enabled, nobody's

Before the first key is set through the app the newest version serves, so there the second cut lets
the new key serve: it has been checked. A feature's own key, or a second one, must not serve so:
before one is added at first boot, config/app is pointed at the version that serves, in a commit of
its own.

The others are all versions that serve nobody: so the next `set` or `remove` disables what is left
over. One of them may have been added just now, by a `set` that has not come to config/app yet: each
of these commits is what that `set` collides with, so that it never lets a disabled version serve.

A key is accepted, used and never shown again: what is kept beside the secret itself is its last
four characters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .. import limits, log
from ..callable import Call, CallableError
from ..contract import RemoveKey, SetKey, parse
from ..errors import InvalidArgument, KeyInvalid, KeyMissing, ManagementKey, SettingsChanged
from ..features import AppSettingsStore, StoredAppSettings
from ..firestore import Change
from ..keys import Entries, KeyEntry, Keys, KeySlots, Secret, Vault
from ..openrouter import KeyReport, OpenRouter
from ..users import Caller

_SET: Final = "set_openrouter_key"
_REMOVE: Final = "remove_openrouter_key"

Warnings = list[dict[str, str]]


class KeyAdmin:
    """The use cases `set_openrouter_key` and `remove_openrouter_key`."""

    def __init__(
        self,
        *,
        vault: Vault,
        keys: Keys,
        app_settings: AppSettingsStore,
        openrouter: OpenRouter,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._vault = vault
        self._keys = keys
        self._app_settings = app_settings
        self._openrouter = openrouter
        self._now = now

    async def set_key(self, call: Call[Caller]) -> dict[str, Any]:
        """Check a key, store it and let it serve; here at once, elsewhere within seconds.

        Answers `{version, lastFour, checkedAt, isFreeTier, limitUsd, limitRemainingUsd, expiresAt,
        feature?, position, count, warnings: [{reason, message}]}`, count being how many keys are in
        that slot now. Raises CallableError.
        """
        asked = parse(SetKey, call.data)
        key = Secret(asked.key)
        report = await self._check(key)
        stored = await self._app_settings.read()
        # listed before anything is written: what others add from here on is not ours to disable
        enabled = await self._vault.enabled()
        slot = _slot(stored.keys, asked.feature, enabled)
        if asked.position > len(slot) + 1:
            raise _no_such_position(len(slot) + 1)
        if stored.keys.default is None and (asked.feature or asked.position > 1):
            stored = await self._pin(call.caller, stored, enabled)
            slot = _slot(stored.keys, asked.feature, enabled)
        version = await self._vault.add(key)
        checked_at = self._now()
        entry = _entry(key, version, report, checked_at)
        entries = (*slot[: asked.position - 1], entry, *slot[asked.position :])
        try:
            saved = await self._save(call.caller, _SET, stored, asked.feature, entries)
        except SettingsChanged:
            await self._disable([version])
            raise
        # any other failure may have come after the commit: a version that is enabled and nobody's
        # does no harm, one that serves and is disabled would
        self._keys.put(version, key)
        left_over = await self._disable(_left_over(enabled, saved))
        return {
            **entry.to_document(),
            "checkedAt": checked_at.isoformat(),
            "expiresAt": report.expires_at,
            **_place(asked.feature, asked.position),
            "count": len(entries),
            "warnings": warnings(report, checked_at) + left_over,
        }

    async def remove_key(self, call: Call[Caller]) -> dict[str, Any]:
        """Let a key, or every key of a slot, serve no more.

        Answers `{removed, lastFour, feature?, position?, count, warnings}`. `removed` is false
        where there was none; what an earlier call left enabled is disabled then all the same.
        Raises CallableError.
        """
        asked = parse(RemoveKey, {} if call.data is None else call.data)
        stored = await self._app_settings.read()
        enabled = await self._vault.enabled()
        slot = _slot(stored.keys, asked.feature, enabled)
        first, last = (asked.position or 1) - 1, asked.position or len(slot)
        if last > len(slot):
            raise _no_such_position(len(slot))
        left = slot[:first] + slot[last:]
        saved = stored.keys
        removed = left != saved.own(asked.feature)
        if removed:
            saved = await self._save(call.caller, _REMOVE, stored, asked.feature, left)
        left_over = _left_over(enabled, saved)
        if left_over and not removed:
            await self._app_settings.note_sweep(stored, _sweep(call.caller, left_over))
        gone = slot[first:last]
        return {
            "removed": removed,
            "lastFour": gone[0].last_four if gone else None,
            **_place(asked.feature, asked.position),
            "count": len(left),
            "warnings": await self._disable(left_over),
        }

    async def _pin(
        self, caller: Caller, stored: StoredAppSettings, enabled: set[int]
    ) -> StoredAppSettings:
        """Name the version that serves at first boot, before another one becomes the newest."""
        entries = _slot(stored.keys, None, enabled)
        if entries:
            with suppress(KeyMissing):  # what is there is no key: then it has no end either
                key = await self._vault.read(entries[0].version)
                entries = (replace(entries[0], last_four=key.last_four),)
        pinned = await self._save(caller, _SET, stored, None, entries)
        now = await self._app_settings.read()
        if now.keys != pinned:
            raise SettingsChanged
        return now

    async def _save(
        self,
        caller: Caller,
        action: str,
        stored: StoredAppSettings,
        feature: str | None,
        entries: Entries,
    ) -> KeySlots:
        change = Change(
            by=caller.uid,
            email=caller.email,
            action=action,
            target=f"config/app keys.{'default' if feature is None else f'features.{feature}'}",
            before=_public(stored.keys.own(feature)),
            after=_public(entries),
        )
        await self._app_settings.save_keys(stored, feature, entries, change)
        return stored.keys.having(feature, entries)

    async def _check(self, key: Secret) -> KeyReport:
        try:
            report = await self._openrouter.key_report(key)
        except KeyInvalid:
            sentence = "OpenRouter does not accept this key. Please check that all of it is there."
            raise KeyInvalid(sentence, field="key") from None
        if report.is_management_key:
            raise ManagementKey(field="key")
        return report

    async def _disable(self, versions: Iterable[int]) -> Warnings:
        """Disable them side by side. What can not be is left to the next change, with a warning."""
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
        return [_warning("old_key_enabled", "The old key is no longer used, but still stored.")]


def warnings(report: KeyReport, now: datetime) -> Warnings:
    """What an admin should know of a key that is good, but may not be for long."""
    found: Warnings = []
    if report.is_free_tier:
        found.append(_warning("free_tier", "The account has bought no credits: free models only."))
    remaining = report.limit_remaining_usd
    if remaining is not None and remaining < limits.KEY_LIMIT_LOW_USD:
        found.append(_warning("low_limit", f"Only ${max(remaining, 0):.2f} of its limit is left."))
    expires = _time(report.expires_at)
    if expires and expires - now < timedelta(days=limits.KEY_EXPIRES_SOON_DAYS):
        found.append(_warning("expires_soon", f"It expires on {expires:%Y-%m-%d}."))
    return found


def _warning(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _slot(slots: KeySlots, feature: str | None, enabled: set[int]) -> Entries:
    """The keys of a slot. At first boot the default one has the newest, if there is any."""
    own = slots.own(feature)
    return tuple(map(KeyEntry, sorted(enabled)[-1:])) if own is None else own


def _left_over(enabled: set[int], slots: KeySlots) -> set[int]:
    """The versions that serve nobody."""
    first_boot = {entry.version for entry in _slot(slots, None, enabled)}
    return enabled - slots.versions() - first_boot


def _entry(key: Secret, version: int, report: KeyReport, checked_at: datetime) -> KeyEntry:
    return KeyEntry(
        version,
        key.last_four,
        checked_at,
        report.is_free_tier,
        report.limit_usd,
        report.limit_remaining_usd,
    )


def _place(feature: str | None, position: int | None) -> dict[str, Any]:
    place = {"feature": feature, "position": position}
    return {name: value for name, value in place.items() if value is not None}


def _no_such_position(most: int) -> InvalidArgument:
    what = f"may be at most {most}" if most else "is of no use: there is no key"
    return InvalidArgument(f"position {what}.", field="position")


def _sweep(caller: Caller, versions: set[int]) -> Change:
    return Change(
        by=caller.uid,
        email=caller.email,
        action=_REMOVE,
        target="config/app keys.swept",
        before=[{"version": version} for version in sorted(versions)],
        after=[],
    )


def _public(entries: Entries | None) -> list[dict[str, Any]] | None:
    """What an audit entry says of a slot; None: the newest version served, whichever it was."""
    if entries is None:
        return None
    return [{"version": entry.version, "lastFour": entry.last_four} for entry in entries]
