"""The load generator: raw HTTP over asyncio, in a process of its own, on loopback only.

    python -m scripts.benchmarks.load < job.json > result.json

A client library would cost more than what is measured. The jobs, and what comes of them:

    {"do": "streams", "requests": [...], "hold_s", "ramp_s", "hang_up", ...}   -> Streams
    {"do": "requests", "requests": [...], "connections"}                        -> Requests
    {"do": "first_tokens", "targets": {name: {port, requests, ...}}}            -> {name: [ms]}

Each request is the text of a whole HTTP request; the requests of a job are sent as they are.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scripts.benchmarks import proc_stats

LOOPBACK = "127.0.0.1"
HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
OPEN_WITHIN_S = 60.0
ENDS_WITHIN_S = 120.0
SAMPLE_S = 0.1


@dataclass(frozen=True, slots=True)
class Signs:
    """How to read an answer without parsing it. token: in each token once. end: in a whole one."""

    token: bytes
    end: bytes


class Connection(asyncio.Protocol):
    """One connection, one request at a time; notes when each token arrived."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._loop = asyncio.get_running_loop()
        self._keep = max(len(signs.token), len(signs.end)) - 1
        self._transport: Any = None
        self._answered: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bool]:
        """Whether the answer came whole. The times are there as the tokens come."""
        self.arrivals: list[tuple[float, int]] = []
        self._head: bytes | None = b""
        self._missing: int | None = None  # of a body whose length was said
        self._tail = b""
        self._whole = False
        self._answered = self._loop.create_future()
        self.asked_at = time.perf_counter()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._head is not None:
            self._head += data
            head, found, data = self._head.partition(HEAD_END)
            if not found:
                return
            self._head = None
            self._missing = _length(head)
        text = self._tail + data
        # the tail is shorter than a sign: none is counted twice
        if count := text.count(self._signs.token):
            self.arrivals.append((now, count))
        self._whole = self._whole or self._signs.end in text
        self._tail = text[-self._keep :]
        if self._missing is not None:
            self._missing -= len(data)
        if self._missing == 0 or (self._missing is None and text.endswith(LAST_CHUNK)):
            self._ended(self._whole)

    def connection_lost(self, _: Exception | None) -> None:
        self._ended(False)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _ended(self, well: bool) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(well)


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None


async def connect(port: int, signs: Signs) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(signs), LOOPBACK, port)
    return connection


# The three jobs


async def streams(job: dict[str, Any]) -> dict[str, Any]:
    """Open streams over `ramp_s`, look at `hold_s` in which all of them run, then let them end."""
    signs = _signs(job)
    requests = [request.encode("latin-1") for request in job["requests"]]
    pause_s = job["ramp_s"] / len(requests)
    connections: list[Connection] = []
    answers: list[asyncio.Future[bool]] = []
    seen_mb: list[float] = []
    sampler = asyncio.create_task(_sample_rss(job["pid"], seen_mb))
    begun, cpu_begun = time.perf_counter(), proc_stats.cpu_s(job["pid"])
    for number, request in enumerate(requests):
        await asyncio.sleep(begun + number * pause_s - time.perf_counter())
        connections.append(await connect(job["port"], signs))
        answers.append(connections[-1].ask(request))
    opened = await _until_all_began(connections, answers)
    began_at, cpu_before = time.perf_counter(), proc_stats.cpu_s(job["pid"])
    own_before = time.process_time()
    await asyncio.sleep(job["hold_s"])
    ended_at, cpu_after = time.perf_counter(), proc_stats.cpu_s(job["pid"])
    own_s = time.process_time() - own_before
    still_open = sum(not answer.done() for answer in answers)
    if job["hang_up"]:
        for connection in connections:
            connection.close()
    done, late = await asyncio.wait(answers, timeout=ENDS_WITHIN_S)
    sampler.cancel()
    times = [connection.arrivals for connection in connections]
    window = (began_at, ended_at)
    return {
        "opened": opened,
        "still_open": still_open,
        "complete": sum(answer.result() for answer in done),
        "late": len(late),
        "window_s": ended_at - began_at,
        "tokens": sum(n for arrivals in times for at, n in arrivals if _inside(at, window)),
        "packets": sum(_inside(at, window) for arrivals in times for at, _ in arrivals),
        "all_tokens": sum(n for arrivals in times for _, n in arrivals),
        "cpu_s": cpu_after - cpu_before,
        "all_cpu_s": proc_stats.cpu_s(job["pid"]) - cpu_begun,
        "own_cpu_share": own_s / (ended_at - begun),
        "gaps_ms": spread(_gaps(times, window)),
        "all_gaps_ms": spread(_gaps(times, (0.0, float("inf")))),
        "first_ms": spread(
            (c.arrivals[0][0] - c.asked_at) * 1000 for c in connections if c.arrivals
        ),
        "rss_mb": max(seen_mb),
    }


