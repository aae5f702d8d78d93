"""Who calls: an ID token and an App Check token, both verified, both required.

    headers --> ID token    --> claims --> Caller
            \\-> App Check   --> from an app of this project

An admin's account is looked up as well, on each call: see `_AdminTokens`. A user's is looked up now
and then, beside the calls: see `account_watch`.

The checks block (public keys over HTTPS, RSA), so each kind has a thread of its own: off the event
loop, and one request for keys at a time. A verified token is remembered for a few minutes, never
beyond its expiry, and only as its hash. An outage of the public keys is UNAVAILABLE and not a 401,
because the caller's token may be valid. Tokens are never logged, and neither are the verifiers'
messages, which can quote them.

ID tokens: https://firebase.google.com/docs/auth/admin/verify-id-tokens. firebase-admin verifies
them, and accepts the emulator's unsigned tokens if FIREBASE_AUTH_EMULATOR_HOST is set.
App Check: https://firebase.google.com/docs/app-check/custom-resource-backend. PyJWT verifies them
rather than firebase-admin, which accepts tokens without `exp` or `sub`, waits 30 s for keys, and
needs Google credentials to check a signature.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, TypedDict, cast

from .. import log
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
from .account_watch import AccountWatch
from .limits import IdentityLimits

if TYPE_CHECKING:
    import firebase_admin
    import jwt

APP_CHECK_ISSUER: Final = "https://firebaseappcheck.googleapis.com/"
APP_CHECK_KEYS_URL: Final = "https://firebaseappcheck.googleapis.com/v1/jwks"


class Claims(TypedDict, total=False):
    """The claims of a verified token that are used here."""

    sub: str
    exp: float
    iat: float
    iss: str
    email: object
    admin: object
    tier: object
    firebase: object


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller.

    Attributes:
        uid: Their user ID, which anybody can get if anonymous sign-in is enabled.
        email: Their email address; empty if the account has none.
        tier: The custom claim `tier` of their account, by which limits may differ.
        anonymous: They are signed in without an account.
    """

    uid: str
    email: str = ""
    tier: str | None = None
    anonymous: bool = False


