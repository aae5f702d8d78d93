"""The load generator: raw HTTP over asyncio, in a process of its own, on loopback only.

    python -m scripts.benchmarks.load < job.json > result.json

A client library would cost more than what is being measured. The jobs and their results:

    {"do": "streams", "requests": [...], "hold_s", "ramp_s", "hang_up", ...}   -> see `streams`
    {"do": "requests", "requests": [...], "connections", ...}                  -> see `requests`
    {"do": "first_tokens", "count", "pause_s", "targets": {name: {...}}}       -> {name: [ms]}

Each request is the text of a whole HTTP request, which is sent as it is.
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
    """Bytes to find in a response, instead of parsing it.

    Attributes:
        token: Occurs once in each token.
        end: Occurs in a complete response.
    """

    token: bytes
    end: bytes


class Connection(asyncio.Protocol):
    """A connection that sends one request at a time and records when each token arrived."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._loop = asyncio.get_running_loop()
        self._keep = max(len(signs.token), len(signs.end)) - 1
        self._transport: Any = None
        self._answered: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes) -> asyncio.Future[bool]:
        """Send a request. The future's result is whether the response was complete."""
        self.arrivals: list[tuple[float, int]] = []
        self._head: bytes | None = b""
        self._missing: int | None = None  # bytes of a body whose length is known
        self._tail = b""
        self._whole = False
        self._answered = self._loop.create_future()
        self.sent_at = time.perf_counter()
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
        # the tail is shorter than a sign, so none is counted twice
        if count := text.count(self._signs.token):
            self.arrivals.append((now, count))
        self._whole = self._whole or self._signs.end in text
        self._tail = text[-self._keep :]
        if self._missing is not None:
            self._missing -= len(data)
        if self._missing == 0 or (self._missing is None and text.endswith(LAST_CHUNK)):
            self._finish(self._whole)

    def connection_lost(self, _: Exception | None) -> None:
        self._finish(False)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _finish(self, complete: bool) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(complete)


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
    """Open streams over `ramp_s`, measure for `hold_s` while all of them run, then let them end."""
    signs = _signs(job)
    requests = [request.encode("latin-1") for request in job["requests"]]
    pause_s = job["ramp_s"] / len(requests)
    connections: list[Connection] = []
    answers: list[asyncio.Future[bool]] = []
    samples_mb: list[float] = []
    sampler = asyncio.create_task(_sample_rss(job["pid"], samples_mb))
    start, cpu_start = time.perf_counter(), proc_stats.cpu_s(job["pid"])
    for number, request in enumerate(requests):
        await asyncio.sleep(start + number * pause_s - time.perf_counter())
        connections.append(await connect(job["port"], signs))
        answers.append(connections[-1].send(request))
    opened = await _wait_until_all_started(connections, answers)
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
        "all_cpu_s": proc_stats.cpu_s(job["pid"]) - cpu_start,
        "own_cpu_share": own_s / (ended_at - start),
        "gaps_ms": spread(_gaps(times, window)),
        "all_gaps_ms": spread(_gaps(times, (0.0, float("inf")))),
        "first_ms": spread(
            (c.arrivals[0][0] - c.sent_at) * 1000 for c in connections if c.arrivals
        ),
        "rss_mb": max(samples_mb),
    }


async def requests(job: dict[str, Any]) -> dict[str, Any]:
    """Send every request once, over a number of persistent connections."""
    signs = _signs(job)
    waiting = [request.encode("latin-1") for request in reversed(job["requests"])]
    took: list[float] = []
    failed = 0

    async def work(connection: Connection) -> None:
        nonlocal failed
        while waiting:
            whole = await connection.send(waiting.pop())
            took.append((time.perf_counter() - connection.sent_at) * 1000)
            failed += not whole
            if not whole:
                connection.close()
                connection = await connect(job["port"], signs)
        connection.close()

    connections = [await connect(job["port"], signs) for _ in range(job["connections"])]
    start, cpu_start, own = time.perf_counter(), proc_stats.cpu_s(job["pid"]), time.process_time()
    await asyncio.gather(*map(work, connections))
    wall_s = time.perf_counter() - start
    return {
        "count": len(took),
        "failed": failed,
        "wall_s": wall_s,
        "cpu_s": proc_stats.cpu_s(job["pid"]) - cpu_start,
        "own_cpu_share": (time.process_time() - own) / wall_s,
        "took_ms": spread(took),
    }


async def first_tokens(job: dict[str, Any]) -> dict[str, Any]:
    """Send one call at a time, to the targets in turn, each over a persistent connection."""
    targets = job["targets"]
    found: dict[str, list[float]] = {name: [] for name in targets}
    connections = {name: await connect(t["port"], _signs(t)) for name, t in targets.items()}
    for number in range(job["count"]):
        for name, target in targets.items():
            whole = await connections[name].send(target["requests"][number].encode("latin-1"))
            if not whole:
                raise RuntimeError(
                    f"A response of {name} was incomplete: {connections[name]._tail!r}"
                )
            found[name].append(
                (connections[name].arrivals[0][0] - connections[name].sent_at) * 1000
            )
            await asyncio.sleep(job["pause_s"])
    for connection in connections.values():
        connection.close()
    return found


JOBS = {"streams": streams, "requests": requests, "first_tokens": first_tokens}


def _signs(job: dict[str, Any]) -> Signs:
    return Signs(job["token"].encode(), job["end"].encode())


async def _wait_until_all_started(
    connections: list[Connection], answers: list[asyncio.Future[bool]]
) -> int:
    """Return how many streams have had a token, once all have or the time is up."""
    deadline = time.perf_counter() + OPEN_WITHIN_S
    while time.perf_counter() < deadline:
        started = sum(bool(connection.arrivals) for connection in connections)
        over = sum(
            answer.done() and not c.arrivals for answer, c in zip(answers, connections, strict=True)
        )
        if started + over == len(connections):
            break
        await asyncio.sleep(0.02)
    return started


async def _sample_rss(pid: int, samples_mb: list[float]) -> None:
    while True:
        samples_mb.append(proc_stats.rss_mb(pid))
        await asyncio.sleep(SAMPLE_S)


def _inside(at: float, window: tuple[float, float]) -> bool:
    return window[0] <= at < window[1]


def _gaps(times: list[list[tuple[float, int]]], window: tuple[float, float]) -> Iterable[float]:
    """Yield the milliseconds between the packets of each stream."""
    for arrivals in times:
        for (before, _), (after, _) in pairwise(arrivals):
            if _inside(after, window):
                yield (after - before) * 1000


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return the median, the 95th and 99th percentiles and the maximum; zeros without values."""
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
