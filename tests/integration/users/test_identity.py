"""The verifiers of production, against keys of our own that a local server publishes.

Nothing is stubbed but the address of Google's certificates: firebase-admin and PyJWT fetch, cache
and check as they do in production. The server runs in the tests' own event loop, so a verification
that blocked the loop would never get its keys.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import firebase_admin
import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from firebase_admin import _token_gen, _user_mgt, credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from jwt.algorithms import RSAAlgorithm

from firerouter.callable import CallableError
from firerouter.errors import (
    AppCheckFailed,
    NotAdmin,
    SessionExpired,
    SessionInvalid,
    SessionRevoked,
    SignInRequired,
    SignInUnavailable,
)
from firerouter.users import Caller, Identity, IdentityLimits
from firerouter.users.identity import APP_CHECK_ISSUER

PROJECT = "demo-identity"
NUMBER = "123456789012"
APP_ID = f"1:{NUMBER}:web:test"
UID = "somebody"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ABSENT = object()
LIMITS = IdentityLimits()
MARGIN_S = 5.0  # a busy machine's

Claims = dict[str, Any]


def certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


class Google:
    """Publishes the keys: x509 certificates for ID tokens, a JWKS for App Check. Knows accounts."""

    def __init__(self) -> None:
        jwk = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        self._bodies: dict[str, Any] = {
            "/certs": {"k1": certificate(KEY)},
            "/jwks": {"keys": [{**jwk, "use": "sig", "alg": "RS256", "kid": "k1"}]},
        }
        self.fetches = {"/certs": 0, "/jwks": 0}
        self.account: dict[str, Any] | None = None  # of whoever is looked up
        self.lookups = 0
        self.looked_up: list[str] = []
        self.status = 200
        self.delay_s = 0.0
        self.drip = False
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        app = web.Application()
        for path in self._bodies:
            app.router.add_get(path, self._answer)
        app.router.add_post("/v1/projects/{project}/accounts:lookup", self._look_up)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _look_up(self, request: web.Request) -> web.StreamResponse:
        self.lookups += 1
        await asyncio.sleep(self.delay_s)
        if self.status != 200:
            return web.json_response({"error": {"message": "canary"}}, status=self.status)
        uids = (await request.json())["localId"]
        self.looked_up += uids
        found = [] if self.account is None else [{"localId": uid, **self.account} for uid in uids]
        return web.json_response({"users": found})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.fetches[request.path] += 1
        await asyncio.sleep(self.delay_s)
        if self.status != 200:
            return web.Response(status=self.status)
        headers = {"Cache-Control": "public, max-age=20000"}
        if not self.drip:
            return web.json_response(self._bodies[request.path], headers=headers)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:  # each byte is within any read timeout
            await response.write(b" ")
            await asyncio.sleep(0.05)


class NoCredential(credentials.Base):  # type: ignore[misc]  # the SDK ships no types
    """The Admin SDK looks for Google's default credentials otherwise, for calls we do not make."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]


class NoMetadataServer(credentials.Base):  # type: ignore[misc]  # the SDK ships no types
    def get_credential(self) -> None:
        raise DefaultCredentialsError("nobody there")  # type: ignore[no-untyped-call]


