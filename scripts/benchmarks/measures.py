"""The measures: each function fills one row of the table, or a few."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from scripts.benchmarks.bench import (
    ANSWER,
    CHUNKS,
    FIRST_TOKEN_PROBE,
    FRAMES,
    Bench,
)
from scripts.benchmarks.http_callers import app_check_tokens, post
from scripts.benchmarks.plan import Plan
from scripts.benchmarks.report import Part, Row, Table
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.seed import LOCAL_KEY

PROMPT: Final = "Say something of a few words."
PACE_MS: Final = 20  # of sim/steady
PACE_OF_TICKS_S: Final = 0.1
CROWD_SHARE: Final = 0.4  # of a stream's length is measured; the rest passes while others start
PAUSE_S: Final = 0.005  # between two calls, so that settling does not disturb the next one
WARM_UP: Final = 8
LADDER_TRIES: Final = 2
RSS_MAX_MB: Final = 200
FIRST_TOKEN_MAX_MS: Final = 25
RELAY_RATIO_MAX: Final = 1.3
RAMP_EACH_S: Final = 0.012  # between the starts of two streams, because admission takes CPU
COMPLETIONS: Final = "/api/v1/chat/completions"

Job = dict[str, Any]


class Sides:
    """The three sides: `execute_prompt`, the bare function, OpenRouter's stand-in."""

    def __init__(self, bench: Bench, ours: FunctionServer, bare: FunctionServer) -> None:
        self.bench = bench
        self.ours = ours
        self.bare = bare
        self.upstream_port = bench.suite.ports.openrouter
        self.upstream_pid = bench.suite.parts["openrouter"].pid

    def names(self) -> dict[str, Callable[..., Job]]:
        return {"ours": self.to_ours, "bare": self.to_bare, "upstream": self.to_upstream}

    def to_ours(self, count: int, *, stream: bool, feature: str = "bench", **data: Any) -> Job:
        port = self.ours.port
        data = {"feature": feature, "prompt": PROMPT, **data}
        requests = [self.bench.callers.fresh()(port, data, stream=stream) for _ in range(count)]
        signs = FRAMES if stream else ANSWER
        return {"port": port, "pid": self.ours.worker_pid, "requests": requests, **signs}

    def to_bare(self, count: int, *, stream: bool, **data: Any) -> Job:
        port = self.bare.port
        request = post(port, "/", {"data": _completion(**data)}, stream=stream)
        signs = FRAMES if stream else ANSWER
        return {"port": port, "pid": self.bare.worker_pid, "requests": [request] * count, **signs}

    def to_upstream(self, count: int, *, stream: bool = True, **data: Any) -> Job:
        """Always streamed, because both functions stream from it."""
        port = self.upstream_port
        body = {**_completion(**data), "stream": True}
        authorization = {"Authorization": f"Bearer {LOCAL_KEY}"}
        request = post(port, COMPLETIONS, body, stream=True, headers=authorization)
        return {"port": port, "pid": self.upstream_pid, "requests": [request] * count, **CHUNKS}


def _completion(*, model: str, tokens: int | None = None, **_: Any) -> Job:
    limit = {} if tokens is None else {"max_tokens": tokens}
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **limit}


