"""The App Check stand-in: its tokens verify with the Admin SDK, and its bad ones do not."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import firebase_admin
import httpx
import jwt
import pytest
from firebase_admin import app_check, credentials
from google.auth.credentials import AnonymousCredentials
from jwt.exceptions import PyJWKClientError

from tests.support.repository import ROOT

PROJECT = "demo-firerouter"
NUMBER = "123456789012"
APP_ID = "1:123456789012:web:demo"


@dataclass(frozen=True)
class Standin:
    process: subprocess.Popen[str]
    url: str


@contextmanager
def started(*options: str) -> Iterator[Standin]:
    command = [sys.executable, "-m", "scripts.standins.app_check", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " on http://" in line, line + process.stdout.read()
            yield Standin(process, line.rsplit(" on ", 1)[1].strip())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    with started() as standin:
        yield standin


class NoCredential(credentials.Base):  # type: ignore[misc]  # the SDK ships no types
    """Without one the Admin SDK looks for Google's default credentials, which a laptop lacks."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]


@pytest.fixture
def admin(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    """An app whose verifier takes its keys from the stand-in; nothing else is changed."""
    monkeypatch.setattr(app_check._AppCheckService, "_JWKS_URL", f"{standin.url}/v1/jwks")
    app = firebase_admin.initialize_app(
        NoCredential(), {"projectId": PROJECT, "httpTimeout": 5}, name="appcheck-standin"
    )
    yield app
    firebase_admin.delete_app(app)


def mint(standin: Standin, **wishes: Any) -> str:
    answer = httpx.post(f"{standin.url}/token", json=wishes).raise_for_status()
    return str(answer.json()["token"])


def test_its_token_verifies_with_the_admin_sdk(standin: Standin, admin: firebase_admin.App) -> None:
    claims = app_check.verify_token(mint(standin), admin)
    assert claims["app_id"] == APP_ID
    assert claims["iss"] == f"https://firebaseappcheck.googleapis.com/{NUMBER}"
    assert claims["aud"] == [f"projects/{NUMBER}", f"projects/{PROJECT}"]
    assert claims["exp"] - claims["iat"] == 3600
    assert "jti" not in claims


def test_its_token_verifies_with_the_published_key_alone(standin: Standin) -> None:
    token = mint(standin)
    key = jwt.PyJWKClient(f"{standin.url}/v1/jwks").get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=f"projects/{NUMBER}")
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"], header["kid"]) == ("RS256", "JWT", key.key_id)
    assert claims["sub"] == APP_ID


def test_the_key_set_holds_the_public_half_only(standin: Standin) -> None:
    (key,) = httpx.get(f"{standin.url}/v1/jwks").json()["keys"]
    assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


def test_names_the_app_asked_for(standin: Standin, admin: firebase_admin.App) -> None:
    token = mint(standin, appId="1:1:android:other", ttlSeconds=60)
    claims = app_check.verify_token(token, admin)
    assert claims["app_id"] == "1:1:android:other"
    assert claims["exp"] - claims["iat"] == 60


def test_says_in_milliseconds_when_the_token_expires(standin: Standin) -> None:
    # no body at all is a request without wishes
    answer = httpx.post(f"{standin.url}/token").raise_for_status().json()
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert answer["expireTimeMillis"] == claims["exp"] * 1000
    assert abs(claims["exp"] - time.time() - 3600) < 10


def test_a_limited_use_token_has_an_id_of_its_own(
    standin: Standin, admin: firebase_admin.App
) -> None:
    ids = {app_check.verify_token(mint(standin, limitedUse=True), admin)["jti"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"ttlSeconds": -1}, "expired"),
        ({"ttlSeconds": 0}, "expired"),
        ({"projectId": "demo-another"}, "audience"),
        ({"audience": ["projects/999"]}, "audience"),
        ({"audience": []}, "aud"),
        ({"issuer": "https://example.com/1"}, "issuer"),
    ],
    ids=["expired", "expired just now", "other project", "other audience", "none", "other issuer"],
)
def test_its_bad_tokens_are_refused(
    standin: Standin, admin: firebase_admin.App, wishes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        app_check.verify_token(mint(standin, **wishes), admin)


def test_the_token_of_another_issuer_is_refused(admin: firebase_admin.App) -> None:
    with started() as other:
        token = mint(other)
    with pytest.raises(PyJWKClientError):
        app_check.verify_token(token, admin)


def test_counts_the_fetches_of_its_keys_and_fails_those_it_is_told_to(standin: Standin) -> None:
    def fetches() -> int:
        return int(httpx.get(f"{standin.url}/sim/jwks-fetches").json()["count"])

    before = fetches()
    order = {"status": 503, "count": 2}
    httpx.post(f"{standin.url}/sim/fail", json=order).raise_for_status()
    statuses = [httpx.get(f"{standin.url}/v1/jwks").status_code for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert fetches() - before == 3


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/token", b"{", "not JSON"),
        ("/token", b"[]", "JSON object"),
        ("/token", b'{"ttl": 5}', "unknown field: ttl"),
        ("/token", b'{"ttlSeconds": "5"}', "ttlSeconds must be of type int"),
        ("/token", b'{"ttlSeconds": true}', "ttlSeconds must be of type int"),
        ("/token", b'{"ttlSeconds": 604801}', "within 604800"),
        ("/token", b'{"audience": "projects/1"}', "audience must be of type list"),
        ("/token", b'{"audience": [1]}', "list of strings"),
        ("/token", b'{"limitedUse": 1}', "limitedUse must be of type bool"),
        ("/sim/fail", b'{"status": 200, "count": 1}', "400 to 599"),
        ("/sim/fail", b'{"status": 503, "count": -1}', "not negative"),
        ("/sim/fail", b"[]", "JSON object"),
    ],
)
def test_refuses_what_it_does_not_understand(
    standin: Standin, path: str, body: bytes, text: str
) -> None:
    answer = httpx.post(f"{standin.url}{path}", content=body)
    assert answer.status_code == 400
    assert text in answer.json()["error"]


def test_a_page_of_any_origin_may_ask_for_a_token(standin: Standin) -> None:
    origin = "http://127.0.0.1:5000"
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = httpx.options(f"{standin.url}/token", headers=asks)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type"
    for answer in (
        preflight,
        httpx.post(f"{standin.url}/token", headers={"Origin": origin}, json={}),
        httpx.post(f"{standin.url}/token", headers={"Origin": origin}, content=b"{"),
        httpx.get(f"{standin.url}/no-such-path", headers={"Origin": origin}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"


def test_says_what_it_is(standin: Standin) -> None:
    answer = httpx.get(standin.url)
    assert answer.status_code == 200
    assert "stand-in for Firebase App Check" in answer.text
    assert httpx.get(f"{standin.url}/no-such-path").status_code == 404


def test_a_kept_key_verifies_tokens_from_before_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "made" / "key.pem"
    with started("--key", str(path), "--project", "demo-kept") as first:
        token = mint(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with started("--key", str(path)) as second:
        key = jwt.PyJWKClient(f"{second.url}/v1/jwks").get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["RS256"], audience="projects/demo-kept")
    assert claims["sub"] == APP_ID


def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a key")
    refused = subprocess.run(
        [sys.executable, "-m", "scripts.standins.app_check", "--port", "0", "--key", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith("notes.txt holds no RSA private key in PEM")
    assert path.read_text() == "not a key"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_one_line_printed(number: signal.Signals) -> None:
    with started() as standin:
        mint(standin)
        os.kill(standin.process.pid, number)
        rest, _ = standin.process.communicate(timeout=10)
        assert (standin.process.returncode, rest) == (0, "")
