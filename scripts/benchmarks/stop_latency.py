"""How long a stop takes to reach a generation that runs in another process.

From the moment at which Firestore has taken the stop, by its own clock, until OpenRouter's stand-in
sees its connection closed: the way of a stop through the listener, whatever the caller's network.
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
WRITES_S: Final = (
    0.15,
    0.35,
)  # what an answer is left to write: the stops fall anywhere in a token


def stops(bench: Bench, ours: FunctionServer, plan: Plan, table: Table) -> None:
    """One process answers, another is asked to stop it, one answer after the other."""
    with bench.serving("stop_generation", FUNCTIONS) as stopping:
        seen = asyncio.run(_stops(bench, ours, stopping, WARM_UP + plan.stops))[WARM_UP:]
    taken, asked = (spread(column) for column in zip(*seen, strict=True))
    met = taken["p95"] <= STOPPED_MAX_MS
    what = f"a stop from another process ({plan.stops} of them), written to upstream closed"
    table.add(Row(f"{what}, median, ms", taken["p50"]))
    table.add(Row(f"{what}, p95, ms", taken["p95"], target=f"at most {STOPPED_MAX_MS}", met=met))
    table.note(
        f"the same from sending the call of `stop_generation`: median {asked['p50']:.0f} ms, "
        f"p95 {asked['p95']:.0f} ms, longest {asked['max']:.0f} ms; from the write, longest "
        f"{taken['max']:.0f} ms"
    )


async def _stops(
    bench: Bench, ours: FunctionServer, stopping: FunctionServer, count: int
) -> Sequence[tuple[float, float]]:
    """(from Firestore's write, from the sending of the call) to the closed connection, in ms."""
    (app_check,) = app_check_tokens(bench.suite, 1)
    times = []
    async with httpx.AsyncClient(trust_env=False) as http:
        looks = Looks(bench.suite, http)
        for number in range(count):
            token = id_token(bench.suite.project, f"bench-stop-{number}-{time.time_ns()}")
            urls = (server.url for server in (ours, stopping))
            asks, asks_to_stop = (CallableClient(url, token, app_check) for url in urls)
            async with asks, asks_to_stop:
                low_s, high_s = WRITES_S
                writes_s = low_s + (high_s - low_s) * number / count
                times.append(await _stop(looks, asks, asks_to_stop, writes_s))
    return times


class Looks:
    """What happened, by those whom it happened to."""

    def __init__(self, suite: Suite, http: httpx.AsyncClient) -> None:
        self._suite = suite
        self._http = http

    async def closed_at(self, marker: str) -> float:
        """When OpenRouter's stand-in saw its connection closed."""
        seen = (await self._http.get(f"{self._suite.openrouter_root}/sim/requests")).json()
        (request,) = (request for request in seen if marker in json.dumps(request["body"]))
        if request["open"] or not request["closedByClient"]:
            raise RuntimeError("OpenRouter's stand-in does not know of a closed connection")
        return float(request["endedAt"])

    async def written_at(self, generation_id: str) -> float:
        """When Firestore took the stop: the entry's `stop.at` is its server's time."""
        suite = self._suite
        root = f"http://{suite.firestore_host}/v1/projects/{suite.project}/databases/(default)"
        url = f"{root}/documents/generations/{generation_id}"
        fields = (await self._http.get(url, headers=OWNER)).json()["fields"]
        at = fields["stop"]["mapValue"]["fields"]["at"]["timestampValue"]
        return datetime.fromisoformat(at).timestamp()


async def _stop(
    looks: Looks, asks: CallableClient, stops: CallableClient, writes_s: float
) -> tuple[float, float]:
    marker = f"stop-{time.time_ns()}"
    data = {"feature": "bench", "prompt": marker, "model": "sim/steady", "requestId": marker}
    writing = asyncio.Event()

    async def read() -> Any:
        async for kind, value in asks.stream("execute_prompt", data):
            if kind == "result":
                return value
            if value["type"] == "text":
                writing.set()
        raise AssertionError("a stream without a result")

    reading = asyncio.create_task(read())
    await writing.wait()
    await asyncio.sleep(writes_s)
    sent_at = time.time()
    answer = await stops.call("stop_generation", {"requestId": marker})
    result = await reading
    if not answer["stopped"] or result["finishReason"] != "stopped":
        raise RuntimeError(f"not stopped: {answer}, {result['finishReason']}")
    closed_at = await looks.closed_at(marker)
    written_at = await looks.written_at(answer["generationId"])
    return (closed_at - written_at) * 1000, (closed_at - sent_at) * 1000
