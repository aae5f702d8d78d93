"""The traffic: instances are served, called, killed, and replaced."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx

from scripts.bill_test.ends import features
from scripts.bill_test.plan import SERVERS, Plan, PlannedCall
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.suite import Suite
from scripts.trials.project import prepare_project, serve
from scripts.trials.task_queue import TaskQueue

AT_ONCE: Final = 32  # calls
CALL_MAX_S: Final = 20.0  # then the client leaves: a killed instance never answers what was queued
SETTLES_WITHIN_S: Final = 4.0  # from the last answer until all background work has ended
STARTS_POLL_S: Final = 0.05
APP: Final = {
    "freeModelsOnly": False,
    "limits": {
        "requestsPerMinute": 10_000,
        "concurrent": 1_000,  # places of killed instances stay taken for a while
        "usdPerDay": 10_000,
        "usdPerMonth": 100_000,
    },
    "ceiling": {"usdPerDay": 10_000, "usdPerMonth": 100_000},
}


class Pace:
    """Hands out calls, one after the other."""

    def __init__(self, calls: Iterable[PlannedCall], pause_s: float) -> None:
        self._calls = iter(calls)
        self._pause_s = pause_s
        self._lock = asyncio.Lock()
        self._due = 0.0

    async def next(self) -> PlannedCall | None:
        """Return the next call when it is due; None if there are no more."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            self._due = max(self._due + self._pause_s, now)
            await asyncio.sleep(self._due - now)
            return next(self._calls, None)


class Traffic:
    """Runs a plan in a project of its own.

    Attributes:
        outcomes: How the calls ended for their callers, by the end that was planned.
        killed: How many instances were killed.
        stopped: How many generations another device stopped.
    """

    def __init__(self, suite: Suite, project: str, logs: Path) -> None:
        self._suite = suite
        self._logs = logs
        self._app_check = ""
        self._queue = TaskQueue()
        self._servers: dict[str, FunctionServer] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self.project = project
        self.outcomes: dict[str, Counter[str]] = {}
        self.killed = 0
        self.stopped = 0

    def prepare(self, key: str) -> None:
        """Store the project's key, settings and features."""
        self._app_check = prepare_project(
            self._suite, self.project, key=key, app=APP, features=features()
        )

    async def run(
        self,
        plan: Plan,
        *,
        on_audit: Callable[[], Awaitable[None]],
        on_call: Callable[[], None],
        pause_s: float = 0.0,
    ) -> None:
        """Make all calls, some at once, and end the instances.

        Args:
            plan: The calls, kills and audits.
            on_audit: Audits the ledger while the calls continue.
            on_call: Called when a call has ended.
            pause_s: The least time between the starts of two calls.
        """
        waiting = Pace(plan.calls, pause_s)
        timeout = httpx.Timeout(CALL_MAX_S)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with (
            self._queue,
            httpx.AsyncClient(timeout=timeout, trust_env=False, limits=limits) as http,
        ):
            try:
                async with asyncio.TaskGroup() as starting:
                    for name in SERVERS:
                        starting.create_task(self._start(name))
                async with asyncio.TaskGroup() as lanes:
                    for _ in range(AT_ONCE):
                        lanes.create_task(self._lane(http, plan, waiting, on_audit, on_call))
                await asyncio.gather(*self._beside)
                await asyncio.sleep(SETTLES_WITHIN_S)
            finally:
                for server in self._servers.values():
                    await asyncio.to_thread(server.stop)

    async def _lane(
        self,
        http: httpx.AsyncClient,
        plan: Plan,
        waiting: Pace,
        on_audit: Callable[[], Awaitable[None]],
        on_call: Callable[[], None],
    ) -> None:
        while (call := await waiting.next()) is not None:
            if (name := plan.kills.get(call.number)) is not None:
                self._start_beside(self._replace(name))
            if call.number in plan.audits:
                self._start_beside(on_audit())
            if call.stop_after_s is not None:
                self._start_beside(self._stop(http, call, call.stop_after_s))
            outcome = await self._call(http, call)
            self.outcomes.setdefault(call.name, Counter())[outcome] += 1
            on_call()

    def _start_beside(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        self._beside.add(asyncio.create_task(run()))

    def server(self, name: str) -> FunctionServer | None:
        """Return an instance, if it is alive."""
        return self._servers.get(name)

    # -- instances ---------------------------------------------------------------------------------

    async def _start(self, name: str) -> None:
        function = name.partition("-")[0]
        log = self._logs / f"{name}-{self.killed}.log"
        server = serve(self._suite, self.project, function, log=log, queue=self._queue.host)
        await asyncio.to_thread(server.wait_until_healthy)
        self._servers[name] = server
        if function == "continuation":
            self._queue.urls.append(server.url)

    async def _replace(self, name: str) -> None:
        """Kill an instance, unless it was killed just now, and serve another one."""
        server = self._servers.pop(name, None)
        if server is None:
            return
        if server.url in self._queue.urls:
            self._queue.urls.remove(server.url)
        await asyncio.to_thread(server.stop)
        self.killed += 1
        await self._start(name)

    async def _url(self, lane: int) -> str:
        """Return the instance for a call: one that is alive, as soon as there is one."""
        while True:
            alive = [server.url for name, server in self._servers.items() if name.startswith("api")]
            if alive:
                return alive[lane % len(alive)]
            await asyncio.sleep(STARTS_POLL_S)

    # -- calls -------------------------------------------------------------------------------------

    async def _client(
        self, http: httpx.AsyncClient, call: PlannedCall, lane: int
    ) -> CallableClient:
        token = id_token(self.project, call.uid)  # a new one: there is no account to look up
        return CallableClient(await self._url(lane), token, self._app_check, http=http)

    async def _call(self, http: httpx.AsyncClient, call: PlannedCall) -> str:
        client = await self._client(http, call, call.lane)
        data: dict[str, Any] = {"endpoint": call.end.callable, **call.data}
        try:
            async with asyncio.timeout(call.leave_after_s or CALL_MAX_S):
                if call.stream:
                    async for _ in client.stream("", data):
                        pass
                else:
                    await client.call("", data)
        except TimeoutError:
            return "left"
        except CallableFailure as failure:
            return str((failure.details or {}).get("reason", "cut"))
        except httpx.TransportError:
            return "cut"
        return "answered"

    async def _stop(self, http: httpx.AsyncClient, call: PlannedCall, after_s: float) -> None:
        """Stop it from another device, through another instance if there is one."""
        await asyncio.sleep(after_s)
        client = await self._client(http, call, call.lane + 1)
        data = {"endpoint": "stop_generation", "requestId": call.request_id}
        with suppress(CallableFailure, httpx.TransportError):  # not admitted, or killed
            answer = await client.call("", data)
            self.stopped += bool(answer["stopped"])
