"""A client that leaves: the connection to OpenRouter is closed, the entry ends as stopped.

Against functions-framework directly, for the functions emulator hides a disconnect from Python.
How long the closing takes is recorded as `closed_after_ms` (`--junit-xml`); a second is the bound.
"""

import asyncio
import os
import signal
import time
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient, FieldFilter

from scripts.devtools.callable_client import id_token
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.suite import Suite
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.faulty_firestore import firestore_proxy
from tests.support.serve import Serve

SOON_S = 1.0


class App:
    """One caller of one served function, who can hang up."""

    def __init__(self, suite: Suite, served: FunctionServer, uid: str, app_check: str) -> None:
        self.suite = suite
        self.uid = uid
        self.served = served
        self.headers = {
            "Authorization": f"Bearer {id_token(suite.project, uid)}",
            "X-Firebase-AppCheck": app_check,
        }

    async def call_and_leave(self, model: str, *, stream: bool, leave: asyncio.Event) -> float:
        """Ask, leave when told to; the time of leaving."""
        headers = {**self.headers, **({"Accept": "text/event-stream"} if stream else {})}
        data = {"feature": feature_of(model), "prompt": f"for {self.uid}"}

        async def ask() -> None:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                request = http.stream("POST", self.served.url, json={"data": data}, headers=headers)
                async with request as response:
                    async for _ in response.aiter_bytes():
                        pass

        asking = asyncio.create_task(ask())
        await leave.wait()
        left = time.time()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return left

    async def upstream(self) -> list[dict[str, Any]]:
        """What the OpenRouter stand-in saw of this caller."""
        async with httpx.AsyncClient(trust_env=False) as http:
            seen = (await http.get(f"{self.suite.openrouter_root}/sim/requests")).json()
        return [r for r in seen if f"for {self.uid}" in str(r["body"])]


def feature_of(model: str) -> str:
    return f"leave-{model}"


async def write_feature(firestore: AsyncClient, model: str) -> None:
    settings = {"model": f"sim/{model}", "firstTokenS": 30, "idleS": 30}
    document = {"enabled": True, "revision": 1, "settings": settings}
    await firestore.collection("features").document(feature_of(model)).set(document)


async def ended_entry(firestore: AsyncClient, uid: str) -> dict[str, Any]:
    """The caller's one entry, once it has ended, its reservation given back."""
    query = firestore.collection("generations").where(filter=FieldFilter("uid", "==", uid))

    async def ended() -> dict[str, Any]:
        entries = [snapshot.to_dict() or {} for snapshot in await query.get()]
        return entries[0] if entries and entries[0]["status"] != "running" else {}

    entry: dict[str, Any] = await until(ended)
    window = await firestore.document("quotas", uid, "windows", "concurrent").get()
    assert (window.to_dict() or {})["count"] == 0
    assert len(await query.get()) == 1
    return entry


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unary"])
@pytest.mark.parametrize("model", ["silent", "silent-after-headers", "stall"])
async def test_leaving_while_openrouter_is_silent_closes_the_connection_to_it(
    suite: Suite,
    serve: Serve,
    firestore: AsyncClient,
    app_check: str,
    record_property: Any,
    model: str,
    stream: bool,
) -> None:
    await write_feature(firestore, model)
    app = App(suite, serve("execute_prompt"), f"leaver-{model}-{stream}", app_check)
    leave = asyncio.Event()
    leaving = asyncio.create_task(app.call_and_leave(model, stream=stream, leave=leave))
    await until(app.upstream)
    await asyncio.sleep(0.3)
    leave.set()
    left = await leaving
    entry = await ended_entry(firestore, app.uid)
    (request,) = await app.upstream()
    record_property("closed_after_ms", round((request["endedAt"] - left) * 1000, 1))
    assert not request["open"]
    assert request["closedByClient"]
    assert request["endedAt"] - left < SOON_S
    assert entry["status"] == "stopped"
    assert entry["error"] is None


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unary"])
async def test_leaving_while_firestore_is_slow_still_ends_the_entry_as_stopped(
    suite: Suite, serve: Serve, firestore: AsyncClient, app_check: str, stream: bool
) -> None:
    await write_feature(firestore, "stall")
    async with firestore_proxy(suite.firestore_host) as slow:
        served = serve("execute_prompt", env={"FIRESTORE_EMULATOR_HOST": slow.host})
        app = App(suite, served, f"slow-leaver-{stream}", app_check)
        leave = asyncio.Event()
        leaving = asyncio.create_task(app.call_and_leave("stall", stream=stream, leave=leave))
        await until(app.upstream)
        await asyncio.sleep(0.5)
        slow.hold()
        leave.set()
        left = await leaving
        await asyncio.sleep(4)  # longer than a result would wait for its settling
        slow.release()
        entry = await ended_entry(firestore, app.uid)
    (request,) = await app.upstream()
    assert request["endedAt"] - left < SOON_S
    assert entry["status"] == "stopped"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "unary"])
async def test_leaving_during_the_admission_sends_nothing_and_ends_the_entry_as_stopped(
    suite: Suite, serve: Serve, firestore: AsyncClient, app_check: str, stream: bool
) -> None:
    await write_feature(firestore, "fast")
    async with firestore_proxy(suite.firestore_host) as slow:
        served = serve("execute_prompt", env={"FIRESTORE_EMULATOR_HOST": slow.host})
        warm = App(suite, served, f"admission-warmer-{stream}", app_check)
        leave = asyncio.Event()
        warming = asyncio.create_task(warm.call_and_leave("fast", stream=stream, leave=leave))
        await ended_entry(firestore, warm.uid)  # settings are read, connections are open
        leave.set()
        await warming

        slow.hold()
        app = App(suite, served, f"admission-leaver-{stream}", app_check)
        leave = asyncio.Event()
        leaving = asyncio.create_task(app.call_and_leave("fast", stream=stream, leave=leave))
        await asyncio.wait_for(slow.held.wait(), EVENTUALLY_S)
        await asyncio.sleep(0.5)
        leave.set()
        await leaving
        await asyncio.sleep(0.5)
        slow.release()
        entry = await ended_entry(firestore, app.uid)
    assert entry["status"] == "stopped"
    assert entry["attempts"] == []
    assert await app.upstream() == []


async def test_an_instance_that_is_shut_down_ends_its_answers_as_interrupted(
    suite: Suite, serve: Serve, firestore: AsyncClient, app_check: str
) -> None:
    await write_feature(firestore, "slow-drip")
    served = serve("execute_prompt")
    app = App(suite, served, "interrupted", app_check)
    never = asyncio.Event()
    asking = asyncio.create_task(app.call_and_leave("slow-drip", stream=True, leave=never))

    async def some_text() -> bool:
        return any(request["tokensSent"] for request in await app.upstream())

    await until(some_text)
    os.kill(served.pid, signal.SIGTERM)
    entry = await ended_entry(firestore, app.uid)
    asking.cancel()
    (request,) = await app.upstream()
    assert not request["open"]
    assert entry["status"] == "interrupted"
    assert entry["usage"]["completionTokens"] > 0
