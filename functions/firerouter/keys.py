"""The OpenRouter key: a secret that can not print itself, and the Secret Manager store.

One secret, OPENROUTER_API_KEY; each stored key is a version of it, and `config/app` says which
version serves. Never `latest`, which is the highest number whatever its state, but at first boot
when no admin has stored a key through the app yet.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from . import limits, log
from .cached import Cached
from .errors import KeyMissing, KeyUnavailable, SettingsUnavailable

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


class Keys:
    """Serves the key; fetched once at a time, kept for minutes, looked up again after a 401."""

    def __init__(
        self,
        project: str,
        *,
        client: Callable[[], Any],
        version: Callable[[], Awaitable[int | None]],
    ) -> None:
        """client: makes the SecretManagerServiceAsyncClient; version: what `config/app` says."""
        self._name = f"projects/{project}/secrets/{SECRET_ID}/versions"
        self._make_client = client
        self._client: Any = None
        self._version = version
        self._cache: Cached[Secret] = Cached(
            self._fetch, fresh_s=limits.KEY_FRESH_S, stale_s=limits.KEY_STALE_S
        )

    async def get(self) -> Secret:
        """The key that serves now. Raises KeyMissing, KeyUnavailable."""
        return await self._cache.get()

    async def renew(self, refused: Secret) -> Secret | None:
        """After OpenRouter refused a key: another one, if there is one by now."""
        try:
            key = await self._cache.renew()
        except (KeyMissing, KeyUnavailable, SettingsUnavailable):
            return None
        return None if key == refused else key

    async def _fetch(self) -> Secret:
        from google.api_core import exceptions

        version = await self._version()
        if self._client is None:
            self._client = self._make_client()
        try:
            answer = await self._client.access_secret_version(
                name=f"{self._name}/{version or 'latest'}", retry=None, timeout=limits.READ_S
            )
        except (exceptions.NotFound, exceptions.FailedPrecondition):
            log.error("key_missing", version=version or "latest")
            raise KeyMissing from None
        except (TimeoutError, exceptions.GoogleAPIError) as error:
            log.error("key_unavailable", type=type(error).__name__)
            raise KeyUnavailable from None
        value = answer.payload.data.decode("utf-8", "replace").strip()
        if not re.fullmatch(r"[\x21-\x7e]+", value):  # no header could carry it
            log.error("key_unusable", version=version or "latest")
            raise KeyMissing
        return Secret(value)
