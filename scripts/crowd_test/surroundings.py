"""What an attack needs besides the attacked instance: its project, and another instance."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from firerouter.app.bootstrap import App
from firerouter.firestore import Paths
from scripts.benchmarks.http_callers import post
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.ports import LOOPBACK
from scripts.trials.reconciliation import reconcile_all

ORPHANS: Final = 100
BEGUN_S: Final = 6.0  # then all of them have been admitted


class Surroundings:
    """A project, as its owner sees it."""

    def __init__(
        self,
        app: App,
        serve: Callable[[str], FunctionServer],
        headers: Callable[[], dict[str, str]],
        uid: str,
    ) -> None:
        """Create them.

        Args:
            app: The project's parts, in this process.
            serve: Starts another instance, of this name.
            headers: Returns the headers of a new user.
            uid: The attacker's.
        """
        self._app = app
        self._serve = serve
        self._headers = headers
        self._uid = uid

    async def leave_orphans(self) -> tuple[int, float]:
        """Kill an instance with many answers, then reconcile. Return how many, and how long."""
        with self._serve("orphans") as server:
            await asyncio.to_thread(server.wait_until_healthy)
            writers = [await self._begin(server.port) for _ in range(ORPHANS)]
            await asyncio.sleep(BEGUN_S)
        for writer in writers:
            writer.close()
        begun = time.monotonic()
        done = await reconcile_all(self._app)
        return done["closed"], time.monotonic() - begun

    async def _begin(self, port: int) -> asyncio.StreamWriter:
        data = {"endpoint": "execute_prompt", "feature": "crowd", "prompt": "Hi"}
        data |= {"model": "sim/silent", "conversationId": "new"}
        _, writer = await asyncio.open_connection(LOOPBACK, port)
        request = post(port, "/", {"data": data}, stream=False, headers=self._headers())
        writer.write(request.encode())
        return writer

    async def transcript(self, conversation: str) -> str:
        """Return how many messages of the attacker's conversation are on how many pages."""
        pages = Paths(self._app.firestore).transcript(self._uid, conversation)
        found = [page.to_dict() or {} async for page in pages.stream()]
        times = Counter(id_ for page in found for id_ in page.get("messages", {}))
        twice = sum(count > 1 for count in times.values())
        return f"{len(times)} messages on {len(found)} pages, {twice} on two of them"
