"""The rounds: a process is served, called, and killed with its worker, by their numbers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from scripts.benchmarks.bench import FUNCTIONS, Server
from scripts.kill_test.plan import CAPPED, FEATURE, MODELS, Call, Round
from scripts.local.client import CallableClient, CallableFailure, id_token
from scripts.local.ports import LOOPBACK
from scripts.local.seed import LOCAL_KEY, create_documents, store_key
from scripts.local.suite import Suite

LANES: Final = 3  # processes at once: while one starts, the others are called


class Killing:
    """Makes the rounds, in a project of its own. `ends`: what came of the calls, counted."""

    def __init__(self, suite: Suite, project: str, logs: Path) -> None:
        self._suite = suite
        self._logs = logs
        self._app_check = ""
        self.project = project
        self.ends: Counter[str] = Counter()
        self.calls = 0
        self.killed = 0

    def prepare(self) -> None:
        """The project's key, settings and features, and a token of the app."""
        store_key(self._suite.secret_manager_host, self.project, LOCAL_KEY)
        settings = {"model": MODELS[0], "allowedModels": list(MODELS[1:]), "firstTokenS": 30}
        capped = {**settings, "limits": {"requestsPerMinute": 2}}
        most = {"requestsPerMinute": 10_000, "concurrent": 1_000, "usdPerDay": 10_000}
        documents: dict[str, dict[str, Any]] = {
            "config/app": {
                "keys": {"default": [{"version": 1}]},
                "freeModelsOnly": False,
                "limits": most,  # the killed ones' places are not free before the end
            },
            f"features/{FEATURE}": {"enabled": True, "revision": 1, "settings": settings},
            f"features/{CAPPED}": {"enabled": True, "revision": 1, "settings": capped},
        }
        create_documents(self._suite.firestore_host, self.project, documents)
        asked = {"projectId": self.project, "audience": [f"projects/{self.project}"]}
        url = f"http://{self._suite.app_check_host}/token"
        issued = httpx.post(url, json=asked, trust_env=False).raise_for_status()
        self._app_check = str(issued.json()["token"])

    async def run(self, rounds: list[Round], said: Callable[[int], None]) -> None:
        """All of them; `said` is told how many there were so far."""
        waiting = iter(rounds)
        async with asyncio.TaskGroup() as lanes:
            for _ in range(min(LANES, len(rounds))):
                lanes.create_task(self._lane(waiting, said))

    async def _lane(self, waiting: Iterator[Round], said: Callable[[int], None]) -> None:
        for round_ in waiting:
            await self._round(round_)
            self.killed += 1
            said(self.killed)

    async def _round(self, round_: Round) -> None:
        environment = {
            **self._suite.environment(),
            "GCLOUD_PROJECT": self.project,
            "PYTHONPATH": str(FUNCTIONS.parent),
        }
        log = self._logs / f"{round_.number}.log"
        server = Server("execute_prompt", FUNCTIONS, log, environment)
        try:
            await asyncio.to_thread(server.wait)
            if round_.warm is not None:
                await self._call(server, round_.warm)
            calling = [asyncio.create_task(self._call(server, call)) for call in round_.calls]
            await asyncio.sleep(round_.kill_after_s)
        finally:
            await asyncio.to_thread(server.stop)
        await asyncio.gather(*calling)

    async def _call(self, server: Server, call: Call) -> None:
        self.calls += 1
        token = id_token(self.project, call.uid)
        url = f"http://{LOOPBACK}:{server.port}"
        try:
            async with (
                asyncio.timeout(call.leave_after_s),
                CallableClient(url, token, self._app_check) as client,
            ):
                if call.stream:
                    async for _ in client.stream("", call.data):
                        pass
                else:
                    await client.call("", call.data)
            self.ends["answered"] += 1
        except TimeoutError:
            self.ends["left"] += 1
        except CallableFailure as failure:
            self.ends[(failure.details or {}).get("reason", "cut")] += 1
        except httpx.TransportError:
            self.ends["cut"] += 1
