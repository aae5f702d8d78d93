"""The quiet run and the attacked run of a row, compared."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from firerouter.app.bootstrap import App
from scripts.benchmarks.bench import CHUNKS, FRAMES, Bench
from scripts.benchmarks.http_callers import post
from scripts.benchmarks.measures import COMPLETIONS
from scripts.crowd_test.attacker import UID, Attacker
from scripts.crowd_test.attacks import FEATURES, Attack
from scripts.crowd_test.instance import LimitedMemory
from scripts.crowd_test.surroundings import Surroundings
from scripts.crowd_test.verdict import Row
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.seed import LOCAL_KEY
from scripts.devtools.setup import say
from scripts.devtools.suite import Suite
from scripts.trials.project import prepare_project, serve

APP: Final = {"freeModelsOnly": False, "ceiling": {"usdPerDay": 10_000, "usdPerMonth": 100_000}}
NO_QUEUE: Final = "127.0.0.1:1"  # no feature here is queued
RAMP_EACH_S: Final = 0.03  # between the starts of two streams
STARTED_S: Final = 2.5  # then all streams run, and the attack begins
ATTACK_S: Final = 8.0
TOKENS: Final = 600  # twelve seconds
DIRECT_STREAMS: Final = 4
NEWCOMER_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """What the other users of an instance got.

    Attributes:
        gap_ms: The longest time between two tokens of a stream.
        upstream_ms: The same of streams directly from the stand-in of OpenRouter, which has to read
            what the attacker sends, and shares the machine's cores.
        died: The streams that did not get their whole answer.
        refused: The other calls that failed.
    """

    gap_ms: float
    died: int
    upstream_ms: float = 0.0
    refused: int = 0


async def run(
    suite: Suite, logs: Path, attacks: Sequence[Attack], victims: int, repetitions: int
) -> list[Row]:
    """Play each attack, a few times if it is over a limit. Return the best run of each."""
    rows = []
    for attack in attacks:
        best: Row | None = None
        for number in range(1, repetitions + 1):
            row = await Trial(suite, logs, victims).run(attack)
            if best is None or row.badness < best.badness:
                best = row
            best = replace(best, runs=number)
            say(" | ".join(row.cells()))
            if not row.is_over:
                break
        if best is not None:
            rows.append(best)
    return rows


class Trial:
    """One attack on one instance, in a project of its own."""

    def __init__(self, suite: Suite, logs: Path, victims: int) -> None:
        self._suite = suite
        self._logs = logs
        self._victims = victims
        self._project = f"demo-crowd-{secrets.token_hex(4)}"
        self._bench = Bench(suite, logs)
        self._app_check = ""
        self._users = 0

    async def run(self, attack: Attack) -> Row:
        """Serve an instance, let others call it without the attack, then with it."""
        key = f"sk-or-v1-crowd-{secrets.token_hex(12)}"
        self._app_check = await asyncio.to_thread(
            prepare_project, self._suite, self._project, key=key, app=APP, features=FEATURES
        )
        log = self._logs / f"{self._project}.log"
        with serve(self._suite, self._project, "api", log=log, queue=NO_QUEUE) as server:
            await asyncio.to_thread(server.wait_until_healthy)
            await self._warm_up(server)
            quiet = await self._streams(server)
            with LimitedMemory(server) as memory:
                attacked, got = await self._attacked(server, attack)
        return Row(
            attack.name,
            attack.what,
            delay_ms=attacked.gap_ms - max(quiet.gap_ms, attacked.upstream_ms),
            upstream_ms=attacked.upstream_ms - quiet.gap_ms,
            died=attacked.died,
            refused=attacked.refused,
            peak_mb=memory.peak_mb,
            got=got + (", and the instance's end" if memory.exceeded else ""),
        )

    async def _warm_up(self, server: FunctionServer) -> None:
        """Make the first imports and connections, so that no run includes them."""
        async with self._http() as http:
            await asyncio.gather(*(self._newcomer(server, http) for _ in range(4)))

    async def _streams(self, server: FunctionServer) -> Run:
        """Let each victim stream an answer, seen from a process of its own."""
        requests = [self._request(server.port) for _ in range(self._victims)]
        ours = _streams_job(server.port, server.pid, requests, FRAMES)  # it outlives its worker
        port, pid = self._suite.ports.openrouter, self._suite.parts["openrouter"].pid
        direct = _streams_job(port, pid, [_direct_request(port)] * DIRECT_STREAMS, CHUNKS)
        seen, upstream = await asyncio.gather(
            *(asyncio.to_thread(self._bench.load, job) for job in (ours, direct))
        )
        return Run(
            seen["all_gaps_ms"]["max"],
            self._victims - seen["complete"],
            upstream["all_gaps_ms"]["max"],
        )

    async def _attacked(self, server: FunctionServer, attack: Attack) -> tuple[Run, str]:
        app = App({**self._suite.environment(), "GCLOUD_PROJECT": self._project})
        refused: Counter[str] = Counter()
        async with self._http() as http:
            streams = asyncio.create_task(self._streams(server))
            await asyncio.sleep(STARTED_S)
            surroundings = Surroundings(app, self._serve_beside, self._headers, UID)
            attacker = Attacker(
                *(server.port, self._project, self._app_check, http, surroundings),
                attack_s=ATTACK_S,
            )
            coming = asyncio.create_task(self._newcomers(server, http, refused, attacker))
            got = await attack.play(attacker)
            run = await streams
            await coming
        if refused:
            got += f"; others: {', '.join(f'{n} {reason}' for reason, n in refused.items())}"
        return replace(run, refused=refused.total()), got

    async def _newcomers(
        self,
        server: FunctionServer,
        http: httpx.AsyncClient,
        refused: Counter[str],
        attacker: Attacker,
    ) -> None:
        """Let another user call now and then, as long as the attack lasts."""
        async with asyncio.TaskGroup() as calls:

            async def call() -> None:
                if (reason := await self._newcomer(server, http)) is not None:
                    refused[reason] += 1

            while attacker.goes_on:
                calls.create_task(call())
                await asyncio.sleep(NEWCOMER_EVERY_S)

    async def _newcomer(self, server: FunctionServer, http: httpx.AsyncClient) -> str | None:
        """Call once, as a new user. Return why it failed, if it did."""
        client = CallableClient(server.url, self._token(), self._app_check, http=http)
        asked = {"endpoint": "execute_prompt", "feature": "crowd", "prompt": "Hi"}
        try:
            await client.call("", {**asked, "model": "sim/fast"})
        except CallableFailure as failure:
            return str((failure.details or {}).get("reason", "cut"))
        except httpx.TransportError:
            return "cut"
        return None

    def _request(self, port: int) -> str:
        """Return the text of a new user's request for a stream."""
        data = {"endpoint": "execute_prompt", "feature": "crowd", "prompt": "Hi"}
        return post(port, "/", {"data": data}, stream=True, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        """Return the headers of a new user."""
        token = {"Authorization": f"Bearer {self._token()}"}
        return {**token, "X-Firebase-AppCheck": self._app_check}

    def _token(self) -> str:
        """Return the ID token of a new user."""
        self._users += 1
        return id_token(self._project, f"user-{self._users}")

    def _serve_beside(self, name: str) -> FunctionServer:
        log = self._logs / f"{self._project}-{name}.log"
        return serve(self._suite, self._project, "api", log=log, queue=NO_QUEUE)

    def _http(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        return httpx.AsyncClient(timeout=httpx.Timeout(60.0), trust_env=False, limits=limits)


def _streams_job(
    port: int, pid: int, requests: list[str], signs: Mapping[str, str]
) -> dict[str, Any]:
    """Return the load generator's job for streams that all run to their end."""
    ramp_s = RAMP_EACH_S * len(requests)
    timing = {"ramp_s": ramp_s, "hold_s": 0.0, "hang_up": False}
    return {"do": "streams", "port": port, "pid": pid, "requests": requests, **timing, **signs}


def _direct_request(port: int) -> str:
    """Return the text of a request to the stand-in itself."""
    messages = [{"role": "user", "content": "Hi"}]
    body = {"model": "sim/steady", "messages": messages, "max_tokens": TOKENS, "stream": True}
    key = {"Authorization": f"Bearer {LOCAL_KEY}"}
    return post(port, COMPLETIONS, body, stream=True, headers=key)
