"""The same load on `execute_prompt`, on the bare function and on each peer, in turn."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.benchmarks import proc_stats
from scripts.benchmarks.bench import BASELINE, Bench
from scripts.benchmarks.http_callers import app_check_tokens, post
from scripts.benchmarks.measures import PAUSE_S, PROMPT, RAMP_EACH_S, WARM_UP, Sides
from scripts.benchmarks.peers.install import install
from scripts.benchmarks.peers.registry import PEERS, Peer
from scripts.benchmarks.peers.table import Measured, text_of
from scripts.benchmarks.plan import Plan
from scripts.devtools import ROOT
from scripts.devtools.callable_client import id_token
from scripts.devtools.cli_errors import PartDied, SetupFailed
from scripts.devtools.function_server import FUNCTIONS
from scripts.devtools.http_server import HttpServer
from scripts.devtools.ports import LOOPBACK, free_port
from scripts.devtools.processes import MARKER, clean_environment
from scripts.devtools.seed import LOCAL_KEY
from scripts.devtools.setup import say

FOLDER: Final = ROOT / ".local" / "peers"
SOURCES: Final = Path(__file__).parent
BARE: Final = "bare function"
ANSWERED: Final = b'{"result":'
STARTS_WITHIN_S: Final = 120.0

Job = dict[str, Any]
# makes a job for the load generator: how many requests, streamed or not, of which model
Jobs = Callable[[int, bool, str], Job]


@dataclass(frozen=True, slots=True)
class Subject:
    """A running program: where its results go, how its jobs are made, which process is measured."""

    measured: Measured
    jobs: Jobs
    pid: int


def report(bench: Bench, plan: Plan, heading: str, peers: Sequence[Peer] = PEERS) -> str:
    """Measure every peer that can be run here. Returns the report as Markdown."""
    notes: list[str] = []
    with contextlib.ExitStack() as stack:
        subjects = [*_own_functions(bench, stack), *_started(peers, bench, stack, notes)]
        for subject in subjects:
            bench.load(_unary_job(subject, WARM_UP, WARM_UP // 2))
        for at in range(plan.rounds):
            for subject in subjects:
                _attempt(subject, notes, "unary calls", lambda one: _unary(bench, one, plan))
                _attempt(subject, notes, "streams", lambda one: _streams(bench, one, plan))
            say(f"round {at + 1} of {plan.rounds}")
        for subject in subjects:
            subject.measured.memory_mb.append(proc_stats.rss_mb(subject.pid))
    return text_of([one.measured for one in subjects], BARE, heading, notes)


# -- what is measured ------------------------------------------------------------------------------


def _attempt(
    subject: Subject, notes: list[str], what: str, measure: Callable[[Subject], None]
) -> None:
    """Take one measurement of a program; if it fails, that column stays empty."""
    try:
        measure(subject)
    except RuntimeError:
        note = f"{subject.measured.name}: {what} fail"
        if note not in notes:
            notes.append(note)


def _unary_job(subject: Subject, count: int, connections: int) -> Job:
    job = subject.jobs(count, False, "sim/fast")
    return {**job, "do": "requests", "connections": connections}


def _unary(bench: Bench, subject: Subject, plan: Plan) -> None:
    seen = bench.load(_unary_job(subject, plan.requests, plan.connections))
    if seen["failed"]:
        raise RuntimeError(f"{seen['failed']} calls failed")
    subject.measured.cpu_ms.append(seen["cpu_s"] / seen["count"] * 1e3)
    subject.measured.rate.append(seen["count"] / seen["wall_s"])


def _streams(bench: Bench, subject: Subject, plan: Plan) -> None:
    job = subject.jobs(plan.first_tokens, True, "sim/fast")
    target = {"do": "first_tokens", "count": plan.first_tokens, "pause_s": PAUSE_S}
    seen = bench.load({**target, "targets": {"it": job}})
    subject.measured.first_ms += seen["it"]
    job = subject.jobs(plan.streams, True, "sim/steady")
    times = {"ramp_s": RAMP_EACH_S * plan.streams, "hold_s": plan.window_s, "hang_up": True}
    seen = bench.load({**job, "do": "streams", **times})
    subject.measured.token_us.append(seen["cpu_s"] / max(seen["tokens"], 1) * 1e6)


# -- what is running -------------------------------------------------------------------------------


def _own_functions(bench: Bench, stack: contextlib.ExitStack) -> list[Subject]:
    """Start both functions, one after the other, so that neither slows down the other's start."""
    ours = stack.enter_context(bench.serving("execute_prompt", FUNCTIONS, wait=False))
    data = {"feature": "bench", "prompt": PROMPT, "model": "sim/fast"}
    first = bench.callers.fresh()(ours.port, data, stream=False)
    firerouter = Measured(
        "**Firerouter**", "verifies both tokens, checks every limit, keeps the ledger"
    )
    firerouter.start_s.append(ours.seconds_until(first, ANSWERED))

    bare = stack.enter_context(bench.serving("relay", BASELINE, wait=False))
    first = post(bare.port, "/", {"data": _completion("sim/fast")}, stream=False)
    yardstick = Measured(BARE, "nothing: the minimum that a function in Python has to do")
    yardstick.start_s.append(bare.seconds_until(first, ANSWERED))

    sides = Sides(bench, ours, bare)

    def jobs_of(make: Callable[..., Job]) -> Jobs:
        return lambda count, stream, model: make(count, stream=stream, model=model)

    return [
        Subject(firerouter, jobs_of(sides.to_ours), ours.worker_pid),
        Subject(yardstick, jobs_of(sides.to_bare), bare.worker_pid),
    ]


