"""Streams as OpenRouter really sent them, replayed by the stand-in, through `execute_prompt`.

The recordings themselves lie outside the project; fixtures of the same shapes, of our own making,
are part of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import AsyncClient

from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support.openrouter_standin import serving
from tests.support.recordings import OUR_STREAMS, RECORDINGS, needs_recordings, recorded
from tests.support.serve import Serve


@pytest.fixture
def replaying() -> Iterator[str]:
    """The base URL of a stand-in that replays the recordings as well, where they are."""
    options = ("--replay", str(RECORDINGS / "sse")) if RECORDINGS else ()
    with serving(*options) as server:
        yield server.api


@pytest.mark.usefixtures("paid_models")  # the list is the other stand-in's: these are not in it
async def test_our_fixtures_of_recorded_shapes_come_through(
    suite: Suite, serve: Serve, firestore: AsyncClient, app_check: str, replaying: str
) -> None:
    seen = await replay(suite, serve, firestore, app_check, replaying, OUR_STREAMS)
    assert seen["reasoning"]["reasoning"]
    assert seen["reasoning"]["text"]
    for name in ("usage-empty-choices", "usage-repeats-finish"):
        assert seen[name]["finishReason"] == "stop"
        assert seen[name]["usage"]["totalTokens"] > 0
        assert "costIsEstimate" not in seen[name]["usage"]
    assert "failure" in seen["midstream-error"]


@needs_recordings
@pytest.mark.usefixtures("paid_models")
async def test_recordings_come_through(
    suite: Suite, serve: Serve, firestore: AsyncClient, app_check: str, replaying: str
) -> None:
    seen = await replay(suite, serve, firestore, app_check, replaying, recorded("sse"))
    error = seen["midstream-error-2025-11"]
    assert error["failure"] == "upstream_rejected"
    assert error["streamed"] == "We need to respond to a greeting. The user"
    reasoning = seen["reasoning-2025-12"]
    assert reasoning["text"] == "2 + 2 = 4"
    assert reasoning["reasoning"] == "This is a simple arithmetic question. 2+2 equals 4."
    assert reasoning["usage"] == {
        "promptTokens": 43,
        "completionTokens": 36,
        "totalTokens": 79,
        "reasoningTokens": 13,
        "cachedTokens": 0,
        "cost": 0.000669,
    }
    plain = seen["usage-chunk-empty-choices-2026-03"]
    assert plain["text"] == "Hello!"
    assert plain["model"] == "anthropic/claude-4.6-sonnet-20260217"
    assert plain["usage"]["cost"] == 0.000837


async def replay(
    suite: Suite,
    serve: Serve,
    firestore: AsyncClient,
    app_check: str,
    base_url: str,
    folder: Path,
) -> dict[str, Any]:
    """By fixture: the result, or {"failure": reason, "streamed": what had come}."""
    served = serve("execute_prompt", env={"OPENROUTER_BASE_URL": base_url})
    seen: dict[str, Any] = {}
    for name in sorted(path.stem for path in folder.glob("*.sse")):
        settings = {"model": f"sim/replay/{name}", "reasoning": {"effort": "low"}}
        feature = firestore.collection("features").document("replay-" + name.replace(".", "-"))
        await feature.set({"enabled": True, "revision": 1, "settings": settings})
        token = id_token(suite.project, f"replay-{name}")
        streamed = ""
        async with CallableClient(served.url, token, app_check) as client:
            try:
                async for kind, value in client.stream("", {"feature": feature.id, "prompt": "x"}):
                    if kind == "result":
                        seen[name] = value
                    else:
                        streamed += value.get("delta", "")
            except CallableFailure as failure:
                seen[name] = {"failure": failure.details["reason"], "streamed": streamed}
    return seen
