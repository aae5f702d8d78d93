"""A small Cloud Tasks for processes that come and go: it delivers until one of them answers 200.

It speaks the protocol of the Admin SDK behind CLOUD_TASKS_EMULATOR_HOST. The Functions emulator has
a queue too, but that one delivers to the Functions emulator alone.
"""

from __future__ import annotations

import asyncio
import base64
from types import TracebackType
from typing import Final, Self

import httpx
from aiohttp import web

from scripts.devtools.ports import LOOPBACK

RETRY_AFTER_S: Final = 0.3
DELIVERY_TIMEOUT_S: Final = 120.0


class TaskQueue:
    """An HTTP server that takes tasks and delivers them.

    Attributes:
        urls: Where `continuation` is served at the moment; the newest is used.
        added: How many tasks have been added.
        host: Its own address, for CLOUD_TASKS_EMULATOR_HOST.
    """

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.added = 0
        self.host = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(trust_env=False, timeout=DELIVERY_TIMEOUT_S)
        app = web.Application()
        app.router.add_post("/projects/{rest:.*}/tasks", self._add)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        self.host = "{}:{}".format(*self._runner.addresses[0])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()
        await self._runner.cleanup()

    async def _add(self, request: web.Request) -> web.Response:
        task = (await request.json())["task"]
        self.added += 1
        body = base64.b64decode(task["httpRequest"]["body"])
        delivery = asyncio.create_task(self._deliver(body))
        self._tasks.add(delivery)
        delivery.add_done_callback(self._tasks.discard)
        return web.json_response({"task": {"name": f"{request.path}/{self.added}"}})

    async def _deliver(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        while True:
            if self.urls:
                try:
                    response = await self._http.post(self.urls[-1], content=body, headers=headers)
                    if response.is_success:
                        return
                except httpx.TransportError:
                    pass  # it was killed; another one may be served by then
            await asyncio.sleep(RETRY_AFTER_S)