def _started(
    peers: Sequence[Peer], bench: Bench, stack: contextlib.ExitStack, notes: list[str]
) -> Iterator[Subject]:
    for peer in peers:
        try:
            home = install(peer, FOLDER, SOURCES)
            yield _start(bench, peer, home, stack)
        except (SetupFailed, PartDied) as problem:
            say(str(problem))
            first_line = problem.reason.partition("\n")[0]
            notes.append(f"{peer.name}: {first_line}")


def _start(bench: Bench, peer: Peer, home: Path, stack: contextlib.ExitStack) -> Subject:
    suite = bench.suite
    (app_check,) = app_check_tokens(suite, 1)
    port, origin = free_port(), f"http://{LOOPBACK}:{suite.ports.openrouter}"
    known: dict[str, object] = {
        "port": port,
        "origin": origin,
        "key": LOCAL_KEY,
        "id_token": id_token(suite.project, "bench-peer"),
        "app_check": app_check,
    }
    own = {name: value.format(**known) for name, value in peer.env.items()}
    command = [part.format(**known) for part in peer.command]
    if "/" in command[0]:
        command[0] = str(home / command[0])
    server = stack.enter_context(
        HttpServer(
            peer.name,
            command,
            port=port,
            log=home / "server.log",
            cwd=home,
            env={
                **clean_environment(),
                MARKER: suite.id,
                "BENCH_KEY": LOCAL_KEY,
                "OPENROUTER_BASE_URL": f"{origin}/api/v1",
                **own,
            },
            responds_within_s=STARTS_WITHIN_S,
        )
    )
    headers = {name: value.format(**known) for name, value in peer.headers.items()}

    def jobs(count: int, stream: bool, model: str) -> Job:
        body = _completion(model)
        whole = {"data": body} if peer.is_callable else {**body, "stream": stream}
        request = post(port, peer.path, whole, stream=stream, headers=headers)
        signs = peer.signs(stream=stream)
        return {"port": port, "pid": server.pid, "requests": [request] * count, **signs}

    first = jobs(1, False, "sim/fast")
    measured = Measured(peer.name, peer.does)
    measured.start_s.append(server.seconds_until(first["requests"][0], first["end"].encode()))
    return Subject(measured, jobs, server.pid)


def _completion(model: str) -> Job:
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
