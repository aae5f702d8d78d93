"""`execute_prompt` with a timer around its parts: where the wait for a first token goes.

At the first text frame of each streamed call, it prints one line of JSON: milliseconds by part. It
wraps the functions from outside, and serves one call at a time.
"""

import functools
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from functions_framework import aio
from starlette.requests import Request

from firerouter.app import FUNCTIONS, edge
from firerouter.app.environment import check_environment
from firerouter.callable import CallableResponse
from firerouter.features.app_settings_store import AppSettingsStore
from firerouter.features.store import FeatureStore
from firerouter.keys.pool import KeySlot
from firerouter.ledger.ledger import Ledger
from firerouter.openrouter import AnswerStream, OpenRouter
from firerouter.users.identity import Identity

PARTS: tuple[tuple[type, str, str], ...] = (
    (Identity, "verify", "identity"),
    (FeatureStore, "get", "settings"),
    (AppSettingsStore, "get", "settings"),
    (KeySlot, "get", "keys"),
    (Ledger, "admit", "admit"),
    (OpenRouter, "_post", "headers"),  # includes connecting, once
    (AnswerStream, "prime", "token"),
)
FIRST_TEXT = b'{"message":{"type":"text"'

check_environment()
ENTRY_POINT = edge.entry_point(next(row for row in FUNCTIONS if row.name == "execute_prompt"))
_spans: dict[str, list[tuple[float, float]]] = {}


@aio.http
async def execute_prompt(request: Request) -> Any:
    """Answer as functions/main.py does."""
    return await ENTRY_POINT(request)


def _timed(part: str, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(work)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return await work(*args, **kwargs)
        finally:
            _spans.setdefault(part, []).append((began, time.perf_counter()))

    return wrapper


def _report(began: float) -> None:
    # parallel reads count once: from the first start to the last end
    took = {"all": time.perf_counter() - began}
    for part, spans in _spans.items():
        if part == "settings":
            took[part] = max(end for _, end in spans) - min(start for start, _ in spans)
        else:
            took[part] = sum(end - start for start, end in spans)
    print(json.dumps({name: round(s * 1000, 3) for name, s in took.items()}), flush=True)


def _with_report(call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(call)
    async def wrapper(self: Any, scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        _spans.clear()
        reported = False

        async def send_and_report(message: Any) -> None:
            nonlocal reported
            await send(message)
            if not reported and FIRST_TEXT in message.get("body", b""):
                reported = True
                _report(began)

        await call(self, scope, receive, send_and_report)

    return wrapper


for _class, _name, _part in PARTS:
    setattr(_class, _name, _timed(_part, getattr(_class, _name)))
CallableResponse.__call__ = _with_report(CallableResponse.__call__)  # type: ignore[method-assign, assignment]
