"""Serves tests/wire/functions with functions-framework, and speaks HTTP to it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.devtools.function_server import FunctionServer
from scripts.devtools.ports import LOOPBACK
from tests.support.repository import FUNCTIONS, TESTS

SOURCE = TESTS / "wire" / "functions" / "main.py"
ANSWERED_WITHIN_S = 20
POLL_S = 0.02
TRACE = "0123456789abcdef0123456789abcdef"
STREAM = {"Accept": "text/event-stream"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Server:
    port: int
    log: Path

    @asynccontextmanager
    async def connect(self, receive_buffer: int | None = None) -> AsyncIterator[Connection]:
        """receive_buffer: bytes that the kernel may keep for us, where it matters."""
        client = socket.socket()
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (LOOPBACK, self.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=65_536)
        connection = Connection(reader, writer)
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                yield connection
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def ask(
        self,
        path: str,
        body: bytes,
        *,
        method: str = "POST",
        headers: Mapping[str, str] = JSON,
    ) -> Answer:
        """One request on a connection of its own."""
        async with self.connect() as connection:
            await connection.send(request(path, body, method=method, headers=headers))
            return await connection.answer(without_body=method == "HEAD")

    async def call(self, handler: str, data: Any, *, wire: str = "plain") -> Any:
        """The result of a callable that succeeds."""
        answer = await self.ask(f"/{wire}/{handler}", json.dumps({"data": data}).encode())
        return json.loads(answer.body)["result"]

    async def noted(self, name: str, *wanted: str) -> Any:
        """What the handler called `name` noted, once it has noted all that is wanted."""
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while True:
                notes = await self.call("notes", {"as": name})
                if notes.keys() >= set(wanted):
                    return notes
                await asyncio.sleep(POLL_S)

    async def is_idle(self) -> bool:
        """Nothing runs any more, and no body is held."""
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while True:
                notes = await self.call("notes", {"as": "nobody"})
                held = {**notes["bodiesBytes"], "plain": 0}  # the asking body itself
                if notes["calls"] == 0 and not any(held.values()):
                    return True
                await asyncio.sleep(POLL_S)


@contextmanager
def serving(log: Path) -> Iterator[Server]:
    """Serve tests/wire/functions as it would be deployed, until the end of the block."""
    path = {"PYTHONPATH": str(FUNCTIONS)}
    with FunctionServer("callables", SOURCE, log=log, environment=path) as server:
        yield Server(server.wait_until_healthy("/plain/notes").port, log)


@dataclass(frozen=True)
class Answer:
    """One answer as it came; `headers` without those that every server adds."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def error(self) -> Any:
        """Of a unary answer, or of a stream's last frame."""
        text = self.body.removesuffix(b"\n\n").rpartition(b"\n\n")[2].removeprefix(b"data: ")
        return json.loads(text)["error"]


@dataclass
class Connection:
    """One connection to the server. Bodies are unchunked, nothing else is done to them."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, without_body: bool = False) -> Answer:
        head = await self.head()
        if without_body or head.status in (100, 204):
            return head
        if "content-length" in head.headers:
            body = await self.reader.readexactly(int(head.headers["content-length"]))
        else:
            body = await self.body()
        return Answer(head.status, head.headers, body)

    async def head(self) -> Answer:
        block = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = block.removesuffix("\r\n\r\n").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), f"a header twice: {block}"
        for ours_not in ("date", "server"):
            headers.pop(ours_not, None)
        return Answer(int(first.split()[1]), headers)

    async def piece(self) -> bytes:
        """The next piece of a chunked body, as it was written; b"" at the end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def body(self) -> bytes:
        """The rest of a chunked body."""
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def until(self, wanted: bytes) -> bytes:
        """The body from here to the piece with which it ends in `wanted`."""
        seen = b""
        while not seen.endswith(wanted):
            piece = await self.piece()
            assert piece, f"ended after {seen!r}"
            seen += piece
        return seen

    async def is_closed(self) -> bool:
        """By the server, with nothing more sent."""
        return await self.reader.read() == b""

    def reset(self) -> None:
        """Leave without a word: what a killed app or a lost phone does."""
        client = self.writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def request(
    path: str, body: bytes, *, method: str = "POST", headers: Mapping[str, str] = JSON
) -> bytes:
    """The bytes of a request. A header given as "" is left out."""
    given = {
        "Host": "functions",
        "Content-Length": str(len(body)),
        "X-Cloud-Trace-Context": f"{TRACE}/77;o=1",
        **headers,
    }
    lines = [f"{name}: {value}\r\n" for name, value in given.items() if value]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + body
