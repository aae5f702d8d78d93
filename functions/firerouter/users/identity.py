"""Who calls: an ID token and an App Check token, both verified, both required.

    headers --> ID token    --> claims --\\
            \\-> App Check   --> app id  ---> Caller

An admin's account is looked up as well, at each call: see `_AdminTokens`.

The checks are blocking (public keys over HTTPS, RSA), so each has a thread of its own: off the
event loop, and one fetch of keys at a time. A verified token is remembered for a few minutes, never
beyond its expiry, as its hash. A public-key outage is UNAVAILABLE and not a 401, for the caller's
token may be good. Tokens are never logged, and the verifiers' texts, which can quote them, are
dropped.

ID tokens: https://firebase.google.com/docs/auth/admin/verify-id-tokens; firebase-admin does it, and
takes the emulator's unsigned tokens where FIREBASE_AUTH_EMULATOR_HOST is set.
App Check: https://firebase.google.com/docs/app-check/custom-resource-backend; with PyJWT rather
than firebase-admin, which lets tokens without `exp` or `sub` pass, waits 30 s for keys and needs
Google credentials to check a signature.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from .. import limits, log
from ..callable import CallableError, Headers
from ..errors import (
    AppCheckFailed,
    NotAdmin,
    SessionExpired,
    SessionInvalid,
    SessionRevoked,
    SignInRequired,
    SignInUnavailable,
)

APP_CHECK_ISSUER: Final = "https://firebaseappcheck.googleapis.com/"
APP_CHECK_KEYS_URL: Final = "https://firebaseappcheck.googleapis.com/v1/jwks"

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller. `uid` is cheap to make where anonymous sign-in is on."""

    uid: str
    app_id: str
    admin: bool = False
    anonymous: bool = False
    email: str = ""


