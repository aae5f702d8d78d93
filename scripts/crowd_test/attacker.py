"""A user who calls as often as the instance lets them, and counts what came of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import httpx

from scripts.crowd_test.surroundings import Surroundings
from scripts.devtools.callable_client import id_token
from scripts.devtools.ports import LOOPBACK

PATIENCE_S: Final = 30.0  # then the attacker leaves
UID: Final = "attacker"


class Attacker:
    """One user's calls of one instance.

    Attributes:
        surroundings: What an attack may need besides.
        got: How the calls ended: `answered`, a reason, or `cut`.
        until: When it is time to stop, on the event loop's clock.
    """

    def __init__(
        self,
        port: int,
        project: str,
        app_check: str,
        http: httpx.AsyncClient,
        surroundings: Surroundings,
        *,
        attack_s: float,
    ) -> None:
        self._port = port
        self._url = f"http://{LOOPBACK}:{port}/"
        self._http = http
        self._headers = {
            "Authorization": f"Bearer {id_token(project, UID)}",
            "X-Firebase-AppCheck": app_check,
            "Content-Type": "application/json",
        }
        self.surroundings = surroundings
        self.got: Counter[str] = Counter()
        self.until = asyncio.get_running_loop().time() + attack_s

    @property
    def goes_on(self) -> bool:
        """Whether there is time for another call."""
        return asyncio.get_running_loop().time() < self.until

    async def post(self, body: bytes, charset: str = "utf-8") -> Any:
        """Send a body as it is. Return the JSON of the response, if there is one."""
        headers = {**self._headers, "Content-Type": f"application/json; charset={charset}"}
        try:
            async with asyncio.timeout(PATIENCE_S):
                response = await self._http.post(self._url, content=body, headers=headers)
            value = response.json()
        except TimeoutError:
            self.got["left"] += 1
        except (httpx.TransportError, ValueError):
            self.got["cut"] += 1
        else:
            self.got[value.get("error", {}).get("reason", "answered")] += 1
            return value
        return None

    async def call(self, endpoint: str, **data: Any) -> Any:
        """Call one endpoint. Return the JSON of the response, if there is one."""
        return await self.post(json.dumps({"data": {"endpoint": endpoint, **data}}).encode())

    async def ask(self, **data: Any) -> Any:
        """Send a prompt. See `call`."""
        return await self.call("execute_prompt", **{"feature": "crowd", "prompt": "Hi", **data})

    async def again_and_again(self, call: Callable[[], Awaitable[Any]], *, at_once: int) -> None:
        """Repeat a call, so many at once, as long as there is time."""

        async def lane() -> None:
            while self.goes_on:
                await call()

        await asyncio.gather(*(lane() for _ in range(at_once)))

    async def connect(self, body: bytes, *, length: int, stream: bool) -> Connection:
        """Open a connection, and send the head of a request and the beginning of its body."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        accept = "text/event-stream" if stream else "*/*"
        fields = {**self._headers, "Host": LOOPBACK, "Content-Length": length, "Accept": accept}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body)
        return Connection(reader, writer)


class Connection:
    """A connection whose bytes are sent, and read, one by one or not at all."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def drip(self, byte: bytes, every_s: float) -> None:
        """Send a byte at a time until the server answers, or for PATIENCE_S."""
        answer = asyncio.ensure_future(self._reader.read(1))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not answer.done():
                    self._writer.write(byte)
                    await asyncio.wait({answer}, timeout=every_s)
        answer.cancel()
        self.close()

    def stop_reading(self) -> None:
        """Read nothing more: what the server sends has to wait there."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's can

    def close(self) -> None:
        self._writer.close()
