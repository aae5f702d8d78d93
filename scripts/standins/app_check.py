"""A stand-in for Firebase App Check, which issues tokens that pass verification.

It signs with an RSA key of its own and publishes the public half as App Check does, so that the
verifier under test checks signature, key ID, audience, issuer and times as in production, against
another key set. The claims follow "Verify App Check tokens from a custom backend" in the Firebase
docs: RS256 with a `kid`; `iss` names the project's number; `aud` lists the project by number and by
ID; `sub` is the app ID; `iat` and `exp` are in seconds. Limited-use tokens also carry a `jti`.

    GET  /v1/jwks           -> {"keys": [...]}
    POST /token             <- {"appId"?, "projectId"?, "ttlSeconds"?, "limitedUse"?,
                                "audience"?, "issuer"?}
                            -> {"token", "expireTimeMillis"}, as a client's CustomProvider wants it
    POST /v1beta/projects/{id}:verifyAppCheckToken
                            <- {"app_check_token"} -> {} or {"alreadyConsumed": true}; it is
                            consumed from then on
    GET  /sim/jwks-fetches  -> {"count"}: how often the key set was fetched, failures included
    POST /sim/fail          <- {"status": 503, "count": 2}: the next fetches of the key set fail

It issues bad tokens too: with a negative `ttlSeconds` an expired one, with `audience` (a list) and
`issuer` (a string) one that is meant for another service.

Any web page may request a token, which opens the local suite and nothing else.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import jwt
from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from scripts.standins import DEMO_PROJECT, DEMO_PROJECT_NUMBER
from scripts.standins.server import add_address_options, stop_event

DEFAULT_PORT = 9183
DEMO_APP_ID = f"1:{DEMO_PROJECT_NUMBER}:web:demo"
ISSUER = "https://firebaseappcheck.googleapis.com/"
TOKEN_TTL_S = 3600  # the default of App Check's providers
TOKEN_TTL_MAX_S = 7 * 24 * 3600  # the longest that a project can set
RSA_KEY_BITS = 2048

_TOKEN_FIELDS = frozenset({"appId", "projectId", "ttlSeconds", "limitedUse", "audience", "issuer"})
_Wanted = TypeVar("_Wanted")


class BadRequest(ValueError):
    """The request body is not one that the module's docstring allows."""


@dataclass(frozen=True)
class TokenRequest:
    """A validated request to POST /token."""

    app_id: str
    audience: list[str]
    issuer: str
    ttl_s: int  # negative: it expired that long ago
    limited_use: bool

    @classmethod
    def parse(cls, body: Any, project: str) -> "TokenRequest":
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        unknown = sorted(body.keys() - _TOKEN_FIELDS)
        if unknown:
            raise BadRequest(f"unknown field: {', '.join(unknown)}")
        project = _field(body, "projectId", str, project)
        ttl_s = _field(body, "ttlSeconds", int, TOKEN_TTL_S)
        if abs(ttl_s) > TOKEN_TTL_MAX_S:
            raise BadRequest(f"ttlSeconds must be within {TOKEN_TTL_MAX_S} of 0")
        audience = _field(
            body, "audience", list, [f"projects/{DEMO_PROJECT_NUMBER}", f"projects/{project}"]
        )
        if not all(isinstance(name, str) for name in audience):
            raise BadRequest("audience must be a list of strings")
        return cls(
            app_id=_field(body, "appId", str, DEMO_APP_ID),
            audience=audience,
            issuer=_field(body, "issuer", str, f"{ISSUER}{DEMO_PROJECT_NUMBER}"),
            ttl_s=ttl_s,
            limited_use=_field(body, "limitedUse", bool, False),
        )


def _field(body: dict[str, Any], name: str, kind: type[_Wanted], default: _Wanted) -> _Wanted:
    value = body.get(name, default)
    # a bool is an int in Python, but not in JSON
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadRequest(f"{name} must be of type {kind.__name__}")
    return value


