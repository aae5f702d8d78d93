"""The rounds: processes are served, called, and killed together with their workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.seed import LOCAL_KEY
from scripts.devtools.suite import Suite
from scripts.kill_test.plan import CAPPED, CONTINUES, FEATURE, MODELS, PROMPT, Call, Round
from scripts.trials.project import prepare_project, serve
from scripts.trials.task_queue import TaskQueue

LANES: Final = 3  # rounds at once: some start processes while others call theirs


class KillRounds:
    """Runs rounds in a project of its own.

    Attributes:
        outcomes: How the calls ended for their callers.
        calls: How many calls were made.
        killed: How many instances were killed.
        stopped: How many generations another device stopped, through a process that lives on.
    """

    def __init__(self, suite: Suite, project: str, logs: Path) -> None:
        self._suite = suite
        self._logs = logs
        self._app_check = ""
        self._queue = TaskQueue()
        self._stops_url = ""
        self._rounds = 0
        self.project = project
        self.outcomes: Counter[str] = Counter()
        self.calls = 0
        self.killed = 0
        self.stopped = 0

    def prepare(self) -> None:
        """Store the project's key, settings and features, and get an App Check token."""
        settings = {
            "model": MODELS[0],
            "allowedModels": list(MODELS[1:]),
            "systemPrompt": PROMPT,
            "firstTokenS": 30,
        }
        high_limits = {"requestsPerMinute": 10_000, "concurrent": 1_000, "usdPerDay": 10_000}
        features = {
            FEATURE: settings,
            CAPPED: {**settings, "limits": {"requestsPerMinute": 2}},
            CONTINUES: {**settings, "onDisconnect": "continue"},
        }
        # slots of killed instances stay taken until the end
        app = {"freeModelsOnly": False, "limits": high_limits}
        self._app_check = prepare_project(
            self._suite, self.project, key=LOCAL_KEY, app=app, features=features
        )

    @property
    def queued(self) -> int:
        """How many answers were handed over to `continuation`."""
        return self._queue.added

    async def run(self, rounds: list[Round], on_round: Callable[[int], None]) -> None:
        """Run the rounds. `on_round` is called after each one with the number of rounds so far."""
        waiting = iter(rounds)
        async with self._queue:
            stops = self._serve("stop_generation", "stops")
            try:
                await asyncio.to_thread(stops.wait_until_healthy)
                self._stops_url = stops.url
                async with asyncio.TaskGroup() as lanes:
                    for _ in range(min(LANES, len(rounds))):
                        lanes.create_task(self._lane(waiting, on_round))
            finally:
                await asyncio.to_thread(stops.stop)

    async def _lane(self, waiting: Iterator[Round], on_round: Callable[[int], None]) -> None:
        for round_ in waiting:
            await self._round(round_)
            self._rounds += 1
            on_round(self._rounds)

    async def _round(self, round_: Round) -> None:
        alive = {name: self._serve(name, f"{round_.number}-{name}") for name in round_.functions}
        tasks: list[asyncio.Task[None]] = []
        try:
            for server in alive.values():
                await asyncio.to_thread(server.wait_until_healthy)
            if "continuation" in alive:
                self._queue.urls.append(alive["continuation"].url)
            url = alive["execute_prompt"].url
            if round_.warm is not None:
                await self._call(url, round_.warm)
            for call in round_.calls:
                tasks.append(asyncio.create_task(self._call(url, call)))
                if call.stop_after_s is not None:
                    tasks.append(asyncio.create_task(self._stop(call, call.stop_after_s)))
            pause_s = round_.kill_after_s
            for name in round_.functions:
                await asyncio.sleep(pause_s)
                await self._kill(alive.pop(name))
                pause_s = round_.then_after_s
        finally:
            for server in alive.values():
                await asyncio.to_thread(server.stop)
        await asyncio.gather(*tasks)

    async def _kill(self, server: FunctionServer) -> None:
        await asyncio.to_thread(server.stop)
        self.killed += 1
        if server.url in self._queue.urls:
            self._queue.urls.remove(server.url)

    def _serve(self, function: str, name: str) -> FunctionServer:
        log = self._logs / f"{name}.log"
        return serve(self._suite, self.project, function, log=log, queue=self._queue.host)

    def _client(self, url: str, uid: str) -> CallableClient:
        return CallableClient(url, id_token(self.project, uid), self._app_check)

    async def _stop(self, call: Call, after_s: float) -> None:
        await asyncio.sleep(after_s)
        with suppress(CallableFailure):  # the call was not admitted
            async with self._client(self._stops_url, call.uid) as client:
                answer = await client.call("", {"requestId": call.request_id})
                self.stopped += answer["stopped"]

    async def _call(self, url: str, call: Call) -> None:
        self.calls += 1
        try:
            async with asyncio.timeout(call.leave_after_s), self._client(url, call.uid) as client:
                if call.stream:
                    async for _ in client.stream("", call.data):
                        pass
                else:
                    await client.call("", call.data)
            self.outcomes["answered"] += 1
        except TimeoutError:
            self.outcomes["left"] += 1
        except CallableFailure as failure:
            self.outcomes[(failure.details or {}).get("reason", "cut")] += 1
        except httpx.TransportError:
            self.outcomes["cut"] += 1