async def requests(job: dict[str, Any]) -> dict[str, Any]:
    """Every request once, over so many connections that are kept."""
    signs = _signs(job)
    waiting = [request.encode("latin-1") for request in reversed(job["requests"])]
    took: list[float] = []
    failed = 0

    async def work(connection: Connection) -> None:
        nonlocal failed
        while waiting:
            whole = await connection.ask(waiting.pop())
            took.append((time.perf_counter() - connection.asked_at) * 1000)
            failed += not whole
            if not whole:
                connection.close()
                connection = await connect(job["port"], signs)
        connection.close()

    connections = [await connect(job["port"], signs) for _ in range(job["connections"])]
    begun, cpu_begun, own = time.perf_counter(), proc_stats.cpu_s(job["pid"]), time.process_time()
    await asyncio.gather(*map(work, connections))
    wall_s = time.perf_counter() - begun
    return {
        "count": len(took),
        "failed": failed,
        "wall_s": wall_s,
        "cpu_s": proc_stats.cpu_s(job["pid"]) - cpu_begun,
        "own_cpu_share": (time.process_time() - own) / wall_s,
        "took_ms": spread(took),
    }


async def first_tokens(job: dict[str, Any]) -> dict[str, Any]:
    """One call at a time, the targets in turn; each on a connection that is kept."""
    targets = job["targets"]
    found: dict[str, list[float]] = {name: [] for name in targets}
    kept = {name: await connect(t["port"], _signs(t)) for name, t in targets.items()}
    for number in range(job["count"]):
        for name, target in targets.items():
            whole = await kept[name].ask(target["requests"][number].encode("latin-1"))
            if not whole:
                raise RuntimeError(f"an answer of {name} was not whole: {kept[name]._tail!r}")
            found[name].append((kept[name].arrivals[0][0] - kept[name].asked_at) * 1000)
            await asyncio.sleep(job["pause_s"])
    for connection in kept.values():
        connection.close()
    return found


JOBS = {"streams": streams, "requests": requests, "first_tokens": first_tokens}


def _signs(job: dict[str, Any]) -> Signs:
    return Signs(job["token"].encode(), job["end"].encode())


async def _until_all_began(
    connections: list[Connection], answers: list[asyncio.Future[bool]]
) -> int:
    """How many have brought a token, once all have or time is up."""
    deadline = time.perf_counter() + OPEN_WITHIN_S
    while time.perf_counter() < deadline:
        begun = sum(bool(connection.arrivals) for connection in connections)
        over = sum(
            answer.done() and not c.arrivals for answer, c in zip(answers, connections, strict=True)
        )
        if begun + over == len(connections):
            break
        await asyncio.sleep(0.02)
    return begun


async def _sample_rss(pid: int, seen_mb: list[float]) -> None:
    while True:
        seen_mb.append(proc_stats.rss_mb(pid))
        await asyncio.sleep(SAMPLE_S)


def _inside(at: float, window: tuple[float, float]) -> bool:
    return window[0] <= at < window[1]


def _gaps(times: list[list[tuple[float, int]]], window: tuple[float, float]) -> Iterable[float]:
    """Milliseconds between the packets of each stream."""
    for arrivals in times:
        for (before, _), (after, _) in pairwise(arrivals):
            if _inside(after, window):
                yield (after - before) * 1000


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile, maximum; zeros of nothing."""
    ordered = sorted(values)
    if not ordered:
        return dict.fromkeys(("p50", "p95", "p99", "max"), 0.0)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": ordered[-1]}


def main() -> None:
    job = json.load(sys.stdin)
    result = asyncio.run(JOBS[job["do"]](job))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
