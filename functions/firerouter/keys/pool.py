"""The pool of OpenRouter keys: which key a request uses, and which one comes after a refusal.

Each stored key is a version of one secret (`vault`), and `config/app` says which versions a feature
uses (`slots`). Secret Manager's `latest` is the highest number, whatever its state, and is used
only at first boot, when no admin has stored a key through the app yet. `admin.keys` documents the
order in which versions and slots change.

A key that OpenRouter refuses is deprioritized: on this instance, the other keys of its slot are
tried first for a while. A slot never uses another slot's key: a feature's own keys are its budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from .. import log
from ..cache import Cached
from ..callable import CallableError
from ..errors import (
    KeyInvalid,
    KeyMissing,
    KeyStoreDisabled,
    KeyStoreForbidden,
    KeyUnavailable,
    NoCredit,
    SettingsUnavailable,
)
from .limits import KeyLimits
from .secret import Secret
from .slots import KeySlots, Versions
from .vault import Vault


class SlotSource(Protocol):
    """Tells which keys a feature uses. `slot_store.KeySlotStore` implements it."""

    async def get(self, *, refresh: bool = False) -> KeySlots:
        """Return the slots as of a few seconds ago, or as of now. Raises SettingsUnavailable."""
        ...


class KeyPool:
    """The keys of one instance. Each version is fetched once, and cached for minutes.

    The slots are read for every request, from a cache that lasts a few seconds, so a change of keys
    takes effect within seconds.
    """

    def __init__(
        self,
        vault: Vault,
        slots: SlotSource,
        *,
        on_refusal: Callable[[int | None, str], None] | None = None,
        limits: KeyLimits = KeyLimits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._on_refusal = on_refusal
        self._source = slots
        self._limits = limits
        self._clock = clock
        self._slots: KeySlots | None = None  # as they were last read
        self._cache: dict[int | None, Cached[Secret]] = {}
        self._deprioritized: dict[int | None, float] = {}  # until this time of the clock

    def slot(self, feature: str | None) -> KeySlot:
        """Return the slot that a feature uses; for None, the default slot."""
        return KeySlot(self, feature)

    def put(self, version: int, key: Secret) -> None:
        """Cache a key that this instance has just stored, so that it is not fetched."""
        self._cached(version).put(Secret(key.reveal(), version))

    async def slots(self, *, refresh: bool = False) -> KeySlots:
        """Return the slots, or the last known ones while they can't be read.

        Raises SettingsUnavailable.
        """
        try:
            slots = await self._source.get(refresh=refresh)
        except SettingsUnavailable:
            if self._slots is None:
                raise
            return self._slots
        if slots != self._slots:
            self._slots = slots
            self._forget_all_but(slots.all_versions())
        return slots

    async def next_key(self, versions: Versions, exclude: Sequence[Secret] = ()) -> Secret:
        """Return the first key of `versions` that can be read and is not one of `exclude`.

        Deprioritized versions come last. Raises what `Vault.read` raises.
        """
        failure: CallableError = KeyMissing()
        for version in sorted(versions, key=self._is_deprioritized):
            try:
                # a version never changes, but the newest one (None) may
                key = await self.read(version, refresh=bool(exclude) and version is None)
            except KeyMissing:
                self.deprioritize(version)
            except (KeyUnavailable, KeyStoreForbidden, KeyStoreDisabled) as error:
                failure = error
            else:
                if key not in exclude:
                    return key
        raise failure

    async def read(self, version: int | None, *, refresh: bool = False) -> Secret:
        """Return the key of a version; for None, the newest. Raises what `Vault.read` raises."""
        cached = self._cached(version)
        return await (cached.renew() if refresh else cached.get())

    def note_refusal(self, version: int | None, reason: str) -> None:
        """Tell whoever keeps a record of them that OpenRouter refused a key."""
        if self._on_refusal:
            self._on_refusal(version, reason)

    def deprioritize(self, version: int | None) -> None:
        """Try other keys first for a while: this one was refused, or can't be read."""
        self._deprioritized[version] = self._clock() + self._limits.deprioritized_s

    def _cached(self, version: int | None) -> Cached[Secret]:
        if version not in self._cache:
            self._cache[version] = Cached(
                partial(self._fetch, version),
                fresh_s=self._limits.fresh_s,
                stale_s=self._limits.stale_s,
            )
        return self._cache[version]

    async def _fetch(self, version: int | None) -> Secret:
        try:
            return await self._vault.read(version)
        except KeyMissing:  # disabled in the console: unlike an outage, this ends its use
            self._cached(version).forget()
            raise

    def _is_deprioritized(self, version: int | None) -> bool:
        return self._clock() < self._deprioritized.get(version, float("-inf"))

    def _forget_all_but(self, versions: set[int]) -> None:
        for by_version in (self._cache, self._deprioritized):
            for version in by_version.keys() - versions - {None}:
                del by_version[version]


class KeySlot:
    """The keys that one feature uses, in order; for None, the default keys. A `KeySource`."""

    def __init__(self, pool: KeyPool, feature: str | None) -> None:
        self._pool = pool
        self._feature = feature

    async def get(self) -> Secret:
        """Return the key to use now.

        Raises what `Vault.read` raises, and SettingsUnavailable.
        """
        versions = await self._versions()
        try:
            return await self._pool.next_key(versions)
        except KeyMissing:
            # they may have been replaced, and disabled, since the slots were last read
            newest = await self._versions(refresh=True) if versions else versions
            if newest == versions:
                raise
        return await self._pool.next_key(newest)

    async def next_after_refusal(
        self, refused: Sequence[Secret], reason: str = KeyInvalid.reason
    ) -> Secret | None:
        """Return a key that is none of the refused ones, or None if there is none.

        The slot is read again, because an admin may have replaced the key in the meantime. If the
        account has no credit, the slot's other keys are not tried: most share the account.
        """
        version = refused[-1].version
        log.warning("key_refused", version=version, reason=reason)
        self._pool.note_refusal(version, reason)
        is_account = reason == NoCredit.reason
        if not is_account:
            self._pool.deprioritize(version)
        try:
            versions = await self._versions(refresh=True)
            if is_account and version in versions:
                return None
            return await self._pool.next_key(versions, refused)
        except CallableError:
            return None

    async def _versions(self, *, refresh: bool = False) -> Versions:
        return (await self._pool.slots(refresh=refresh)).versions_for(self._feature)