class Clock:
    """The time, and how far ahead of it we pretend to be."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
async def google(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Google]:
    google = Google()
    await google.start()
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_token_gen, "ID_TOKEN_CERT_URI", f"{google.url}/certs")
    monkeypatch.setattr(_user_mgt.UserManager, "ID_TOOLKIT_URL", f"{google.url}/v1")
    yield google
    await google.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make(google: Google, clock: Clock) -> AsyncIterator[Callable[..., Identity]]:
    """Makes the identity of an instance that has just started."""
    apps: list[Any] = []
    made: list[Identity] = []

    def make(credential: Any = None, *, keys_url: str | None = None, **fields: Any) -> Identity:
        limits = replace(LIMITS, **fields)
        options = {"projectId": PROJECT, "httpTimeout": limits.keys_fetch_s}
        app = firebase_admin.initialize_app(
            credential or NoCredential(), options, name=uuid.uuid4().hex
        )
        apps.append(app)
        identity = Identity(
            PROJECT,
            firebase_app=lambda: app,
            app_check_keys_url=keys_url or f"{google.url}/jwks",
            limits=limits,
            clock=clock,
        )
        made.append(identity)
        return identity

    yield make
    await google.stop()  # or a thread might wait for it for long
    for account_watch in [one._accounts for one in made]:
        if account_watch._thread is not None:
            await asyncio.to_thread(account_watch._thread.shutdown)
    verifiers = [(one._id_tokens, one._admin_tokens, one._app_check) for one in made]
    for verifier in [each for of_one in verifiers for each in of_one]:
        if verifier._thread is not None:
            await asyncio.to_thread(verifier._thread.shutdown)
    for app in apps:
        firebase_admin.delete_app(app)


@pytest.fixture
def identity(make: Callable[..., Identity]) -> Identity:
    return make()


def _with(claims: Claims, changes: Claims) -> Claims:
    changed = {**claims, **changes}
    return {name: value for name, value in changed.items() if value is not ABSENT}


def id_token(key: Any = KEY, kid: str | None = "k1", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "aud": PROJECT,
        "sub": UID,
        "iat": now - 10,
        "exp": now + 3600,
        "auth_time": now - 10,
        "firebase": {"sign_in_provider": "password", "identities": {}},
    }
    headers = {"kid": kid} if kid else None
    return jwt.encode(_with(claims, changes), key, algorithm="RS256", headers=headers)


def app_token(key: Any = KEY, kid: str | None = "k1", typ: str = "JWT", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": f"{APP_CHECK_ISSUER}{NUMBER}",
        "aud": [f"projects/{NUMBER}", f"projects/{PROJECT}"],
        "sub": APP_ID,
        "iat": now - 10,
        "exp": now + 3600,
    }
    headers = {"typ": typ, **({"kid": kid} if kid else {})}
    return jwt.encode(_with(claims, changes), key, algorithm="RS256", headers=headers)


def forged(token: str, alg: str, signature: Callable[[bytes], bytes]) -> str:
    """The same claims under another algorithm, which PyJWT itself would refuse to write."""
    claims = token.split(".")[1]
    header = json.dumps({"alg": alg, "typ": "JWT", "kid": "k1"}).encode()
    signed = f"{_base64(header)}.{claims}"
    return f"{signed}.{_base64(signature(signed.encode()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(token: str) -> str:
    return forged(token, "none", lambda _: b"")


def signed_with_the_public_key(token: str) -> str:
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return forged(token, "HS256", lambda text: hmac.digest(public, text, hashlib.sha256))


def headers(id_token_: str | None = None, app_token_: str | None = None) -> dict[str, str]:
    return {
        "authorization": f"Bearer {id_token_ or id_token()}",
        "x-firebase-appcheck": app_token_ or app_token(),
    }


# -- good tokens -----------------------------------------------------------------------------------


async def test_a_good_pair_of_tokens_is_a_caller(identity: Identity) -> None:
    assert await identity.verify(headers()) == Caller(uid=UID)


async def test_the_scheme_is_read_in_any_case(identity: Identity) -> None:
    given = {**headers(), "authorization": f"bearer {id_token()}"}
    assert (await identity.verify(given)).uid == UID


@pytest.mark.parametrize(
    "firebase",
    [{"sign_in_provider": "anonymous"}, ABSENT, None, "anonymous", ["anonymous"], {}],
)
async def test_a_caller_may_have_signed_in_in_any_way(identity: Identity, firebase: Any) -> None:
    caller = await identity.verify(headers(id_token(firebase=firebase)))
    anonymous = firebase == {"sign_in_provider": "anonymous"}
    assert caller == Caller(UID, anonymous=anonymous)


@pytest.mark.parametrize(("claim", "tier"), [("pro", "pro"), ("", None), (7, None), (ABSENT, None)])
async def test_a_tier_is_a_text_that_is_not_empty(
    identity: Identity, claim: Any, tier: str | None
) -> None:
    assert (await identity.verify(headers(id_token(tier=claim)))).tier == tier


@pytest.mark.parametrize(
    ("claim", "admin"),
    [(True, True), *((value, False) for value in (1, "true", "True", [True], {}, None, ABSENT))],
)
async def test_only_the_claim_true_makes_an_admin(
    identity: Identity, google: Google, claim: Any, admin: bool
) -> None:
    given = headers(id_token(admin=claim))
    assert await identity.verify(given) == Caller(UID)
    if admin:
        google.account = {"customAttributes": '{"admin": true}'}
        assert await identity.verify_admin(given) == Caller(UID)
    else:
        with pytest.raises(NotAdmin):
            await identity.verify_admin(given)
    assert google.lookups == (1 if admin else 0)


# -- bad ones --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({}, SignInRequired),
        ({"x-firebase-appcheck": "x"}, SignInRequired),
        ({"authorization": "", "x-firebase-appcheck": "x"}, SignInRequired),
        ({"authorization": "Bearer", "x-firebase-appcheck": "x"}, SessionInvalid),
        ({"authorization": "Bearer  ", "x-firebase-appcheck": "x"}, SessionInvalid),
        ({"authorization": "Basic eDp5", "x-firebase-appcheck": "x"}, SessionInvalid),
        ({"authorization": "Bearer x"}, AppCheckFailed),
        ({"authorization": "Bearer x", "x-firebase-appcheck": ""}, AppCheckFailed),
    ],
)
async def test_what_is_missing_is_said_without_fetching_anything(
    identity: Identity, google: Google, given: dict[str, str], refusal: type[CallableError]
) -> None:
    with pytest.raises(refusal):
        await identity.verify(given)
    assert google.fetches == {"/certs": 0, "/jwks": 0}


BAD_ID_TOKENS: dict[str, Callable[[], str]] = {
    "another project's audience": lambda: id_token(aud="demo-other"),
    "another project's issuer": lambda: id_token(iss="https://securetoken.google.com/demo-other"),
    "another issuer": lambda: id_token(iss=f"https://accounts.google.com/{PROJECT}"),
    "no issuer": lambda: id_token(iss=ABSENT),
    "no audience": lambda: id_token(aud=ABSENT),
    "an audience among others": lambda: id_token(aud=[PROJECT, "demo-other"]),
    "another key": lambda: id_token(key=OTHER_KEY),
    "a key id that is not known": lambda: id_token(kid="k2"),
    "no key id": lambda: id_token(kid=None),
    "no algorithm": lambda: unsigned(id_token()),
    "the public key as a password": lambda: signed_with_the_public_key(id_token()),
    "an empty subject": lambda: id_token(sub=""),
    "no subject": lambda: id_token(sub=ABSENT),
    "too long a subject": lambda: id_token(sub="x" * 129),
    "no expiry": lambda: id_token(exp=ABSENT),
    "issued tomorrow": lambda: id_token(iat=int(time.time()) + 86_400),
    "claims of another token": lambda: ".".join(
        [id_token().split(".")[0], id_token(admin=True).split(".")[1], id_token().split(".")[2]]
    ),
    "an App Check token": app_token,
    "no token": lambda: "garbage",
    "three dots": lambda: "a.b.c",
    "not ASCII": lambda: "Jürgen.ü.ü",
    "nested too deeply": lambda: f"{_base64(b'[' * 50_000)}.{_base64(b'{}')}.x",
}


@pytest.mark.parametrize("bad", BAD_ID_TOKENS.values(), ids=BAD_ID_TOKENS)
async def test_refuses_an_id_token_with(identity: Identity, bad: Callable[[], str]) -> None:
    with pytest.raises(SessionInvalid):
        await identity.verify(headers(bad()))


async def test_an_expired_id_token_is_said_to_have_expired(identity: Identity) -> None:
    now = int(time.time())
    with pytest.raises(SessionExpired):
        await identity.verify(headers(id_token(iat=now - 7200, exp=now - 12)))


@pytest.mark.parametrize("ahead_s", [1, 3, 8])
async def test_the_clocks_of_those_who_issue_tokens_may_be_ahead_of_ours(
    identity: Identity, ahead_s: int
) -> None:
    now = int(time.time())
    given = headers(id_token(iat=now + ahead_s), app_token(iat=now + ahead_s))
    assert (await identity.verify(given)).uid == UID


async def test_the_clocks_of_those_who_issue_tokens_may_be_behind_ours(identity: Identity) -> None:
    now = int(time.time())
    given = headers(id_token(iat=now - 7200, exp=now - 3), app_token(iat=now - 7200, exp=now - 3))
    assert (await identity.verify(given)).uid == UID


async def test_a_token_of_half_a_minute_ahead_is_refused(identity: Identity) -> None:
    now = int(time.time())
    with pytest.raises(SessionInvalid):
        await identity.verify(headers(id_token(iat=now + 30)))
    with pytest.raises(AppCheckFailed):
        await identity.verify(headers(app_token_=app_token(iat=now + 30)))


BAD_APP_TOKENS: dict[str, Callable[[], str]] = {
    "an expiry in the past": lambda: app_token(
        iat=int(time.time()) - 7200, exp=int(time.time()) - 12
    ),
    "no expiry": lambda: app_token(exp=ABSENT),
    "an expiry that is text": lambda: app_token(exp="soon"),
    "no time of issue": lambda: app_token(iat=ABSENT),
    "a time of issue tomorrow": lambda: app_token(iat=int(time.time()) + 86_400),
    "no subject": lambda: app_token(sub=ABSENT),
    "an empty subject": lambda: app_token(sub=""),
    "no issuer": lambda: app_token(iss=ABSENT),
    "another issuer": lambda: app_token(iss=f"https://example.com/{NUMBER}"),
    "an issuer that is a list": lambda: _raw_app_token(iss=[f"{APP_CHECK_ISSUER}{NUMBER}"]),
    "an issuer that only begins alike": lambda: app_token(
        iss=f"https://firebaseappcheck.googleapis.com.evil.com/{NUMBER}"
    ),
    "no audience": lambda: app_token(aud=ABSENT),
    "another project's audience": lambda: app_token(aud=["projects/1", "projects/demo-other"]),
    "an audience that only begins alike": lambda: app_token(aud=[f"projects/{PROJECT}-2"]),
    "another key": lambda: app_token(key=OTHER_KEY),
    "a key id that is not known": lambda: app_token(kid="k2"),
    "no key id": lambda: app_token(kid=None),
    "another type": lambda: app_token(typ="at+jwt"),
    "no algorithm": lambda: unsigned(app_token()),
    "the public key as a password": lambda: signed_with_the_public_key(app_token()),
    "an ID token": id_token,
    "no token": lambda: "garbage",
    "nested too deeply": lambda: f"{_base64(b'[' * 50_000)}.{_base64(b'{}')}.x",
}


def _raw_app_token(**changes: Any) -> str:
    """Signed, with claims that PyJWT will not write."""
    good = app_token().split(".")
    claims = {**json.loads(base64.urlsafe_b64decode(good[1] + "==")), **changes}
    body = f"{good[0]}.{_base64(json.dumps(claims).encode())}"
    algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    return f"{body}.{_base64(algorithm.sign(body.encode(), KEY))}"


@pytest.mark.parametrize("bad", BAD_APP_TOKENS.values(), ids=BAD_APP_TOKENS)
async def test_refuses_an_app_check_token_with(identity: Identity, bad: Callable[[], str]) -> None:
    with pytest.raises(AppCheckFailed):
        await identity.verify(headers(app_token_=bad()))


async def test_of_two_bad_tokens_the_id_token_is_named(identity: Identity) -> None:
    with pytest.raises(SessionInvalid):
        await identity.verify(headers("bad", "bad"))


# -- admins ----------------------------------------------------------------------------------------

HOLDS_IT = '{"admin": true, "team": "red"}'


async def test_an_admins_account_is_looked_up_at_every_call(
    identity: Identity, google: Google
) -> None:
    google.account = {"customAttributes": HOLDS_IT, "email": "ann@demo.test"}
    given = headers(id_token(admin=True, email="ann@demo.test"))
    for _ in range(3):
        caller = await identity.verify_admin(given)
    assert caller == Caller(UID, "ann@demo.test")
    assert google.lookups == 3


@pytest.mark.parametrize(
    ("account", "refusal"),
    [
        (None, SessionRevoked),
        ({"customAttributes": HOLDS_IT, "disabled": True}, SessionRevoked),
        (
            {"customAttributes": HOLDS_IT, "validSince": str(int(time.time()) + 86_400)},
            SessionRevoked,
        ),
        ({"customAttributes": "{}"}, NotAdmin),
        ({"customAttributes": '{"admin": "true"}'}, NotAdmin),
        ({"customAttributes": '{"admin": 1}'}, NotAdmin),
        ({}, NotAdmin),
    ],
)
async def test_the_account_counts_and_not_the_token(
    identity: Identity,
    google: Google,
    account: dict[str, Any] | None,
    refusal: type[CallableError],
) -> None:
    google.account = {"customAttributes": HOLDS_IT, "validSince": str(int(time.time()) - 60)}
    given = headers(id_token(admin=True))
    await identity.verify_admin(given)
    google.account = account
    with pytest.raises(refusal):
        await identity.verify_admin(given)
    assert (await identity.verify(given)).uid == UID  # for what everybody may do, a new token does


async def test_accounts_that_cannot_be_looked_up_are_not_the_callers_fault(
    identity: Identity, google: Google, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    google.account = {"customAttributes": HOLDS_IT}
    given = headers(id_token(admin=True))
    await identity.verify(given)  # its keys are there
    for status in (403, 429, 400):
        google.status = status
        with pytest.raises(SignInUnavailable):
            await identity.verify_admin(given)
        clock.ahead_s += LIMITS.keys_outage_pause_s + 1
    google.status = 200
    assert (await identity.verify_admin(given)).uid == UID
    out, _ = capfd.readouterr()
    assert "account_lookup_failed" in out
    assert "canary" not in out


async def test_an_account_that_is_looked_up_for_long_is_waited_for_a_while_only(
    make: Callable[..., Identity], google: Google
) -> None:
    identity = make(verify_s=1.0)
    given = headers(id_token(admin=True))
    await identity.verify(given)
    google.delay_s = 3.0
    async with asyncio.timeout(1.0 + MARGIN_S):
        with pytest.raises(SignInUnavailable):
            await identity.verify_admin(given)


async def test_an_admin_shows_the_same_two_tokens_as_everybody(
    identity: Identity, google: Google
) -> None:
    google.account = {"customAttributes": HOLDS_IT}
    for given, refusal in (
        ({}, SignInRequired),
        (headers("bad"), SessionInvalid),
        (headers(id_token(admin=True), "bad"), AppCheckFailed),
    ):
        with pytest.raises(refusal):
            await identity.verify_admin(given)


async def test_the_claim_makes_an_admin_and_not_a_verified_address(
    identity: Identity, google: Google
) -> None:
    """Who sets the claim looks at the address: scripts/grant-admin, unless told otherwise."""
    google.account = {"customAttributes": HOLDS_IT, "email": "ann@demo.test"}
    given = headers(id_token(admin=True, email="ann@demo.test", email_verified=False))
    assert await identity.verify_admin(given) == Caller(UID, "ann@demo.test")


# -- accounts of users, looked up beside their calls -----------------------------------------------

GOOD: dict[str, Any] = {"email": "ann@demo.test", "validSince": "1"}


def older_token(**claims: Any) -> str:
    """One that says nothing of the account as it is now."""
    return id_token(iat=int(time.time()) - int(LIMITS.account_fresh_s) - 1, **claims)


async def looked_up(google: Google, times: int) -> None:
    """Return when accounts have been looked up so often, and what was found is known."""
    async with asyncio.timeout(MARGIN_S):
        while google.lookups < times:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)


async def test_a_new_token_says_itself_that_its_account_is_good(
    identity: Identity, google: Google
) -> None:
    for n in range(3):
        await identity.verify(headers(id_token(jti=str(n))))
    await asyncio.sleep(0.1)
    assert google.lookups == 0


@pytest.mark.parametrize(
    "account_now",
    [
        lambda: None,
        lambda: {**GOOD, "disabled": True},
        lambda: {**GOOD, "validSince": str(int(time.time()) - 60)},
    ],
    ids=["deleted", "disabled", "sessions ended"],
)
async def test_a_user_whose_account_is_gone_is_refused_within_minutes(
    identity: Identity,
    google: Google,
    clock: Clock,
    account_now: Callable[[], dict[str, Any] | None],
) -> None:
    google.account = GOOD
    given = headers(older_token())
    await identity.verify(given)
    await looked_up(google, 1)
    google.account = account_now()
    await identity.verify(given)  # it was good a moment ago
    clock.ahead_s = LIMITS.account_fresh_s + 1
    await identity.verify(given)  # no call waits for the account
    await looked_up(google, 2)
    for _ in range(2):
        with pytest.raises(SessionRevoked):
            await identity.verify(given)
    assert google.lookups == 2


async def test_a_user_whose_account_is_enabled_again_signs_in_again(
    identity: Identity, google: Google, clock: Clock
) -> None:
    google.account = {**GOOD, "disabled": True}
    given = headers(older_token())
    await identity.verify(given)
    await looked_up(google, 1)
    with pytest.raises(SessionRevoked):
        await identity.verify(given)
    google.account = GOOD
    later = int(time.time()) + 2  # no such account is issued a token while it is disabled
    assert (await identity.verify(headers(id_token(iat=later)))).uid == UID
    clock.ahead_s = LIMITS.account_fresh_s + 1
    with pytest.raises(SessionRevoked):
        await identity.verify(given)
    await looked_up(google, 2)
    assert (await identity.verify(given)).uid == UID


async def test_an_account_is_looked_up_once_in_a_while_however_many_calls_there_are(
    identity: Identity, google: Google, clock: Clock
) -> None:
    google.account = GOOD
    given = headers(older_token())
    for minutes in range(11):
        clock.ahead_s = 60.0 * minutes
        await asyncio.gather(*(identity.verify(given) for _ in range(20)))
        await asyncio.sleep(0.05)
    assert google.lookups == 3


async def test_many_accounts_are_looked_up_at_once(identity: Identity, google: Google) -> None:
    google.account = GOOD
    given = [headers(older_token(sub=f"user-{n}")) for n in range(120)]
    await identity.verify(given[0])
    google.delay_s = 0.3
    await asyncio.gather(*(identity.verify(each) for each in given))
    async with asyncio.timeout(MARGIN_S * 2):
        while len(google.looked_up) < 120:
            await asyncio.sleep(0.01)
    assert sorted(google.looked_up) == sorted(f"user-{n}" for n in range(120))
    assert google.lookups <= 6


async def test_an_outage_of_the_accounts_costs_no_user_a_call(
    identity: Identity, google: Google, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    given = headers(older_token())
    await identity.verify(headers())  # its keys are there
    google.status = 403  # the functions' service account lacks the role
    await identity.verify(given)
    await looked_up(google, 1)
    await identity.verify(given)
    google.status, google.account = 200, {**GOOD, "disabled": True}
    clock.ahead_s = LIMITS.account_fresh_s + 20
    await identity.verify(given)
    await looked_up(google, 2)
    with pytest.raises(SessionRevoked):
        await identity.verify(given)
    assert "accounts_not_looked_up" in capfd.readouterr().out


async def test_accounts_that_are_remembered_stay_bounded(
    make: Callable[..., Identity], google: Google
) -> None:
    identity = make(accounts_max=3)
    google.account = GOOD
    for n in range(8):
        await identity.verify(headers(older_token(sub=f"user-{n}")))
        await looked_up(google, n + 1)
    assert len(identity._accounts._seen) == 3


# -- the keys --------------------------------------------------------------------------------------


async def test_fifty_callers_at_once_fetch_the_keys_once(
    identity: Identity, google: Google
) -> None:
    google.delay_s = 0.2
    given = [headers(id_token(sub=f"user-{n}"), app_token(jti=str(n))) for n in range(50)]
    callers = await asyncio.gather(*(identity.verify(each) for each in given))
    assert [caller.uid for caller in callers] == [f"user-{n}" for n in range(50)]
    assert google.fetches == {"/certs": 1, "/jwks": 1}


async def test_tokens_with_key_ids_that_callers_make_up_fetch_nothing_more(
    identity: Identity, google: Google
) -> None:
    for n in range(5):
        with pytest.raises(SessionInvalid):
            await identity.verify(headers(id_token(kid=f"x{n}")))
        with pytest.raises(AppCheckFailed):
            await identity.verify(headers(app_token_=app_token(kid=f"x{n}")))
    assert google.fetches["/certs"] == 1
    assert google.fetches["/jwks"] <= 2


async def test_the_loop_goes_on_while_keys_are_fetched_and_signatures_checked(
    identity: Identity, google: Google
) -> None:
    google.delay_s = 0.5
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    given = [headers(id_token(sub=f"user-{n}")) for n in range(20)]
    await asyncio.gather(*(identity.verify(each) for each in given))
    ticking.cancel()
    assert ticks >= 10


async def _unavailable(identity: Identity, given: dict[str, str] | None = None) -> None:
    with pytest.raises(SignInUnavailable) as raised:
        await identity.verify(given or headers())
    assert raised.value.status == "UNAVAILABLE"


@pytest.mark.parametrize("status", [404, 429, 500, 503])
async def test_keys_that_cannot_be_had_are_not_the_callers_fault(
    identity: Identity, google: Google, clock: Clock, status: int
) -> None:
    google.status = status
    await _unavailable(identity)
    google.status = 200
    clock.ahead_s += LIMITS.keys_outage_pause_s + 1
    assert (await identity.verify(headers())).uid == UID


async def test_a_key_server_that_is_down_is_not_the_callers_fault(
    identity: Identity, google: Google, clock: Clock
) -> None:
    await google.stop()
    await _unavailable(identity)
    await google.start()
    clock.ahead_s += LIMITS.keys_outage_pause_s + 1
    assert (await identity.verify(headers())).uid == UID


async def test_each_of_the_two_key_servers_may_be_down(
    make: Callable[..., Identity],
    google: Google,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    await _unavailable(make(keys_url="http://127.0.0.1:9/jwks"))
    monkeypatch.setattr(_token_gen, "ID_TOKEN_CERT_URI", "http://127.0.0.1:9/certs")
    await _unavailable(make())
    assert "verification_unavailable" in capfd.readouterr().out


async def test_during_an_outage_the_keys_are_not_asked_for_by_every_caller(
    identity: Identity, google: Google
) -> None:
    google.status = 503
    for _ in range(10):
        await _unavailable(identity)
    assert google.fetches == {"/certs": 1, "/jwks": 1}


async def test_who_was_verified_before_is_not_touched_by_an_outage(
    identity: Identity, google: Google
) -> None:
    given = headers()
    await identity.verify(given)
    await google.stop()
    assert (await identity.verify(given)).uid == UID
    # nor is somebody new, while the keys are good
    assert (await identity.verify(headers(id_token(sub="new")))).uid == "new"


async def test_a_key_server_that_does_not_answer_is_waited_for_a_while_only(
    make: Callable[..., Identity], google: Google
) -> None:
    google.delay_s = 60.0
    identity = make(keys_fetch_s=0.2)
    async with asyncio.timeout(LIMITS.verify_s + MARGIN_S):
        await asyncio.gather(*(_unavailable(identity, headers(id_token())) for _ in range(5)))


async def test_a_key_server_that_drips_is_waited_for_a_while_only(
    make: Callable[..., Identity], google: Google
) -> None:
    google.drip = True
    async with asyncio.timeout(0.5 + MARGIN_S):
        await _unavailable(make(verify_s=0.5))


async def test_credentials_that_cannot_be_had_are_not_the_callers_fault(
    make: Callable[..., Identity],
    capfd: pytest.CaptureFixture[str],
) -> None:
    await _unavailable(make(NoMetadataServer()))
    assert "verification_unavailable" in capfd.readouterr().out


# -- what is remembered ----------------------------------------------------------------------------


async def test_a_token_is_not_remembered_beyond_its_expiry(
    identity: Identity, clock: Clock
) -> None:
    token = id_token(exp=int(time.time()) + 100)
    given = headers(token)
    await identity.verify(given)
    clock.ahead_s = 90
    await identity.verify(given)
    clock.ahead_s = 101 + LIMITS.leeway_s
    with pytest.raises(SessionExpired):
        await identity.verify(given)


async def test_an_app_check_token_is_not_remembered_beyond_its_expiry(
    identity: Identity, clock: Clock
) -> None:
    given = headers(app_token_=app_token(exp=int(time.time()) + 100))
    await identity.verify(given)
    clock.ahead_s = 101 + LIMITS.leeway_s
    with pytest.raises(AppCheckFailed):
        await identity.verify(given)


async def test_a_token_is_remembered_for_minutes_only(
    make: Callable[..., Identity], clock: Clock, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = make()
    given = headers()
    await identity.verify(given)
    # a fresh look would need another key
    monkeypatch.setattr(_token_gen._JWTVerifier, "verify", _refuse)
    clock.ahead_s = LIMITS.token_fresh_s - 5
    await identity.verify(given)
    clock.ahead_s = LIMITS.token_fresh_s + 5
    with pytest.raises(SessionInvalid):
        await identity.verify(given)


def _refuse(*_: Any, **__: Any) -> None:
    raise ValueError


async def test_a_refused_token_is_not_remembered_as_good(identity: Identity) -> None:
    given = headers(id_token(aud="demo-other"))
    for _ in range(2):
        with pytest.raises(SessionInvalid):
            await identity.verify(given)


async def test_what_is_remembered_stays_bounded(make: Callable[..., Identity]) -> None:
    identity = make(tokens_max=3)
    for n in range(8):
        await identity.verify(headers(id_token(sub=f"user-{n}")))
    assert len(identity._id_tokens._verified) <= 3


# -- what is written down --------------------------------------------------------------------------


async def test_nothing_of_a_token_is_ever_logged(
    identity: Identity,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    canary = "canary-7f3a"
    tokens = [
        id_token(sub=canary),
        id_token(sub=canary, aud=canary),
        id_token(sub=canary, kid=canary),
        app_token(sub=canary, iss=canary),
        app_token(sub=canary, kid=canary),
        canary,
        f"{canary}.{canary}.{canary}",
    ]
    for token in tokens:
        for given in (headers(id_token_=token), headers(app_token_=token)):
            (outcome,) = await asyncio.gather(identity.verify(given), return_exceptions=True)
            if isinstance(outcome, CallableError):
                assert canary not in json.dumps(outcome.to_wire("0" * 32))
                assert canary not in "".join(traceback.format_exception(outcome))
    out, err = capfd.readouterr()
    written = out + err + caplog.text
    assert "refused" in out
    assert canary not in written
    for token in tokens[:5]:
        for part in token.split("."):
            assert part not in written