def warm(sides: Sides) -> None:
    """Make the first imports and connections, so that no measure includes them."""
    for name, to in sides.names().items():
        job = to(WARM_UP, stream=False, model="sim/fast")
        if name != "upstream":
            sides.bench.load({**job, "do": "requests", "connections": WARM_UP // 2})


def relay(sides: Sides, plan: Plan, table: Table) -> None:
    """Measure the worker's CPU per token of long streams, without admission and settling."""
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    shares = []
    for _ in range(plan.rounds):
        for name, costs in found.items():
            seen = _hold(sides, name, plan.streams, plan.window_s)
            costs.append(seen["cpu_s"] / max(seen["tokens"], 1) * 1e6)
            shares.append(seen["own_cpu_share"])
    pace = f"{plan.streams} streams, a token every {PACE_MS} ms"
    table.add(
        Row(
            f"CPU per relayed token, µs ({pace})",
            ours=_median(found["ours"]),
            bare=_median(found["bare"]),
            target=f"ratio at most {RELAY_RATIO_MAX}",
            met=_ratio(found) <= RELAY_RATIO_MAX,
        )
    )
    table.note(f"the load generator took {max(shares):.0%} of a core at most in those streams")


def crowd(sides: Sides, plan: Plan, table: Table) -> None:
    """Hold many streams on one worker: all complete, none starved, little memory."""
    jobs = {
        "ours": sides.to_ours(plan.crowd, stream=True, feature="bench_crowd"),
        "bare": sides.to_bare(plan.crowd, stream=True, model="sim/ticks", tokens=plan.crowd_tokens),
    }
    hold_s = PACE_OF_TICKS_S * plan.crowd_tokens * CROWD_SHARE
    results = {name: sides.bench.load(_streams(job, hold_s, False)) for name, job in jobs.items()}
    ours, bare = results["ours"], results["bare"]
    of = f"{plan.crowd} streams of sim/ticks"

    def add(what: str, find: Callable[[Job], float], target: str = "", **more: Any) -> None:
        table.add(Row(f"{of}: {what}", find(ours), find(bare), target=target, **more))

    whole = ours["complete"] == plan.crowd
    add("complete", lambda seen: seen["complete"], "all", met=whole, compare=False)
    add("first token, median, ms", lambda seen: seen["first_ms"]["p50"])
    add("first token, last one, ms", lambda seen: seen["first_ms"]["max"])
    for share in ("p50", "p99", "max"):
        add(f"gap between tokens, {share}, ms", lambda seen: seen["gaps_ms"][share])  # noqa: B023
    light = ours["rss_mb"] < RSS_MAX_MB
    add("memory of the worker, peak, MB", lambda seen: seen["rss_mb"], "under 200", met=light)


def unary(sides: Sides, plan: Plan, table: Table) -> None:
    """Send short unary calls over persistent connections."""
    rate: dict[str, list[float]] = {name: [] for name in sides.names()}
    cost: dict[str, list[float]] = {name: [] for name in sides.names()}
    shares, failed = [], 0
    for _ in range(plan.rounds):
        for name, to in sides.names().items():
            job = to(plan.requests, stream=False, model="sim/fast")
            seen = sides.bench.load({**job, "do": "requests", "connections": plan.connections})
            rate[name].append(seen["count"] / seen["wall_s"])
            cost[name].append(seen["cpu_s"] / seen["count"] * 1e3)
            shares.append(seen["own_cpu_share"])
            failed += seen["failed"]
    at = f"unary, sim/fast, {plan.connections} at once"
    table.add(_row_of_three(f"requests per second ({at})", rate))
    table.add(_row_of_three(f"CPU per request, ms ({at})", cost))
    table.note(f"the load generator took {max(shares):.0%} of a core at most in unary calls")
    if failed:
        table.note(f"{failed} unary calls failed")


def ladder(sides: Sides, plan: Plan, table: Table) -> None:
    """Hold more and more streams, until one token in 100 is later than twice its pace."""
    held = {name: [0] for name in sides.names()}
    failed: set[str] = set()
    for streams in plan.ladder:
        for name in sides.names():
            if name in failed:
                continue
            # another process on this machine can spoil a step, but hardly twice
            if any(_keeps_pace(sides, name, streams, plan) for _ in range(LADDER_TRIES)):
                held[name] = [streams]
            else:
                failed.add(name)
    tried = ", ".join(map(str, plan.ladder))
    pace = f"a token every {PACE_MS} ms, p99 gap under {2 * PACE_MS} ms"
    table.add(_row_of_three(f"streams held at {pace} (tried: {tried})", held))


def _keeps_pace(sides: Sides, name: str, streams: int, plan: Plan) -> bool:
    seen = _hold(sides, name, streams, plan.ladder_window_s)
    return bool(seen["gaps_ms"]["p99"] <= 2 * PACE_MS and seen["still_open"] == streams)


def first_token(sides: Sides, plan: Plan, table: Table) -> None:
    """Measure what we add to the wait for a first token, and what that time is spent on.

    The calls go to a third server, which times its parts, with the kinds of calls in turn.
    """
    bench, count = sides.bench, plan.first_tokens
    data = {"feature": "bench", "prompt": PROMPT, "model": "sim/fast"}
    with bench.serving("execute_prompt", FIRST_TOKEN_PROBE) as server:
        port = server.port
        regulars = [bench.callers.fresh() for _ in range(max(2, count // 8))]
        warm = [write(port, data, stream=True) for write in regulars * 2]
        known = [regulars[at % len(regulars)](port, data, stream=True) for at in range(count)]
        new = [
            bench.callers.fresh()(port, data, stream=True, app_check=app_check)
            for app_check in app_check_tokens(bench.suite, count)
        ]
        targets = {
            "upstream": sides.to_upstream(count, model="sim/fast"),
            "known": {"port": port, "requests": known, **FRAMES},
            "new": {"port": port, "requests": new, **FRAMES},
        }
        job = {"do": "first_tokens", "pause_s": PAUSE_S}
        bench.load(
            {
                **job,
                "count": len(warm),
                "targets": {"known": {**targets["known"], "requests": warm}},
            }
        )
        warmed = len(_parts(server))
        seen = bench.load({**job, "count": count, "targets": targets})
        parts = _parts(server)[warmed:]
    direct = _median(seen["upstream"])
    _first_token_rows(table, seen, direct)
    known_ms, new_ms = (
        _split(parts[at::2], seen[name], direct) for at, name in enumerate(("known", "new"))
    )
    table.parts += [Part(what, known_ms[what], new_ms[what]) for what in known_ms]


def _first_token_rows(table: Table, seen: dict[str, list[float]], direct: float) -> None:
    for name, whose in (("known", "a caller seen before"), ("new", "a caller never seen")):
        added = _median(seen[name]) - direct
        table.add(
            Row(
                f"first token at one stream, {whose}, ms",
                ours=_median(seen[name]),
                upstream=direct,
                target=f"adds less than {FIRST_TOKEN_MAX_MS} (added {added:.1f})",
                met=added < FIRST_TOKEN_MAX_MS,
            )
        )


def _parts(server: FunctionServer) -> list[dict[str, float]]:
    lines = server.log.read_text("utf-8", "replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"all":')]


def _split(
    parts: list[dict[str, float]], seen_ms: list[float], upstream_ms: float
) -> dict[str, float]:
    """Return the median of each part of the wait, in the order in which they come."""

    def of(name: str) -> float:
        return _median(part.get(name, 0.0) for part in parts)

    named = {name: of(name) for name in ("identity", "settings", "keys", "admit")}
    waited = of("headers") + of("token")
    named["openrouter, beyond what it takes itself"] = waited - upstream_ms
    named["the rest inside the function"] = (
        of("all") - sum(of(name) for name in ("identity", "settings", "admit")) - waited
    )
    named["server and loopback"] = _median(seen_ms) - of("all")
    return named


def _row_of_three(what: str, found: Mapping[str, Sequence[float]]) -> Row:
    ours, bare, upstream = (_median(found[name]) for name in ("ours", "bare", "upstream"))
    return Row(what, ours, bare, upstream)


def _hold(sides: Sides, name: str, streams: int, window_s: float) -> Job:
    job = sides.names()[name](streams, stream=True, model="sim/steady")
    seen: Job = sides.bench.load(_streams(job, window_s, True))
    return seen


def _streams(job: Job, hold_s: float, hang_up: bool) -> Job:
    ramp_s = RAMP_EACH_S * len(job["requests"])
    return {**job, "do": "streams", "ramp_s": ramp_s, "hold_s": hold_s, "hang_up": hang_up}


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _ratio(found: dict[str, list[float]]) -> float:
    bare = _median(found["bare"])  # 0 if so little was measured that the clock did not move
    return _median(found["ours"]) / bare if bare else float("inf")
