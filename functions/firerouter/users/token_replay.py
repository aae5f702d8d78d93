"""App Check tokens that are valid for one call: whoever copies one gets nothing for it.

    config/app  singleUseAppCheck   "off"        a token is valid until it expires
                                    "anonymous"  each call of an anonymous user takes a new one
                                    "all"        each call does

App Check says whether a token was used before, and marks it as used, in one request. Clients get
such tokens with `limitedUseAppCheckTokens`.
https://firebase.google.com/docs/app-check/custom-resource-backend#replay-protection
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from .. import log
from ..cache import Recent
from ..callable import CallableError, Headers
from ..errors import AppCheckFailed, SignInUnavailable
from .identity import Caller
from .limits import IdentityLimits

APP_CHECK_ROOT: Final = "https://firebaseappcheck.googleapis.com"


class TokenReplay:
    """Refuses App Check tokens that were used before. One per instance."""

    def __init__(
        self,
        project: str,
        *,
        setting: Callable[[], Awaitable[object]],
        credentials: Callable[[], Any],
        root: str = APP_CHECK_ROOT,
        limits: IdentityLimits | None = None,
    ) -> None:
        """Create a check, which connects when it is first needed.

        Args:
            project: The project's id.
            setting: Returns whose tokens are valid for one call.
            credentials: Returns Google's credentials of the functions.
            root: Where App Check is.
            limits: How long a check may take.
        """
        self._url = f"{root}/v1beta/projects/{project}:verifyAppCheckToken"
        self._setting = setting
        self._credentials = credentials
        self._limits = limits or IdentityLimits()
        self._used: Recent[bytes, bool] = Recent(self._limits.tokens_max)
        self._last: object = "off"
        self._threads: ThreadPoolExecutor | None = None
        self._session: Any = None

    async def check(self, caller: Caller, headers: Headers) -> None:
        """Use up the token of a call whose token was verified, where the app wants that.

        Raises:
            AppCheckFailed: It was used before.
            SignInUnavailable: App Check did not answer.
            CallableError: The setting cannot be read, and it was not off before.
        """
        try:
            self._last = await self._setting()
        except CallableError:
            if self._last in {"off", None}:
                return  # whatever needs the settings reports it
            raise
        if self._last == "all" or (self._last == "anonymous" and caller.anonymous):
            await self._use(headers.get("x-firebase-appcheck", "").strip())

    async def _use(self, token: str) -> None:
        digest = hashlib.sha256(token.encode()).digest()
        if self._used.get(digest):
            raise AppCheckFailed
        if self._threads is None:
            threads = self._limits.replay_threads
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix="replay")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.verify_s):
                was_used = await loop.run_in_executor(self._threads, self._ask, token)
        except TimeoutError:
            raise SignInUnavailable from None
        self._used.put(digest, True)
        if was_used:
            log.info("app_check_replayed")
            raise AppCheckFailed

    def _ask(self, token: str) -> bool:
        """Mark a token as used, and return whether it was. It blocks."""
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import AuthorizedSession

        try:
            if self._session is None:
                # the library has no types
                self._session = AuthorizedSession(self._credentials())  # type: ignore[no-untyped-call]
            answer = self._session.post(
                self._url, json={"app_check_token": token}, timeout=self._limits.keys_fetch_s
            )
            told = answer.json() if answer.ok else None
        except (OSError, ValueError, GoogleAuthError) as error:  # requests' errors are OSErrors
            log.warning("app_check_not_asked", type=type(error).__name__)
            raise SignInUnavailable from None
        if not isinstance(told, dict):
            log.error("app_check_not_asked", status=answer.status_code)  # 403: a role is missing
            raise SignInUnavailable
        return told.get("alreadyConsumed") is True
