"""The OpenRouter keys: secrets that can not print themselves, and the Secret Manager store.

One secret, OPENROUTER_API_KEY; each stored key is a version of it, and `config/app` says which
versions serve whom (`keyslots`). Never `latest`, which is the highest number whatever its state,
but at first boot when no admin has stored a key through the app yet. `keyring` says in which order
they change.

A key that OpenRouter refuses is benched: on this instance the next of its slot goes first for a
while. No slot ever borrows another's key: a feature's own are its own budget.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NoReturn, Protocol

from . import limits, log
from .cached import Cached
from .callable import CallableError
from .errors import (
    KeyMissing,
    KeyStoreForbidden,
    KeyUnavailable,
    SettingsUnavailable,
)
from .keyslots import KeySlots, Versions

SECRET_ID: Final = "OPENROUTER_API_KEY"  # noqa: S105  # its name, not its value
TOLD_APART_FROM_CHARS: Final = 12


class Secret:
    """A string that does not show in a repr, a log line, a format or a pickle.

    version: which one of the stored secret's it is; None where it is none.
    """

    __slots__ = ("_value", "version")

    def __init__(self, value: str, version: int | None = None) -> None:
        self._value = value
        self.version = version

    def reveal(self) -> str:
        return self._value

    @property
    def last_four(self) -> str:
        """Its end, to tell keys apart; nothing of one so short that this would give it away."""
        return self._value[-4:] if len(self._value) >= TOLD_APART_FROM_CHARS else ""

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be serialised")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Vault:
    """The versions of the secret. Each call is bounded in time, and none is tried twice."""

    def __init__(self, project: str, *, client: Callable[[], Any]) -> None:
        """client: makes the SecretManagerServiceAsyncClient, when it is first needed."""
        self._project = f"projects/{project}"
        self._secret = f"{self._project}/secrets/{SECRET_ID}"
        self._make_client = client
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = self._make_client()
        return self._made

    async def read(self, version: int | None) -> Secret:
        """The key of a version, None for the highest. Raises KeyMissing, KeyUnavailable."""
        from google.api_core import exceptions

        number = version or "latest"
        try:
            answer = await self._client.access_secret_version(
                name=f"{self._secret}/versions/{number}", retry=None, timeout=limits.READ_S
            )
        except (exceptions.NotFound, exceptions.FailedPrecondition):
            log.error("key_missing", version=number)
            raise KeyMissing from None
        except (TimeoutError, exceptions.GoogleAPIError) as error:
            log.error("key_unavailable", type=type(error).__name__)
            raise KeyUnavailable from None
        value = answer.payload.data.decode("utf-8", "replace").strip()
        if not re.fullmatch(r"[\x21-\x7e]+", value):  # no header could carry it
            log.error("key_unusable", version=number)
            raise KeyMissing
        return Secret(value, _number(answer.name))

    async def enabled(self) -> set[int]:
        """The versions that are enabled. Raises KeyUnavailable, KeyStoreForbidden."""
        from google.api_core import exceptions

        request = {"parent": self._secret, "filter": "state:ENABLED"}
        try:
            pages = await self._client.list_secret_versions(
                request, retry=None, timeout=limits.READ_S
            )
            return {_number(version.name) async for version in pages}
        except exceptions.NotFound:
            return set()  # there is no secret yet
        except (TimeoutError, exceptions.GoogleAPIError) as error:
            raise _refused("list", error) from None

    async def add(self, key: Secret) -> int:
        """Store a key, making the secret if there is none. Answers the number of its version.

        Raises KeyUnavailable, after which it may be stored all the same; KeyStoreForbidden.
        """
        from google.api_core import exceptions

        try:
            try:
                return await self._add(key)
            except exceptions.NotFound:
                await self._create()
            return await self._add(key)
        except (TimeoutError, exceptions.GoogleAPIError) as error:
            raise _refused("add", error) from None

    async def disable(self, version: int) -> None:
        """Let nobody read a version any more. Raises KeyUnavailable, KeyStoreForbidden."""
        from google.api_core import exceptions

        name = f"{self._secret}/versions/{version}"
        try:
            await self._client.disable_secret_version(
                name=name, retry=None, timeout=limits.KEY_WRITE_S
            )
        except (exceptions.NotFound, exceptions.FailedPrecondition):
            pass  # destroyed: nobody reads it either
        except (TimeoutError, exceptions.GoogleAPIError) as error:
            raise _refused("disable", error) from None

    async def _add(self, key: Secret) -> int:
        import google_crc32c

        data = key.reveal().encode()
        payload = {"data": data, "data_crc32c": google_crc32c.value(data)}
        version = await self._client.add_secret_version(
            parent=self._secret, payload=payload, retry=None, timeout=limits.KEY_WRITE_S
        )
        return _number(version.name)

    async def _create(self) -> None:
        from google.api_core import exceptions

        with suppress(exceptions.AlreadyExists):  # by somebody else's first key, just now
            await self._client.create_secret(
                parent=self._project,
                secret_id=SECRET_ID,
                secret={"replication": {"automatic": {}}},
                retry=None,
                timeout=limits.KEY_WRITE_S,
            )


def _number(name: str) -> int:
    return int(name.rsplit("/", 1)[1])


def _refused(what: str, error: Exception) -> CallableError:
    """The leaf for a failed call. Its text stays behind: it may quote the request."""
    from google.api_core import exceptions

    log.error("key_store_failed", call=what, type=type(error).__name__)
    forbidden = isinstance(error, exceptions.PermissionDenied)
    return KeyStoreForbidden() if forbidden else KeyUnavailable()


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
