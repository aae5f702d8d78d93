"""Callers of the functions: their tokens and whole HTTP requests, for any number of users.

Every stream has a user of its own, as in production: a user's counters are one document in
Firestore, and many streams of one user would measure the contention on it.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from scripts.devtools.callable_client import id_token
from scripts.devtools.ports import LOOPBACK
from scripts.devtools.suite import Suite


def app_check_tokens(suite: Suite, count: int) -> list[str]:
    """Get `count` different tokens from the App Check stand-in."""
    with httpx.Client(trust_env=False) as http:
        responses = [
            http.post(f"http://{suite.app_check_host}/token", json={"limitedUse": True})
            for _ in range(count)
        ]
    return [str(response.raise_for_status().json()["token"]) for response in responses]


class Callers:
    """Writes the requests of users who have never called before."""

    def __init__(self, suite: Suite) -> None:
        self._project = suite.project
        (self._app_check,) = app_check_tokens(suite, 1)
        self._numbers: Iterator[int] = itertools.count()

    def fresh(self, **claims: Any) -> Callable[..., str]:
        """Return a new user: a function that writes the text of a request."""
        token = id_token(self._project, f"bench-{next(self._numbers)}", **claims)

        def write(port: int, data: Any, *, stream: bool, app_check: str | None = None) -> str:
            headers = {
                "Authorization": f"Bearer {token}",
                "X-Firebase-AppCheck": app_check or self._app_check,
            }
            return post(port, "/", {"data": data}, stream=stream, headers=headers)

        return write


def post(
    port: int, path: str, body: Any, *, stream: bool, headers: dict[str, str] | None = None
) -> str:
    """Return the text of an HTTP request."""
    text = json.dumps(body)
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {LOOPBACK}:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
        f"Accept: {'text/event-stream' if stream else '*/*'}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", text])