class Identity:
    """Verifies callers. Make one an instance; nothing is fetched before the first call."""

    def __init__(
        self,
        project: str,
        *,
        firebase_app: Callable[[], Any],
        app_check_keys_url: str = APP_CHECK_KEYS_URL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._id_tokens = _Verifier(_IdTokens(project, firebase_app), clock)
        self._admin_tokens = _Verifier(_AdminTokens(project, firebase_app), clock, fresh_s=0)
        self._app_check = _Verifier(_AppCheck(project, app_check_keys_url), clock)

    async def verify(self, headers: Headers) -> Caller:
        """The caller of a request.

        Raises SignInRequired, SessionInvalid, SessionExpired, AppCheckFailed, SignInUnavailable.
        """
        return await self._caller(headers, self._id_tokens)

    async def verify_admin(self, headers: Headers) -> Caller:
        """The caller of a request that only an admin may make, one by now and not an hour ago.

        Raises what `verify` raises, NotAdmin and SessionRevoked.
        """
        return await self._caller(headers, self._admin_tokens)

    async def _caller(self, headers: Headers, id_tokens: _Verifier) -> Caller:
        bearer = headers.get("authorization", "")
        scheme, _, id_token = bearer.partition(" ")
        app_check_token = headers.get("x-firebase-appcheck", "")
        if not bearer:
            raise SignInRequired
        if scheme.lower() != "bearer" or not id_token.strip():
            raise SessionInvalid
        if not app_check_token:
            raise AppCheckFailed
        user, app = await asyncio.gather(
            id_tokens.verify(id_token.strip()),
            self._app_check.verify(app_check_token.strip()),
            return_exceptions=True,
        )
        if isinstance(user, BaseException):
            raise user
        if isinstance(app, BaseException):
            raise app
        sign_in, email = user.get("firebase"), user.get("email")
        return Caller(
            uid=user["sub"],
            app_id=app["sub"],
            admin=user.get("admin") is True,
            anonymous=isinstance(sign_in, dict) and sign_in.get("sign_in_provider") == "anonymous",
            email=email if isinstance(email, str) else "",
        )


class _Verifier:
    """Runs one kind of check in its own thread, remembers what it found, bears outages."""

    def __init__(
        self,
        check: _IdTokens | _AppCheck,
        clock: Callable[[], float],
        *,
        fresh_s: float = limits.TOKEN_CACHE_S,
    ) -> None:
        self._check = check
        self._clock = clock
        self._fresh_s = fresh_s
        self._known: dict[bytes, tuple[float, Claims]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._away_until = 0.0

    async def verify(self, token: str) -> Claims:
        now = self._clock()
        digest = hashlib.sha256(token.encode()).digest()
        until, claims = self._known.get(digest, (0.0, {}))
        if now < until:
            return claims
        loop = asyncio.get_running_loop()
        if self._thread is None or self._loaded is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=type(self._check).__name__)
            self._loaded = loop.run_in_executor(self._thread, self._check.load)
        # a slow cold start is no outage; shielded, for whoever leaves is not the only one who waits
        await asyncio.shield(self._loaded)
        try:
            async with asyncio.timeout(limits.VERIFY_S):
                claims = await loop.run_in_executor(self._thread, self._run, token)
        except TimeoutError:
            raise SignInUnavailable from None
        expires = claims["exp"]
        if expires <= self._clock():  # the Auth emulator takes expired tokens; we do not
            raise self._check.expired()
        if len(self._known) >= limits.TOKEN_CACHE_MAX:
            self._known.clear()
        self._known[digest] = (min(expires, now + self._fresh_s), claims)
        return claims

    def _run(self, token: str) -> Claims:
        if self._clock() < self._away_until:
            raise SignInUnavailable
        try:
            return self._check(token)
        except SignInUnavailable:
            self._away_until = self._clock() + limits.KEYS_OUTAGE_PAUSE_S
            log.warning("verification_unavailable", check=type(self._check).__name__)
            raise


class _IdTokens:
    """Blocking. ID tokens through firebase-admin."""

    expired: type[CallableError] = SessionExpired

    def __init__(self, project: str, firebase_app: Callable[[], Any]) -> None:
        self._project = project
        self._firebase_app = firebase_app

    @staticmethod
    def load() -> None:
        """Import what a check needs, which on a cold start takes longer than the check."""
        from firebase_admin import auth  # noqa: F401

    def __call__(self, token: str) -> Claims:
        from firebase_admin import auth
        from google.auth.exceptions import GoogleAuthError

        try:
            claims: Claims = auth.verify_id_token(token, app=self._firebase_app())
            if not isinstance(claims["exp"], (int, float)):
                raise SessionInvalid
        except (auth.CertificateFetchError, GoogleAuthError):
            # the second: firebase-admin wants credentials even to check a signature, and the
            # metadata server that has them may be away
            raise SignInUnavailable from None
        except auth.ExpiredIdTokenError:
            raise SessionExpired from None
        except Exception as error:  # ValueError, KeyError and more, by what is wrong with the token
            log.info("id_token_refused", type=type(error).__name__)
            raise SessionInvalid from None
        return claims


class _AdminTokens(_IdTokens):
    """Blocking. ID tokens of admins, whose account is looked up too.

    A token says what was true when it was issued, up to an hour ago. The account says what
    `verify_id_token(check_revoked=True)` asks it, whether it is disabled and whether its sessions
    were ended, and in the same answer whether it still holds the claim.
    """

    def __call__(self, token: str) -> Claims:
        from firebase_admin import auth, exceptions
        from google.auth.exceptions import GoogleAuthError

        claims = super().__call__(token)
        if claims.get("admin") is not True:
            raise NotAdmin  # no lookup: anybody at all could cause it
        try:
            account = auth.get_user(claims["sub"], app=self._firebase_app())
        except auth.UserNotFoundError:
            raise SessionRevoked from None
        except (exceptions.FirebaseError, GoogleAuthError) as error:
            log.error("account_lookup_failed", type=type(error).__name__)
            raise SignInUnavailable from None
        issued_ms = claims.get("iat", 0) * 1000
        if account.disabled or issued_ms < account.tokens_valid_after_timestamp:
            raise SessionRevoked
        if (account.custom_claims or {}).get("admin") is not True:
            raise NotAdmin
        return claims


class _AppCheck:
    """Blocking. App Check tokens against the JWKS, every claim that the documentation names."""

    expired: type[CallableError] = AppCheckFailed

    def __init__(self, project: str, keys_url: str) -> None:
        self._project = project
        self._keys_url = keys_url
        self._keys: Any = None

    @staticmethod
    def load() -> None:
        import jwt  # noqa: F401

    def __call__(self, token: str) -> Claims:
        import jwt

        if self._keys is None:
            self._keys = jwt.PyJWKClient(
                self._keys_url, lifespan=limits.KEYS_FRESH_S, timeout=limits.KEYS_FETCH_S
            )
        try:
            if jwt.get_unverified_header(token).get("typ") != "JWT":
                raise AppCheckFailed
            claims: Claims = jwt.decode(
                token,
                self._keys.get_signing_key_from_jwt(token).key,
                algorithms=["RS256"],
                audience=f"projects/{self._project}",
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            if not claims["iss"].startswith(APP_CHECK_ISSUER) or not claims["sub"]:
                raise AppCheckFailed
        except jwt.PyJWKClientConnectionError:
            raise SignInUnavailable from None
        except Exception as error:
            log.info("app_check_refused", type=type(error).__name__)
            raise AppCheckFailed from None
        return claims
