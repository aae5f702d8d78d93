"""What OpenRouter knows a user and a conversation by: hashes that only this app can make.

    config/pseudonyms   {secret, createdAt}

OpenRouter uses them to tell users apart and to keep a conversation with one provider. Without the
secret nobody can tell whose they are, or that two apps share a user. The secret is created once, on
a project's first call, and read once per instance. If it cannot be read, no hashes are sent.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from contextlib import suppress
from typing import Final

from google.cloud.firestore import SERVER_TIMESTAMP, AsyncClient

from .. import log
from ..cache import Cached
from ..errors import SettingsUnavailable
from ..firestore import AlreadyExists, FirestoreError, Paths, content, create, get

CREATE_S: Final = 5.0
SECRET_MIN_CHARS: Final = 32


class Pseudonyms:
    """Hashes the IDs of users and conversations. One per instance."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._document = Paths(firestore).pseudonyms()
        self._secret = Cached(self._load, fresh_s=math.inf, stale_s=math.inf)

    async def user(self, uid: str) -> str | None:
        """Return the hash of a user; None if the secret is unavailable."""
        return await self._hash("user", uid)

    async def session(self, uid: str, conversation: str) -> str | None:
        """Return the hash of a conversation; None if the secret is unavailable."""
        return await self._hash("session", uid, conversation)

    async def _hash(self, *parts: str) -> str | None:
        try:
            secret = await self._secret.get()
        except SettingsUnavailable as error:
            log.warning("pseudonyms_unavailable", type=type(error).__name__)
            return None
        except FirestoreError as error:
            log.warning("pseudonyms_unavailable", type=error.cause)
            return None
        return hmac.new(secret, "\0".join(parts).encode(), hashlib.sha256).hexdigest()[:32]

    async def _load(self) -> bytes:
        secret = await self._read()
        if secret is None:
            made = {"secret": secrets.token_hex(32), "createdAt": SERVER_TIMESTAMP}
            with suppress(AlreadyExists):  # another instance was first, and its secret counts
                await create(self._document, made, within_s=CREATE_S)
            secret = await self._read()
        if secret is None:
            raise SettingsUnavailable  # the document is malformed
        return secret

    async def _read(self) -> bytes | None:
        secret = content(await get(self._document)).get("secret")
        if not isinstance(secret, str) or len(secret) < SECRET_MIN_CHARS:
            return None
        return secret.encode()
