"""The OpenRouter key: a secret that can not print itself, and the Secret Manager store.

One secret, OPENROUTER_API_KEY; each stored key is a version of it, and `config/app` says which
version serves. Never `latest`, which is the highest number whatever its state, but at first boot
when no admin has stored a key through the app yet. `keyring` says in which order they change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
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

SECRET_ID: Final = "OPENROUTER_API_KEY"  # noqa: S105  # its name, not its value
TOLD_APART_FROM_CHARS: Final = 12


class Secret:
    """A string that does not show in a repr, a log line, a format or a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

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
        return Secret(value)

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
    """Says which version serves: as of a few seconds ago, or as of now."""

    async def key_version(self, *, anew: bool = False) -> int | None: ...


class Keys:
    """Serves the key: each version fetched once, kept for minutes, renewed after a 401.

    Which version serves is asked each time, of a cache: so another key takes effect in seconds.
    """

    def __init__(self, vault: Vault, serving: Serving) -> None:
        self._vault = vault
        self._serving = serving
        self._version: int | None = None
        self._cache: Cached[Secret] | None = None

    async def get(self) -> Secret:
        """The key that serves now. Raises KeyMissing, KeyUnavailable, SettingsUnavailable."""
        try:
            version = await self._serving.key_version()
        except SettingsUnavailable:
            if self._cache is None:
                raise
            return await self._cache.get()
        try:
            return await self._of(version).get()
        except KeyMissing:
            # it may have been replaced, and disabled, since the settings were last looked at
            newest = await self._serving.key_version(anew=True)
            if newest == version:
                raise
        return await self._of(newest).get()

    async def renew(self, refused: Secret) -> Secret | None:
        """After OpenRouter refused a key: another one, if there is one by now."""
        try:
            version = await self._serving.key_version(anew=True)
            key = await self._of(version).renew()
        except (KeyMissing, KeyUnavailable, SettingsUnavailable):
            return None
        return None if key == refused else key

    def put(self, version: int, key: Secret) -> None:
        """Take a key that was stored by this instance: it need not be fetched."""
        self._of(version).put(key)

    def _of(self, version: int | None) -> Cached[Secret]:
        if self._cache is None or version != self._version:
            fetch = partial(self._vault.read, version)
            self._version = version
            self._cache = Cached(fetch, fresh_s=limits.KEY_FRESH_S, stale_s=limits.KEY_STALE_S)
        return self._cache
