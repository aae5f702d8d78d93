"""The first token of a comparison of six models, compared with that of the fastest one alone."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.http_callers import app_check_tokens
from scripts.benchmarks.load import spread
from scripts.benchmarks.plan import Plan
from scripts.benchmarks.report import Row, Table
from scripts.devtools.callable_client import CallableClient, id_token
from scripts.devtools.function_server import FunctionServer

FASTEST: Final = "sim/prompt"
# the suffixes choose a provider; to the stand-in they are the same model
QUICK: Final = (FASTEST, *(f"{FASTEST}:{suffix}" for suffix in ("nitro", "floor", "exacto")))
MODELS: Final = (*QUICK, "sim/slow", "sim/slow:nitro")
RATIO_MAX: Final = 1.2
WARM_UP: Final = 2
SLOWER: Final = 3  # than the calls that the plan's number of first tokens is meant for


def measure(bench: Bench, ours: FunctionServer, plan: Plan, table: Table) -> None:
    """Measure the fastest model alone and among six, in turn. `ours` serves `api`."""
    count = -(-plan.first_tokens // SLOWER)
    latencies = asyncio.run(_latencies(bench, ours, WARM_UP + count))[WARM_UP:]
    alone, among = (spread(column)["p50"] for column in zip(*latencies, strict=True))
    ratio = among / alone
    what = "first token of a comparison of six, times that of the fastest alone"
    table.add(Row(what, ratio, target=f"at most {RATIO_MAX}", met=ratio <= RATIO_MAX))
    table.note(f"medians of {count} each: {alone:.0f} and {among:.0f} ms")


async def _latencies(
    bench: Bench, ours: FunctionServer, count: int
) -> Sequence[tuple[float, float]]:
    """Return pairs of first tokens, alone and among six, in milliseconds."""
    (app_check,) = app_check_tokens(bench.suite, 1)
    times = []
    for number in range(count):
        token = id_token(bench.suite.project, f"bench-compared-{number}-{time.time_ns()}")
        async with CallableClient(ours.url, token, app_check) as client:
            prompt = {"feature": "bench_compared", "prompt": f"compared {time.time_ns()}"}
            alone = {"endpoint": "execute_prompt", **prompt, "model": FASTEST}
            among = {"endpoint": "execute_multi_model_prompt", **prompt, "models": [*MODELS]}
            await _first_token_ms(client, alone)  # from here on the caller is known
            times.append(
                (await _first_token_ms(client, alone), await _first_token_ms(client, among))
            )
    return times


async def _first_token_ms(client: CallableClient, data: dict[str, Any]) -> float:
    began = time.perf_counter()
    first_ms = 0.0
    async for _, value in client.stream("api", data):
        if value.get("type") == "text" and not first_ms:
            first_ms = (time.perf_counter() - began) * 1000
    return first_ms