class Identity:
    """Verifies callers. One per instance; nothing is fetched before the first call."""

    def __init__(
        self,
        project: str,
        *,
        firebase_app: Callable[[], firebase_admin.App],
        app_check_keys_url: str = APP_CHECK_KEYS_URL,
        limits: IdentityLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        limits = limits or IdentityLimits()
        each_call = replace(limits, token_fresh_s=0)
        self._id_tokens = _Verifier(_IdTokens(firebase_app, limits), limits, clock)
        self._admin_tokens = _Verifier(_AdminTokens(firebase_app, limits), each_call, clock)
        self._accounts = AccountWatch(firebase_app, limits, clock)
        app_check = _AppCheck(project, app_check_keys_url, limits)
        self._app_check = _Verifier(app_check, limits, clock)

    @staticmethod
    def load() -> None:
        """Import what the checks need. It blocks, for most of a second on a slow instance."""
        _IdTokens.load()
        _AppCheck.load()

    async def verify(self, headers: Headers) -> Caller:
        """Return the caller of a request.

        Raises:
            SignInRequired, SessionInvalid, SessionExpired: The ID token is missing or not valid.
            SessionRevoked: The account is disabled or gone, or its sessions were ended: so it was
                found a few minutes ago at most.
            AppCheckFailed: The App Check token is missing or not valid.
            SignInUnavailable: Google's public keys cannot be reached.
        """
        user = await self._verify(headers, self._id_tokens)
        self._accounts.check(user["sub"], user.get("iat", 0))
        return _caller(user)

    async def verify_admin(self, headers: Headers) -> Caller:
        """Return the caller of a request that only an admin may make.

        It checks the account and not just the token, which may be an hour old.

        Raises:
            NotAdmin: The account does not hold the admin claim.
            SessionRevoked: The account is disabled or gone, or its sessions were ended.
            CallableError: What `verify` raises.
        """
        return _caller(await self._verify(headers, self._admin_tokens))

    async def _verify(self, headers: Headers, id_tokens: _Verifier) -> Claims:
        """Return the claims of the ID token of a request with two valid tokens."""
        bearer = headers.get("authorization", "")
        scheme, _, id_token = bearer.partition(" ")
        app_check_token = headers.get("x-firebase-appcheck", "")
        if not bearer:
            raise SignInRequired
        if scheme.lower() != "bearer" or not id_token.strip():
            raise SessionInvalid
        if not app_check_token:
            raise AppCheckFailed
        id_token, app_check_token = id_token.strip(), app_check_token.strip()
        user, app = id_tokens.known(id_token), self._app_check.known(app_check_token)
        if user is None and app is None:
            user, app = await self._both(id_tokens, id_token, app_check_token)
        user = user or await id_tokens.verify(id_token)
        app = app or await self._app_check.verify(app_check_token)
        return user

    async def _both(
        self, id_tokens: _Verifier, id_token: str, app_check_token: str
    ) -> tuple[Claims, Claims]:
        """Verify both at the same time. If neither is valid, the ID token's failure is raised."""
        user, app = await asyncio.gather(
            id_tokens.verify(id_token),
            self._app_check.verify(app_check_token),
            return_exceptions=True,
        )
        if isinstance(user, BaseException):
            raise user
        if isinstance(app, BaseException):
            raise app
        return user, app


def _caller(user: Claims) -> Caller:
    email, tier, sign_in = user.get("email"), user.get("tier"), user.get("firebase")
    return Caller(
        uid=user["sub"],
        email=email if isinstance(email, str) else "",
        tier=tier if isinstance(tier, str) and tier else None,
        anonymous=isinstance(sign_in, dict) and sign_in.get("sign_in_provider") == "anonymous",
    )


class _Check(Protocol):
    """One kind of check of a token. It blocks."""

    expired: type[CallableError]

    def load(self) -> None:
        """Import what a check needs, which on a cold start takes longer than the check."""

    def __call__(self, token: str) -> Claims:
        """Return the claims of a valid token. Raises CallableError."""


class _Verifier:
    """Runs one kind of check in its own thread, remembers its results, and handles outages."""

    def __init__(self, check: _Check, limits: IdentityLimits, clock: Callable[[], float]) -> None:
        self._check = check
        self._limits = limits
        self._clock = clock
        self._verified: dict[bytes, tuple[float, Claims]] = {}  # by hash: until when, and claims
        self._thread: ThreadPoolExecutor | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._unavailable_until = 0.0

    def known(self, token: str) -> Claims | None:
        """Return the claims of a token that was verified a moment ago."""
        until, claims = self._verified.get(_hash(token), (0.0, Claims()))
        return claims if self._clock() < until else None

    async def verify(self, token: str) -> Claims:
        known = self.known(token)
        if known is not None:
            return known
        now = self._clock()
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=type(self._check).__name__)
        if self._loaded is None or _has_failed(self._loaded):
            self._loaded = loop.run_in_executor(self._thread, self._check.load)
        try:
            # a slow cold start is not an outage; shielded, because other callers wait for it too
            await asyncio.shield(self._loaded)
        except Exception as error:  # whatever it was, the next call tries again
            log.unexpected(error, trace_id="")
            raise SignInUnavailable from None
        try:
            async with asyncio.timeout(self._limits.verify_s):
                claims = await loop.run_in_executor(self._thread, self._run, token)
        except TimeoutError:
            raise SignInUnavailable from None
        expires = claims["exp"] + self._limits.leeway_s
        if expires <= self._clock():  # the Auth emulator accepts expired tokens; we do not
            raise self._check.expired()
        if len(self._verified) >= self._limits.tokens_max:
            self._verified.clear()
        self._verified[_hash(token)] = (min(expires, now + self._limits.token_fresh_s), claims)
        return claims

    def _run(self, token: str) -> Claims:
        if self._clock() < self._unavailable_until:
            raise SignInUnavailable
        try:
            return self._check(token)
        except SignInUnavailable:
            self._unavailable_until = self._clock() + self._limits.keys_outage_pause_s
            log.warning("verification_unavailable", check=type(self._check).__name__)
            raise


