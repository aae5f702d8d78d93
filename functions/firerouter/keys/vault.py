"""Keys in Secret Manager: one secret, a version for each key."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from .. import limits, log
from ..callable import CallableError
from ..errors import KeyMissing, KeyStoreForbidden, KeyUnavailable
from .secret import Secret

SECRET_ID: Final = "OPENROUTER_API_KEY"  # noqa: S105  # its name, not its value


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
