"""What OpenRouter calls a user and a conversation: hashes that only this app can make.

    config/pseudonyms   {secret, createdAt}

With them OpenRouter tells users apart, and keeps a conversation with one provider; without the
secret nobody finds out whose they are, nor that two apps have the same user. The secret is made
once, at a project's first call, and read once an instance. Without it nothing is sent of either.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from contextlib import suppress
from typing import Any

from google.cloud.firestore import SERVER_TIMESTAMP, AsyncClient

from .. import limits, log
from ..cache import Cached
from ..errors import SettingsUnavailable
from ..firestore import AWAY, GUARD_FAILED


class Pseudonyms:
    """Make one an instance."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._document: Any = firestore.document("config", "pseudonyms")
        self._secret = Cached(self._load, fresh_s=math.inf, stale_s=math.inf)

    async def user(self, uid: str) -> str | None:
        """None where the secret can not be had."""
        return await self._hash("user", uid)

    async def session(self, uid: str, conversation: str) -> str | None:
        return await self._hash("session", uid, conversation)

    async def _hash(self, *parts: str) -> str | None:
        try:
            secret = await self._secret.get()
        except (SettingsUnavailable, *AWAY) as error:
            log.warning("pseudonyms_unavailable", type=type(error).__name__)
            return None
        return hmac.new(secret, "\0".join(parts).encode(), hashlib.sha256).hexdigest()[:32]

    async def _load(self) -> bytes:
        secret = await self._read()
        if secret is None:
            made = {"secret": secrets.token_hex(32), "createdAt": SERVER_TIMESTAMP}
            with suppress(*GUARD_FAILED):  # another instance was first: its secret is the one
                await self._document.create(made, retry=None, timeout=limits.READ_S)
            secret = await self._read()
        if secret is None:
            raise SettingsUnavailable  # typed by hand, and no secret
        return secret

    async def _read(self) -> bytes | None:
        snapshot = await self._document.get(retry=None, timeout=limits.READ_S)
        secret = (snapshot.to_dict() or {}).get("secret")
        return secret.encode() if isinstance(secret, str) and len(secret) >= 32 else None
