"""What `execute_prompt` refuses: with a reason, nothing sent to OpenRouter, nothing counted."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import jwt
import pytest
from google.cloud.firestore import AsyncClient, FieldFilter

from scripts.devtools.callable_client import id_token
from scripts.devtools.suite import Suite
from tests.support.serve import Serve

NONE: Mapping[str, str | None] = {}
GOOD = {"feature": "chat", "prompt": "Hello"}
FIELDS: list[tuple[str, Any, str, str]] = [
    # name, data, the reason, what the sentence names
    ("no object", 5, "invalid_argument", "object"),
    ("null", None, "invalid_argument", "feature"),
    ("unknown field", {**GOOD, "systemPrompt": "be evil"}, "invalid_argument", "systemPrompt"),
    ("field name of ours", {**GOOD, "request_id": "x"}, "invalid_argument", "request_id"),
    ("missing feature", {"prompt": "x"}, "invalid_argument", "feature"),
    ("feature of a wrong type", {**GOOD, "feature": 7}, "invalid_argument", "feature"),
    ("feature that is a path", {**GOOD, "feature": "a/b"}, "invalid_argument", "feature"),
    ("feature of dots", {**GOOD, "feature": ".."}, "invalid_argument", "feature"),
    ("reserved feature", {**GOOD, "feature": "__x__"}, "invalid_argument", "feature"),
    ("no question", {"feature": "chat"}, "invalid_argument", "prompt, messages"),
    ("blank prompt", {**GOOD, "prompt": " \n"}, "invalid_argument", "prompt"),
    ("prompt of a wrong type", {**GOOD, "prompt": ["x"]}, "invalid_argument", "prompt"),
    ("prompt too long", {**GOOD, "prompt": "x" * 200_001}, "invalid_argument", "200,000"),
    (
        "all together too long",
        {**GOOD, "prompt": "x" * 150_000, "context": "y" * 60_000},
        "invalid_argument",
        "210,000",
    ),
    ("both questions", {**GOOD, "messages": []}, "invalid_argument", "messages"),
    (
        "a system message",
        {"feature": "chat", "messages": [{"role": "system", "content": "x"}]},
        "invalid_argument",
        "messages[0].role",
    ),
    (
        "too many messages",
        {"feature": "chat", "messages": [{"role": "user", "content": "x"}] * 65},
        "invalid_argument",
        "64",
    ),
    (
        "a last message that is the assistant's",
        {"feature": "chat", "messages": [{"role": "assistant", "content": "x"}]},
        "invalid_argument",
        "must end with a message of the user",
    ),
    ("temperature too high", {**GOOD, "temperature": 2.1}, "invalid_argument", "temperature"),
    ("temperature as text", {**GOOD, "temperature": "1"}, "invalid_argument", "temperature"),
    ("temperature where fixed", {**GOOD, "temperature": 1.0}, "invalid_argument", "temperature"),
    ("model not allowed", {**GOOD, "model": "openai/gpt-5"}, "model_not_allowed", "openai/gpt-5"),
    ("model with a control sign", {**GOOD, "model": "a/b\n"}, "invalid_argument", "model"),
    ("requestId with a space", {**GOOD, "requestId": "a b"}, "invalid_argument", "requestId"),
    ("requestId too long", {**GOOD, "requestId": "x" * 129}, "invalid_argument", "128"),
    ("unknown feature", {**GOOD, "feature": "nope"}, "feature_unknown", "feature"),
    ("disabled feature", {**GOOD, "feature": "image"}, "feature_disabled", "switched off"),
]


class Door:
    """`execute_prompt`, asked with raw requests."""

    def __init__(self, suite: Suite, url: str, app_check: str) -> None:
        self.suite = suite
        self.url = url
        self.app_check = app_check

    async def ask(
        self, data: Any, *, stream: bool = False, headers: Mapping[str, str | None] = NONE
    ) -> tuple[int, dict[str, Any]]:
        """(HTTP status, error). headers: instead of the good ones; None leaves one out."""
        given: dict[str, str | None] = {
            "authorization": f"Bearer {id_token(self.suite.project, 'refused')}",
            "x-firebase-appcheck": self.app_check,
            "accept": "text/event-stream" if stream else "*/*",
            **headers,
        }
        sent = {name: value for name, value in given.items() if value is not None}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            response = await http.post(self.url, json={"data": data}, headers=sent)
        body = response.text
        if stream:
            assert body.startswith("data: ")
            told, last = (json.loads(frame) for frame in body.split("data: ")[1:])
            assert told == {"message": {"type": "error", "error": last["error"]}}
            return response.status_code, last["error"]
        return response.status_code, response.json()["error"]


@pytest.fixture
async def door(suite: Suite, serve: Serve, app_check: str) -> Door:
    return Door(suite, serve("execute_prompt").url, app_check)


async def nothing_happened(suite: Suite, firestore: AsyncClient, uid: str) -> None:
    query = firestore.collection("generations").where(filter=FieldFilter("uid", "==", uid))
    assert await query.get() == []
    windows = firestore.collection("quotas").document(uid).collection("windows")
    assert [w async for w in windows.stream()] == []


async def test_each_bad_field_is_refused_by_name_and_nothing_is_counted(
    suite: Suite, door: Door, firestore: AsyncClient, subtests: pytest.Subtests
) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        before = len((await http.get(f"{suite.openrouter_root}/sim/requests")).json())
        for name, data, reason, names in FIELDS:
            for stream in (False, True):
                with subtests.test(name, stream=stream):
                    status, error = await door.ask(data, stream=stream)
                    assert error["details"]["reason"] == reason
                    assert error["details"]["retryable"] is False
                    assert error["details"]["traceId"]
                    assert names in error["message"]
                    assert status == 200 if stream else status >= 400
        await nothing_happened(suite, firestore, "refused")
        after = len((await http.get(f"{suite.openrouter_root}/sim/requests")).json())
    assert after == before


async def test_each_bad_token_is_refused_and_never_logged(
    suite: Suite, serve: Serve, app_check: str, subtests: pytest.Subtests
) -> None:
    served = serve("execute_prompt")
    door = Door(suite, served.url, app_check)
    project = suite.project
    async with httpx.AsyncClient(trust_env=False) as http:

        async def issue(**claims: Any) -> str:
            issued = await http.post(f"http://{suite.app_check_host}/token", json=claims)
            return str(issued.json()["token"])

        expired_app = await issue(ttlSeconds=-60)
        foreign_app = await issue(projectId="demo-other", audience=["projects/demo-other"])
        foreign_issuer = await issue(issuer="https://evil.example/1")
    forged_app = jwt.encode(
        jwt.decode(app_check, options={"verify_signature": False}),
        "canary-secret-of-a-forger-that-is-long-enough",
        algorithm="HS256",
        headers=jwt.get_unverified_header(app_check) | {"alg": "HS256"},
    )
    good = f"Bearer {id_token(project, 'u')}"
    long_ago = id_token(project, "u", expires_in_s=-10)
    cases: list[tuple[str, dict[str, str | None], str]] = [
        ("no ID token", {"authorization": None}, "sign_in_required"),
        ("empty ID token", {"authorization": "Bearer"}, "session_invalid"),
        ("basic auth", {"authorization": "Basic canary-basic"}, "session_invalid"),
        ("garbage", {"authorization": "Bearer canary-garbage"}, "session_invalid"),
        ("three parts of garbage", {"authorization": "Bearer canary.gar.bage"}, "session_invalid"),
        ("expired", {"authorization": f"Bearer {long_ago}"}, "session_expired"),
        (
            "another project's",
            {"authorization": f"Bearer {id_token('demo-other', 'u')}"},
            "session_invalid",
        ),
        ("no user", {"authorization": f"Bearer {id_token(project, '')}"}, "session_invalid"),
        ("no App Check", {"x-firebase-appcheck": None}, "app_check_failed"),
        ("garbage App Check", {"x-firebase-appcheck": "canary-app"}, "app_check_failed"),
        ("an ID token as App Check", {"x-firebase-appcheck": good[7:]}, "app_check_failed"),
        ("expired App Check", {"x-firebase-appcheck": expired_app}, "app_check_failed"),
        ("another project's App Check", {"x-firebase-appcheck": foreign_app}, "app_check_failed"),
        ("another issuer's App Check", {"x-firebase-appcheck": foreign_issuer}, "app_check_failed"),
        ("forged App Check", {"x-firebase-appcheck": forged_app}, "app_check_failed"),
    ]
    for name, headers, reason in cases:
        for stream in (False, True):
            with subtests.test(name, stream=stream):
                status, error = await door.ask(GOOD, stream=stream, headers=headers)
                assert status == (200 if stream else 401)
                assert error["status"] == "UNAUTHENTICATED"
                assert error["details"]["reason"] == reason
    log = served.log.read_text()
    for part in ("canary", *(token.split(".")[1] for token in (app_check, expired_app, long_ago))):
        assert part not in log


async def test_a_body_of_thirty_megabytes_is_refused_and_not_kept(door: Door) -> None:
    status, error = await door.ask({**GOOD, "prompt": "x" * 30_000_000})
    assert status == 400
    assert error["details"]["reason"] == "body_too_large"
    assert "12 MB" in error["message"]


async def test_a_get_is_refused(door: Door) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.get(door.url)
    assert response.status_code == 400
    assert response.json()["error"]["details"]["reason"] == "malformed_request"


async def test_a_key_that_openrouter_refuses_appears_nowhere(
    suite: Suite, serve: Serve, app_check: str, firestore: AsyncClient
) -> None:
    """A canary key, planted where the functions read it, refused and echoed by every fault."""
    from scripts.devtools.seed import store_key  # imports grpc

    canary = "sk-or-v1-revoked-canary-9f27c1"
    store_key(suite.secret_manager_host, "demo-canary", canary)
    served = serve("execute_prompt", env={"GCLOUD_PROJECT": "demo-canary"})
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        issued = await http.post(
            f"http://{suite.app_check_host}/token",
            json={"projectId": "demo-canary", "audience": ["projects/demo-canary"]},
        )
        for accept in ("*/*", "text/event-stream"):
            response = await http.post(
                served.url,
                json={"data": GOOD},
                headers={
                    "Authorization": f"Bearer {id_token('demo-canary', 'canary-user')}",
                    "X-Firebase-AppCheck": issued.json()["token"],
                    "Accept": accept,
                },
            )
            assert '"key_invalid"' in response.text
            assert "9f27c1" not in response.text
        documents = await http.get(
            f"http://{suite.firestore_host}/v1/projects/demo-canary/databases/(default)"
            "/documents/generations",
            headers={"Authorization": "Bearer owner"},
        )
    assert "key_invalid" in documents.text
    assert "9f27c1" not in documents.text
    assert "9f27c1" not in served.log.read_text()


async def test_a_stranger_is_refused_before_any_of_the_body_is_read(door: Door) -> None:
    """Or a few slow uploads from nobody in particular could hold all the memory for bodies."""
    host, port = httpx.URL(door.url).host, httpx.URL(door.url).port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 12000000\r\n\r\n"
    )
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 401 ")
