"""`execute_prompt` with a stop watch around its parts: where the wait for a first token goes.

Prints one line of JSON for each streamed call, at its first text frame: milliseconds by part. It
wraps from outside; the functions themselves know nothing of it. One call at a time, please.
"""

import functools
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from functions_framework import aio
from starlette.requests import Request

from firerouter.app import edge
from firerouter.app.environment import check_environment
from firerouter.callable import CallableResponse
from firerouter.features.app_settings_store import AppSettingsStore
from firerouter.features.store import FeatureStore
from firerouter.keys.pool import KeySlot
from firerouter.ledger.ledger import Ledger
from firerouter.openrouter import Answer, OpenRouter
from firerouter.users.identity import Identity

PARTS: tuple[tuple[type, str, str], ...] = (
    (Identity, "verify", "identity"),
    (FeatureStore, "get", "settings"),
    (AppSettingsStore, "get", "settings"),
    (KeySlot, "get", "keys"),
    (Ledger, "admit", "admit"),
    (OpenRouter, "_post", "headers"),  # connecting included, once
    (Answer, "prime", "token"),
)
FIRST_TEXT = b'{"message":{"type":"text"'

check_environment()
_spans: dict[str, list[tuple[float, float]]] = {}


@aio.http
async def execute_prompt(request: Request) -> Any:
    """As in functions/main.py."""
    return edge.answer(lambda app: app.generate.execute_prompt)


def _timed(part: str, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(work)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return await work(*args, **kwargs)
        finally:
            _spans.setdefault(part, []).append((begun, time.perf_counter()))

    return timed


def _report(begun: float) -> None:
    # two reads that run side by side are waited for once: from the first start to the last end
    took = {"all": time.perf_counter() - begun}
    for part, spans in _spans.items():
        if part == "settings":
            took[part] = max(end for _, end in spans) - min(start for start, _ in spans)
        else:
            took[part] = sum(end - start for start, end in spans)
    print(json.dumps({name: round(s * 1000, 3) for name, s in took.items()}), flush=True)


def _watched(call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(call)
    async def watched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        begun = time.perf_counter()
        _spans.clear()
        told = False

        async def sent(message: Any) -> None:
            nonlocal told
            await send(message)
            if not told and FIRST_TEXT in message.get("body", b""):
                told = True
                _report(begun)

        await call(self, scope, receive, sent)

    return watched


for _class, _name, _part in PARTS:
    setattr(_class, _name, _timed(_part, getattr(_class, _name)))
CallableResponse.__call__ = _watched(CallableResponse.__call__)  # type: ignore[method-assign, assignment]