def _has_failed(future: asyncio.Future[None]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class _IdTokens:
    """Checks ID tokens through firebase-admin. It blocks."""

    expired: type[CallableError] = SessionExpired

    def __init__(
        self, firebase_app: Callable[[], firebase_admin.App], limits: IdentityLimits
    ) -> None:
        self._firebase_app = firebase_app
        self._leeway_s = limits.leeway_s

    @staticmethod
    def load() -> None:
        """Import what a check needs, which on a cold start takes longer than the check."""
        from firebase_admin import auth  # noqa: F401

    def __call__(self, token: str) -> Claims:
        from firebase_admin import auth
        from google.auth.exceptions import GoogleAuthError

        try:
            claims: Claims = auth.verify_id_token(
                token, app=self._firebase_app(), clock_skew_seconds=self._leeway_s
            )
            if not isinstance(claims["exp"], (int, float)):
                raise SessionInvalid
        except (auth.CertificateFetchError, GoogleAuthError):
            # GoogleAuthError: firebase-admin needs credentials even to check a signature, and the
            # metadata server that issues them may be unavailable
            raise SignInUnavailable from None
        except auth.ExpiredIdTokenError:
            raise SessionExpired from None
        except Exception as error:  # ValueError, KeyError and more, depending on the token
            log.info("id_token_refused", type=type(error).__name__)
            raise SessionInvalid from None
        return claims


class _AdminTokens(_IdTokens):
    """Checks ID tokens of admins, and looks up their account too. It blocks.

    A token says what was true when it was issued, up to an hour ago. The account says whether it is
    disabled and whether its sessions were ended, as `verify_id_token(check_revoked=True)` would
    check, and in the same response whether it still holds the claim.
    """

    def __call__(self, token: str) -> Claims:
        from firebase_admin import auth, exceptions
        from google.auth.exceptions import GoogleAuthError

        claims = super().__call__(token)
        if claims.get("admin") is not True:
            raise NotAdmin  # without a lookup, which any user could cause
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
    """Checks App Check tokens against the JWKS: every claim that the docs name. It blocks."""

    expired: type[CallableError] = AppCheckFailed

    def __init__(self, project: str, keys_url: str, limits: IdentityLimits) -> None:
        self._project = project
        self._keys_url = keys_url
        self._limits = limits
        self._keys: jwt.PyJWKClient | None = None

    @staticmethod
    def load() -> None:
        import jwt  # noqa: F401

    def __call__(self, token: str) -> Claims:
        import jwt

        if self._keys is None:
            self._keys = jwt.PyJWKClient(
                self._keys_url,
                lifespan=self._limits.keys_fresh_s,
                timeout=self._limits.keys_fetch_s,
            )
        try:
            if jwt.get_unverified_header(token).get("typ") != "JWT":
                raise AppCheckFailed
            decoded = jwt.decode(
                token,
                self._keys.get_signing_key_from_jwt(token).key,
                algorithms=["RS256"],
                audience=f"projects/{self._project}",
                leeway=self._limits.leeway_s,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            claims = cast("Claims", decoded)
            if not claims["iss"].startswith(APP_CHECK_ISSUER) or not claims["sub"]:
                raise AppCheckFailed
        except jwt.PyJWKClientConnectionError:
            raise SignInUnavailable from None
        except Exception as error:
            log.info("app_check_refused", type=type(error).__name__)
            raise AppCheckFailed from None
        return claims
