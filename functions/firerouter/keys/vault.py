"""OpenRouter keys in Secret Manager: one secret, and a version of it for each key.

Google's exceptions become ours in one place:

    NotFound, FailedPrecondition   there is no such version, or it is disabled or destroyed
    PermissionDenied, ...          KeyStoreForbidden: the functions lack a role
                                   KeyStoreDisabled: the API is not enabled in this project
    no answer, 5xx, 429            KeyUnavailable: a retry may help
    any other refusal              RuntimeError: a bug of ours

Their messages never leave this module: they may quote the request, which may contain a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from .. import log
from ..errors import KeyMissing, KeyStoreDisabled, KeyStoreForbidden, KeyUnavailable
from .limits import KeyLimits
from .secret import Secret

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceAsyncClient

SECRET_ID: Final = "OPENROUTER_API_KEY"  # noqa: S105  # the name, not the value
# Google's reason: https://cloud.google.com/apis/design/errors#error_info
API_DISABLED: Final = "SERVICE_DISABLED"
_HEADER: Final = re.compile(r"[\x21-\x7e]+")  # what an Authorization header can carry


class Vault:
    """The versions of the secret. Each call has a deadline, and none is retried.

    Args:
        project: The Google Cloud project that has the secret.
        client: Creates the Secret Manager client, when it is first needed.
        limits: How long a call may take.
    """

    def __init__(
        self,
        project: str,
        *,
        client: Callable[[], SecretManagerServiceAsyncClient],
        limits: KeyLimits = KeyLimits(),
    ) -> None:
        self._project = f"projects/{project}"
        self._secret = f"{self._project}/secrets/{SECRET_ID}"
        self._make_client = client
        self._limits = limits
        self._made: SecretManagerServiceAsyncClient | None = None

    @staticmethod
    def load() -> None:
        """Import Secret Manager's client. It blocks."""
        from google.cloud import secretmanager_v1  # noqa: F401

    @property
    def _client(self) -> SecretManagerServiceAsyncClient:
        if self._made is None:
            self._made = self._make_client()
        return self._made

    async def read(self, version: int | None) -> Secret:
        """Return the key of a version; for None, of the newest.

        Raises:
            KeyMissing: There is no such version, it is not enabled, or it holds no usable key.
            KeyUnavailable: Secret Manager did not answer.
            KeyStoreForbidden, KeyStoreDisabled: An admin has to act; a retry does not help.
        """
        number = version or "latest"
        try:
            with _translated("access", unavailable="key_unavailable"):
                answer = await self._client.access_secret_version(
                    name=f"{self._secret}/versions/{number}",
                    retry=None,
                    timeout=self._limits.read_s,
                )
        except _Absent:
            log.error("key_missing", version=number)
            raise KeyMissing from None
        value = answer.payload.data.decode("utf-8", "replace").strip()
        if not _HEADER.fullmatch(value):
            log.error("key_unusable", version=number)
            raise KeyMissing
        return Secret(value, _number(answer.name))

    async def enabled_versions(self) -> set[int]:
        """Return the versions that are enabled. Raises KeyUnavailable, KeyStoreForbidden,
        KeyStoreDisabled."""
        request = {"parent": self._secret, "filter": "state:ENABLED"}
        try:
            with _translated("list"):
                pages = await self._client.list_secret_versions(
                    request, retry=None, timeout=self._limits.read_s
                )
                return {_number(version.name) async for version in pages}
        except _Absent:
            return set()  # there is no secret yet

    async def add(self, key: Secret) -> int:
        """Store a key, and return the number of its version. The first key creates the secret.

        Raises:
            KeyUnavailable: Secret Manager did not answer. The key may have been stored.
            KeyStoreForbidden, KeyStoreDisabled: An admin has to act; a retry does not help.
        """
        try:
            return await self._add(key)
        except _Absent:
            pass  # there is no secret yet
        try:
            await self._create()
            return await self._add(key)
        except _Absent:  # no such project, or the new secret is not visible yet
            log.error("key_store_failed", call="create", type="NotFound")
            raise KeyUnavailable from None

    async def disable(self, version: int) -> None:
        """Make a version unreadable. Raises KeyUnavailable, KeyStoreForbidden,
        KeyStoreDisabled."""
        with suppress(_Absent), _translated("disable"):  # or destroyed, so unreadable too
            await self._client.disable_secret_version(
                name=f"{self._secret}/versions/{version}",
                retry=None,
                timeout=self._limits.write_s,
            )

    async def _add(self, key: Secret) -> int:
        import google_crc32c

        data = key.reveal().encode()
        payload = {"data": data, "data_crc32c": google_crc32c.value(data)}
        with _translated("add"):
            version = await self._client.add_secret_version(
                {"parent": self._secret, "payload": payload},
                retry=None,
                timeout=self._limits.write_s,
            )
        return _number(version.name)

    async def _create(self) -> None:
        from google.api_core import exceptions

        with _translated("create"), suppress(exceptions.AlreadyExists):  # by a concurrent call
            await self._client.create_secret(
                {
                    "parent": self._project,
                    "secret_id": SECRET_ID,
                    "secret": {"replication": {"automatic": {}}},
                },
                retry=None,
                timeout=self._limits.write_s,
            )


class _Absent(Exception):
    """The secret or the version does not exist, or cannot be used in its state."""


@contextmanager
def _translated(call: str, *, unavailable: str = "key_store_failed") -> Iterator[None]:
    """Raise Google's exceptions as ours, without their messages.

    Args:
        call: The name of the call in the log.
        unavailable: The log event if Secret Manager did not answer.
    """
    from google.api_core import exceptions

    try:
        yield
    except (exceptions.NotFound, exceptions.FailedPrecondition):
        raise _Absent from None
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        log.error("key_store_failed", call=call, type=type(error).__name__, reason=error.reason)
        raise (KeyStoreDisabled if error.reason == API_DISABLED else KeyStoreForbidden) from None
    except exceptions.BadRequest as error:
        log.error("key_store_failed", call=call, type=type(error).__name__)
        raise RuntimeError(f"Secret Manager rejected the call {call}") from None
    except (TimeoutError, exceptions.GoogleAPIError) as error:
        log.error(unavailable, call=call, type=type(error).__name__)
        raise KeyUnavailable from None


def _number(name: str) -> int:
    return int(name.rsplit("/", 1)[1])
