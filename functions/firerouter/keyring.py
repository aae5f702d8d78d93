"""Storing and removing the OpenRouter key, in an order that works wherever it is cut off.

    set:     check with OpenRouter -> add a version -> point config/app at it -> disable the others
    remove:                                           point config/app at nothing -> disable them

                                      what serves   what is left over
    cut before the version is added   the old key   nothing
    cut before config/app             the old key   the new version, enabled, nobody's
    cut before the disabling          the new key   the old version, enabled, nobody's

Before the first key is set through the app the newest version serves, so there the second cut lets
the new key serve: it has been checked. The next `set` or `remove` disables what is left over.

A key is accepted, used and never shown again: what is kept beside the secret itself is its last
four characters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from . import limits, log
from .appsettings import AppSettingsStore, Stored
from .audit import Change
from .callable import Call, CallableError
from .contract import RemoveKey, SetKey, parse
from .errors import KeyInvalid, ManagementKey, SettingsChanged
from .identity import Caller
from .keys import Keys, Secret, Vault
from .openrouter import KeyReport, OpenRouter

Warnings = list[dict[str, str]]


class Keyring:
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
        warnings: [{reason, message}]}`. Raises CallableError.
        """
        key = Secret(parse(SetKey, call.data).key)
        report = await self._check(key)
        stored = await self._app_settings.read()
        # listed before anything is written: what others add from here on is not ours to disable
        replaced = await self._vault.enabled() - stored.other_key_versions
        version = await self._vault.add(key)
        checked_at = self._now()
        entry = {
            "version": version,
            "lastFour": key.last_four,
            "checkedAt": checked_at,
            "isFreeTier": report.is_free_tier,
            "limitUsd": report.limit_usd,
            "limitRemainingUsd": report.limit_remaining_usd,
        }
        change = _change(call.caller, "set_openrouter_key", stored, entry)
        try:
            await self._app_settings.save_key(stored, entry, change)
        except SettingsChanged:
            await self._disable([version])
            raise
        # any other failure may have come after the commit: a version that is enabled and nobody's
        # does no harm, one that serves and is disabled would
        self._keys.put(version, key)
        left_over = await self._disable(replaced)
        return {
            **entry,
            "checkedAt": checked_at.isoformat(),
            "expiresAt": report.expires_at,
            "warnings": warnings(report, checked_at) + left_over,
        }

    async def remove_key(self, call: Call[Caller]) -> dict[str, Any]:
        """Let no key serve any more. Answers `{removed, lastFour?, warnings}`.

        `removed` is false where there was none; what an earlier call left enabled is disabled then
        all the same. Raises CallableError.
        """
        parse(RemoveKey, {} if call.data is None else call.data)
        stored = await self._app_settings.read()
        replaced = await self._vault.enabled() - stored.other_key_versions
        removed = not stored.key_removed
        if removed:
            change = _change(call.caller, "remove_openrouter_key", stored, None)
            await self._app_settings.save_key(stored, None, change)
        before = _public(stored.default_key) or {}
        return {
            "removed": removed,
            "lastFour": before.get("lastFour"),
            "warnings": await self._disable(replaced),
        }

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


def _change(caller: Caller, action: str, stored: Stored, entry: dict[str, Any] | None) -> Change:
    return Change(
        by=caller.uid,
        email=caller.email,
        action=action,
        target="config/app keys.default",
        before=_public(stored.default_key),
        after=_public(entry),
    )


def _public(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """What an audit entry says of a key, whatever else was typed beside it by hand."""
    if entry is None:
        return None
    version, last_four = entry.get("version"), entry.get("lastFour")
    return {
        "version": version if isinstance(version, int) else None,
        "lastFour": last_four[-4:] if isinstance(last_four, str) else None,
    }
