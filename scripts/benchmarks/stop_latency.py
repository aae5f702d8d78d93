"""How long a stop takes to reach a generation that runs in another process.

The time runs from Firestore's commit of the stop, by its own clock, until OpenRouter's stand-in
sees its connection closed: the way through the listener, without the caller's network.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import httpx

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.http_callers import app_check_tokens
from scripts.benchmarks.load import spread
from scripts.benchmarks.plan import Plan
from scripts.benchmarks.report import Row, Table
from scripts.devtools.callable_client import CallableClient, id_token
from scripts.devtools.function_server import FUNCTIONS, FunctionServer
from scripts.devtools.seed import OWNER
from scripts.devtools.suite import Suite

STOPPED_MAX_MS: Final = 250
WARM_UP: Final = 5
STOPPED_AFTER_S: Final = (0.15, 0.35)  # spread out, so that stops fall anywhere in a token


def measure(bench: Bench, ours: FunctionServer, plan: Plan, table: Table) -> None:
    """Let one process answer and another one stop it, one answer after the other."""
    with bench.serving("stop_generation", FUNCTIONS) as stopper:
        measured = asyncio.run(_stop_latencies(bench, ours, stopper, WARM_UP + plan.stops))[
            WARM_UP:
        ]
    from_write, from_call = (spread(column) for column in zip(*measured, strict=True))
    met = from_write["p95"] <= STOPPED_MAX_MS
    what = f"a stop from another process ({plan.stops} of them), written to upstream closed"
    table.add(Row(f"{what}, median, ms", from_write["p50"]))
    table.add(
        Row(f"{what}, p95, ms", from_write["p95"], target=f"at most {STOPPED_MAX_MS}", met=met)
    )
    table.note(
        f"the same from the call of `stop_generation`: median {from_call['p50']:.0f} ms, "
        f"p95 {from_call['p95']:.0f} ms, longest {from_call['max']:.0f} ms; the longest from the "
        f"write: {from_write['max']:.0f} ms"
    )


async def _stop_latencies(
    bench: Bench, ours: FunctionServer, stopper: FunctionServer, count: int
) -> Sequence[tuple[float, float]]:
    """Return pairs of latencies, from Firestore's write and from the call, in milliseconds."""
    (app_check,) = app_check_tokens(bench.suite, 1)
    latencies = []
    async with httpx.AsyncClient(trust_env=False) as http:
        records = Records(bench.suite, http)
        for number in range(count):
            token = id_token(bench.suite.project, f"bench-stop-{number}-{time.time_ns()}")
            urls = (server.url for server in (ours, stopper))
            caller, other_device = (CallableClient(url, token, app_check) for url in urls)
            async with caller, other_device:
                low_s, high_s = STOPPED_AFTER_S
                after_s = low_s + (high_s - low_s) * number / count
                latencies.append(await _stop(records, caller, other_device, after_s))
    return latencies


class Records:
    """What Firestore and OpenRouter's stand-in recorded about a stop."""

    def __init__(self, suite: Suite, http: httpx.AsyncClient) -> None:
        self._suite = suite
        self._http = http

    async def closed_at(self, marker: str) -> float:
        """Return when OpenRouter's stand-in saw its connection closed."""
        requests = (await self._http.get(f"{self._suite.openrouter_root}/sim/requests")).json()
        (request,) = (request for request in requests if marker in json.dumps(request["body"]))
        if request["open"] or not request["closedByClient"]:
            raise RuntimeError("OpenRouter's stand-in saw no closed connection.")
        return float(request["endedAt"])

    async def written_at(self, generation_id: str) -> float:
        """Return when Firestore committed the stop: the entry's `stop.at` is its server's time."""
        suite = self._suite
        root = f"http://{suite.firestore_host}/v1/projects/{suite.project}/databases/(default)"
        url = f"{root}/documents/generations/{generation_id}"
        fields = (await self._http.get(url, headers=OWNER)).json()["fields"]
        at = fields["stop"]["mapValue"]["fields"]["at"]["timestampValue"]
        return datetime.fromisoformat(at).timestamp()


async def _stop(
    records: Records, caller: CallableClient, other_device: CallableClient, after_s: float
) -> tuple[float, float]:
    marker = f"stop-{time.time_ns()}"
    data = {"feature": "bench", "prompt": marker, "model": "sim/steady", "requestId": marker}
    text_arrived = asyncio.Event()

    async def read() -> Any:
        async for kind, value in caller.stream("execute_prompt", data):
            if kind == "result":
                return value
            if value["type"] == "text":
                text_arrived.set()
        raise RuntimeError("The stream ended without a result.")

    reader = asyncio.create_task(read())
    await text_arrived.wait()
    await asyncio.sleep(after_s)
    sent_at = time.time()
    answer = await other_device.call("stop_generation", {"requestId": marker})
    result = await reader
    if not answer["stopped"] or result["finishReason"] != "stopped":
        raise RuntimeError(f"It was not stopped: {answer}, {result['finishReason']}")
    closed_at = await records.closed_at(marker)
    written_at = await records.written_at(answer["generationId"])
    return (closed_at - written_at) * 1000, (closed_at - sent_at) * 1000
