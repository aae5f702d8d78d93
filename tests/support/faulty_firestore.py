"""A TCP proxy before the Firestore emulator that can hold everything back for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SlowFirestore:
    """`host` is what FIRESTORE_EMULATOR_HOST takes; between `hold` and `release` nothing passes."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._passing = asyncio.Event()
        self._passing.set()
        self.host = ""
        self.held = asyncio.Event()  # something is waiting to be let through

    def hold(self) -> None:
        self.held.clear()
        self._passing.clear()

    def release(self) -> None:
        self._passing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._upstream.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(
                self._pump(reader, back, holding=True), self._pump(there, writer, holding=False)
            )
        finally:
            back.close()
            writer.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, holding: bool
    ) -> None:
        while data := await source.read(65536):
            if holding and not self._passing.is_set():
                self.held.set()
                await self._passing.wait()
            sink.write(data)
            await sink.drain()
        sink.close()


@asynccontextmanager
async def slow_firestore(upstream: str) -> AsyncIterator[SlowFirestore]:
    proxy = SlowFirestore(upstream)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        proxy.release()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
