"""Callables that know nothing of AI, for tests/wire/test_callable.py: /WIRE/HANDLER picks both.

A test talks to a running handler through `notes` and `release`, which are callables as well: a
record that the handler keeps under the name that its data gave it.
"""

import asyncio
import resource
import sys
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any

from functions_framework import aio
from starlette.requests import Request

from firerouter.callable import Call, CallableError, Handler, Headers, Wire, WireLimits

SECRET = "sk-or-v1-canary-4417"  # what an exception's text may hold and nobody may see
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1_024
NOTES: dict[str, dict[str, Any]] = defaultdict(dict)
RELEASED: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


class Unauthenticated(CallableError):
    status = "UNAUTHENTICATED"
    reason = "session_invalid"
    sentence = "Please sign in again."


class NoMore(CallableError):
    status = "RESOURCE_EXHAUSTED"
    reason = "no_more"
    sentence = "There is no more for now."
    retryable = True


async def authenticate(headers: Headers) -> str:
    caller = headers.get("authorization", "nobody")
    if caller == "Bearer bad" or caller.startswith("Basic"):
        raise Unauthenticated
    return caller


def report(error: BaseException, trace_id: str) -> None:
    print("reported", type(error).__name__, trace_id, flush=True)


def wire(
    heartbeat_s: float = 60, *, emulated: bool = False, for_admins: bool = False, **limits: int
) -> Wire[str]:
    return Wire(
        authenticate=authenticate,
        report=report,
        limits=replace(WireLimits(heartbeat_s=heartbeat_s), **limits),
        emulated=emulated,
        for_admins=for_admins,
    )


WIRES = {
    "plain": wire(),
    "beating": wire(heartbeat_s=0.1),
    "narrow": wire(body_max_bytes=1_000, bodies_max_bytes=1_500),
    "emulated": wire(emulated=True),
}


# What answers at once


async def echo(call: Call[str]) -> Any:
    return call.data


async def about(call: Call[str]) -> Any:
    """What a handler sees of its call, the data apart."""
    return {
        "caller": call.caller,
        "header": call.headers.get("x-any-header"),
        "streaming": call.streaming,
        "traceId": call.trace_id,
    }


async def say(call: Call[str]) -> Any:
    """Streams the messages it is given."""
    for message in call.data["messages"]:
        await call.send(message)
    return call.data["result"]


async def null(call: Call[str]) -> None:
    return None


async def nan(call: Call[str]) -> Any:
    return {"share": float("nan")}


async def nan_message(call: Call[str]) -> Any:
    await call.send({"share": float("nan")})
    return "not streamed"


async def no_json(call: Call[str]) -> Any:
    return {"set": {1, 2}}


async def too_deep(call: Call[str]) -> Any:
    result: list[Any] = []
    for _ in range(5_000):
        result = [result]
    return result


async def fail(call: Call[str]) -> Any:
    await call.send({"n": 1})
    raise NoMore(retry_after_seconds=2.5, limit="perDay")


async def fail_with(call: Call[str]) -> Any:
    """Fails with the status it is given."""
    raise type("Leaf", (CallableError,), {"status": call.data})


async def fail_undescribed(call: Call[str]) -> Any:
    raise NoMore(share=float("nan"))


async def crash(call: Call[str]) -> Any:
    raise ValueError(SECRET)


async def cancelled(call: Call[str]) -> Any:
    """Awaits something that is cancelled, as a client library may do to it."""
    task = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    return await task


# What takes its time


async def hold(call: Call[str]) -> Any:
    """A message, silence until it is released, another message, silence, the end."""
    note = NOTES[call.data["as"]]
    note["began"] = True
    for n in (1, 2):
        await call.send({"n": n})
        released = RELEASED[f"{call.data['as']}-{n}"]
        await released.wait()
    if "fails" in call.data:
        raise NoMore
    return "released"


async def leave(call: Call[str]) -> None:
    """Waits for its client to leave, then cleans up after itself, which takes awaiting."""
    note = NOTES[call.data["as"]]
    left = asyncio.Event()

    def on_leave() -> None:
        note["left_at"] = time.monotonic()
        note["times_left"] = note.get("times_left", 0) + 1
        left.set()

    call.on_leave(on_leave)
    await call.send({"n": 1})
    note["began"] = True
    await left.wait()
    await asyncio.sleep(0.05)
    await call.send({"n": 2})  # to nobody
    note["cleaned_up"] = True


async def flood(call: Call[str]) -> Any:
    """Writes faster than anybody reads: `count` messages of `size` characters."""
    note = NOTES[call.data["as"]]
    call.on_leave(lambda: note.update(left=True))
    text = "x" * call.data["size"]
    for n in range(call.data["count"]):
        await call.send({"n": n, "text": text})
        note["sent"] = n + 1
    return {"sent": note["sent"]}


# What tests ask beside it


async def notes(call: Call[str]) -> Any:
    """What a handler noted, and what the process holds."""
    return {
        **NOTES[call.data["as"]],
        "bodiesBytes": {name: wire.bodies_bytes for name, wire in WIRES.items()},
        "calls": sum(len(wire.tasks) for wire in WIRES.values()) - 1,  # without this one
        "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT_BYTES,
    }


async def release(call: Call[str]) -> None:
    RELEASED[call.data["as"]].set()


async def unknown(call: Call[str]) -> Any:
    """What answers under any other path; its caller's name is its note's."""
    NOTES[call.caller]["ran"] = True
    return "ran"


HANDLERS: dict[str, Handler[str]] = {
    handler.__name__: handler
    for handler in (
        *(echo, about, say, null, nan, nan_message, no_json, too_deep),
        *(fail, fail_with, fail_undescribed, crash, cancelled),
        *(hold, leave, flood, notes, release),
    )
}


@aio.http
async def callables(request: Request) -> Any:
    wire, _, handler = request.url.path.strip("/").partition("/")
    return WIRES[wire].answer(HANDLERS.get(handler, unknown))