class Issuer:
    """One RSA key, its public half as a JWK, and the tokens signed with it."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        numbers: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        public = {name: numbers[name] for name in ("e", "kty", "n")}
        # the ID is the key's thumbprint (RFC 7638), so a saved key keeps its ID
        plain = json.dumps(public, separators=(",", ":"), sort_keys=True).encode()
        digest = hashlib.sha256(plain).digest()
        self.kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.jwk = {**public, "use": "sig", "alg": "RS256", "kid": self.kid}

    def mint(self, request: TokenRequest, now_s: int) -> tuple[str, int]:
        """Return a signed token, and when it expires, in milliseconds since the epoch."""
        expires_s = now_s + request.ttl_s
        claims: dict[str, Any] = {
            "iss": request.issuer,
            "aud": request.audience,
            "sub": request.app_id,
            # an expired token was issued before it expired
            "iat": now_s if request.ttl_s > 0 else expires_s - TOKEN_TTL_S,
            "exp": expires_s,
        }
        if request.limited_use:
            claims["jti"] = str(uuid4())
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.kid})
        return token, expires_s * 1000

    def issued(self, token: str, project: str) -> bool:
        """Return whether a token was issued here for this project, and has not expired."""
        try:
            jwt.decode(
                token, self._key.public_key(), algorithms=["RS256"], audience=f"projects/{project}"
            )
        except jwt.InvalidTokenError:
            return False
        return True


class Endpoints:
    """The HTTP interface, which counts fetches of the keys and fails on request."""

    def __init__(self, issuer: Issuer, project: str) -> None:
        self._issuer = issuer
        self._project = project
        self._fetches = 0
        self._fail_status = 503
        self._fail_count = 0
        self._consumed: set[str] = set()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_answer_any_origin])
        app.router.add_get("/", self._about)
        app.router.add_get("/v1/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        app.router.add_post("/v1beta/projects/{project}:verifyAppCheckToken", self._consume)
        app.router.add_get("/sim/jwks-fetches", self._show_fetches)
        app.router.add_post("/sim/fail", self._order_failures)
        return app

    async def _about(self, _request: web.Request) -> web.Response:
        text = (
            "Firerouter's stand-in for Firebase App Check. It simulates: its tokens are signed\n"
            "with a key of its own and open nothing but the local suite.\n\n"
            f"project {self._project} ({DEMO_PROJECT_NUMBER}), key {self._issuer.kid}\n\n"
            "GET /v1/jwks\nPOST /token\nPOST /v1beta/projects/{id}:verifyAppCheckToken\n"
            "GET /sim/jwks-fetches\nPOST /sim/fail\n"
        )
        return web.Response(text=text)

    async def _jwks(self, _request: web.Request) -> web.Response:
        self._fetches += 1
        if self._fail_count:
            self._fail_count -= 1
            return web.json_response(
                {"error": "the stand-in was told to fail"}, status=self._fail_status
            )
        return web.json_response({"keys": [self._issuer.jwk]})

    async def _token(self, request: web.Request) -> web.Response:
        wanted = TokenRequest.parse(await _json(request), self._project)
        token, expires_ms = self._issuer.mint(wanted, int(time.time()))
        return web.json_response({"token": token, "expireTimeMillis": expires_ms})

    async def _consume(self, request: web.Request) -> web.Response:
        body = await _json(request)
        token = body.get("app_check_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not self._issuer.issued(
            token, request.match_info["project"]
        ):
            raise BadRequest("app_check_token is not valid")
        known = token in self._consumed
        self._consumed.add(token)
        return web.json_response({"alreadyConsumed": True} if known else {})

    async def _show_fetches(self, _request: web.Request) -> web.Response:
        return web.json_response({"count": self._fetches})

    async def _order_failures(self, request: web.Request) -> web.Response:
        """Order failures, in place of earlier orders; a count of 0 ends them."""
        body = await _json(request)
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        status, times = _field(body, "status", int, 503), _field(body, "count", int, 1)
        if not 400 <= status <= 599 or times < 0:
            raise BadRequest("status must be 400 to 599 and count not negative")
        self._fail_status, self._fail_count = status, times
        return web.json_response({"status": status, "count": times})


async def _json(request: web.Request) -> Any:
    """Parse the body; an empty one counts as {}."""
    text = await request.read()
    try:
        return json.loads(text or b"{}")
    except ValueError:
        raise BadRequest("the body is not JSON") from None


@web.middleware
async def _answer_any_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer CORS for every route, and for errors too, so that a page can read them."""
    response: web.StreamResponse
    if request.method == "OPTIONS":
        response = web.Response(status=204)
    else:
        try:
            response = await handler(request)
        except BadRequest as error:
            response = web.json_response({"error": str(error)}, status=400)
        except web.HTTPException as error:  # no such path, no such method
            response = web.json_response({"error": error.reason}, status=error.status)
    response.headers["Vary"] = "Origin"
    if "Origin" in request.headers:
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        asked = request.headers.get("Access-Control-Request-Headers", "Content-Type")
        response.headers["Access-Control-Allow-Headers"] = asked
        response.headers["Access-Control-Max-Age"] = "3600"
    return response


def load_key(path: Path | None) -> rsa.RSAPrivateKey:
    """Read the key of a PEM file, which is created if it is missing; without a path, create a key.

    Raises:
        ValueError: The file contains no RSA private key.
        OSError: The file cannot be read or written.
    """
    if path is not None and path.exists():
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{path} holds no RSA private key in PEM")
        return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_KEY_BITS)
    if path is not None:
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        # private from the start; O_EXCL, so that two starts cannot mix two keys
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    return key


async def serve(issuer: Issuer, *, host: str, port: int, project: str) -> None:
    """Serve until SIGINT or SIGTERM. A `port` of 0 picks a free one; the printed line names it."""
    stop = stop_event()
    runner = web.AppRunner(Endpoints(issuer, project).app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, shutdown_timeout=1).start()
        where = f"[{host}]" if ":" in host else host
        bound = runner.addresses[0][1]
        print(f"App Check stand-in (not Google's) on http://{where}:{bound}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.standins.app_check",
        description="A stand-in for Firebase App Check, which signs tokens with a key of its own.",
    )
    add_address_options(parser, default_port=DEFAULT_PORT)
    parser.add_argument(
        "--project", default=DEMO_PROJECT, help="the project ID (default: %(default)s)"
    )
    parser.add_argument(
        "--key",
        type=Path,
        help="the PEM file of the key, created if missing (default: a new key each time)",
    )
    options = parser.parse_args()
    try:
        issuer = Issuer(load_key(options.key))
        asyncio.run(serve(issuer, host=options.host, port=options.port, project=options.project))
    except (OSError, ValueError) as error:
        sys.exit(f"App Check stand-in: {error}")


if __name__ == "__main__":
    main()
