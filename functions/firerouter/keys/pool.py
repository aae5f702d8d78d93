"""The OpenRouter keys: secrets that can not print themselves, and the Secret Manager store.

One secret, OPENROUTER_API_KEY; each stored key is a version of it, and `config/app` says which
versions serve whom (`keyslots`). Never `latest`, which is the highest number whatever its state,
but at first boot when no admin has stored a key through the app yet. `keyring` says in which order
they change.

A key that OpenRouter refuses is benched: on this instance the next of its slot goes first for a
while. No slot ever borrows another's key: a feature's own are its own budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from .. import limits, log
from ..cache import Cached
from ..callable import CallableError
from ..errors import KeyMissing, KeyUnavailable, SettingsUnavailable
from .secret import Secret
from .slots import KeySlots, Versions
from .vault import Vault


class Serving(Protocol):
    """Says which keys serve whom: as of a few seconds ago, or as of now."""

    async def key_slots(self, *, anew: bool = False) -> KeySlots: ...


class Keys:
    """Serves the keys: each version fetched once, and kept for minutes.

    Which ones serve is asked each time, of a cache: so another key takes effect in seconds.
    """

    def __init__(
        self, vault: Vault, serving: Serving, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._vault = vault
        self._serving = serving
        self._clock = clock
        self._slots: KeySlots | None = None  # the last that were heard of
        self._cache: dict[int | None, Cached[Secret]] = {}
        self._benched: dict[int | None, float] = {}  # until when

    def of(self, feature: str | None) -> KeySlot:
        """The keys that serve a feature, or with None whatever has no keys of its own."""
        return KeySlot(self, feature)

    def put(self, version: int, key: Secret) -> None:
        """Take a key that was stored by this instance: it need not be fetched."""
        self._cached(version).put(Secret(key.reveal(), version))

    async def slots(self, *, anew: bool = False) -> KeySlots:
        """Who serves whom; while that can not be read, as it was. Raises SettingsUnavailable."""
        try:
            slots = await self._serving.key_slots(anew=anew)
        except SettingsUnavailable:
            if self._slots is None:
                raise
            return self._slots
        if slots != self._slots:
            self._slots = slots
            self._forget_all_but(slots.versions())
        return slots

    async def first(self, versions: Versions, tried: Sequence[Secret] = ()) -> Secret:
        """The first that the vault has and that was not tried; the benched ones are the last.

        Raises KeyMissing, KeyUnavailable.
        """
        failure: CallableError = KeyMissing()
        for version in sorted(versions, key=self._is_benched):
            try:
                # a version never changes, but which one is the newest does
                key = await self.read(version, anew=bool(tried) and version is None)
            except KeyMissing:
                self.bench(version)
            except KeyUnavailable as unavailable:
                failure = unavailable
            else:
                if key not in tried:
                    return key
        raise failure

    async def read(self, version: int | None, *, anew: bool = False) -> Secret:
        """The key of a version, None for the newest. Raises KeyMissing, KeyUnavailable."""
        cached = self._cached(version)
        return await (cached.renew() if anew else cached.get())

    def bench(self, version: int | None) -> None:
        """Let others go first for a while: it was refused, or the vault does not have it."""
        self._benched[version] = self._clock() + limits.KEY_BENCHED_S

    def _cached(self, version: int | None) -> Cached[Secret]:
        if version not in self._cache:
            fetch = partial(self._fetch, version)
            self._cache[version] = Cached(
                fetch, fresh_s=limits.KEY_FRESH_S, stale_s=limits.KEY_STALE_S
            )
        return self._cache[version]

    async def _fetch(self, version: int | None) -> Secret:
        try:
            return await self._vault.read(version)
        except KeyMissing:  # disabled, by hand: no outage that a key is kept over
            self._cached(version).forget()
            raise

    def _is_benched(self, version: int | None) -> bool:
        return self._clock() < self._benched.get(version, float("-inf"))

    def _forget_all_but(self, versions: set[int]) -> None:
        for kept in (self._cache, self._benched):
            for version in kept.keys() - versions - {None}:
                del kept[version]


class KeySlot:
    """The keys that serve one feature, in order; or, for None, the default ones."""

    def __init__(self, keys: Keys, feature: str | None) -> None:
        self._keys = keys
        self._feature = feature

    async def get(self) -> Secret:
        """The key that serves now. Raises KeyMissing, KeyUnavailable, SettingsUnavailable."""
        versions = await self._versions()
        try:
            return await self._keys.first(versions)
        except KeyMissing:
            # they may have been replaced, and disabled, since the settings were last looked at
            newest = await self._versions(anew=True) if versions else versions
            if newest == versions:
                raise
        return await self._keys.first(newest)

    async def another(self, tried: Sequence[Secret]) -> Secret | None:
        """After OpenRouter refused the last of `tried`: a key that is none of them, if any.

        In the order of now: an admin may have replaced it since it was read.
        """
        refused = tried[-1].version
        log.warning("key_refused", version=refused)
        self._keys.bench(refused)
        try:
            return await self._keys.first(await self._versions(anew=True), tried)
        except (KeyMissing, KeyUnavailable, SettingsUnavailable):
            return None

    async def _versions(self, *, anew: bool = False) -> Versions:
        return (await self._keys.slots(anew=anew)).serving(self._feature)
