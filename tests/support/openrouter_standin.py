"""Starts the OpenRouter stand-in for a test, and reads its answers as raw bytes."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from select import select
from typing import Any

from tests.support.repository import ROOT

KEY = "sk-or-v1-simulated-0123456789-last"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
PROMPT = [{"role": "user", "content": "How are you?"}]


@dataclass(frozen=True)
class Server:
    """Where it listens. `api` is what a client takes for its base URL."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    """The stand-in as a process of its own, on a free port, stopped by its pid."""
    command = [sys.executable, "-m", "scripts.standins.openrouter", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        readable, _, _ = select([process.stdout], [], [], START_TIMEOUT_S)
        line = process.stdout.readline() if readable else ""
        found = re.search(r"http://([\d.]+):(\d+)/", line)
        assert found, f"the stand-in did not start: {line!r}"
        yield Server(found.group(1), int(found.group(2)))
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@dataclass
class Answer:
    """One raw answer. `ended` is clean, cut (no proper end) or reset (TCP)."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    ended: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> list[str]:
        """The payloads of the `data:` lines, `[DONE]` too. Only LF and CRLF end a line."""
        lines = self.body.decode().replace("\r\n", "\n").split("\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]

    @property
    def chunks(self) -> list[Any]:
        return [json.loads(data) for data in self.data if data != "[DONE]"]

    @property
    def done(self) -> bool:
        return self.data[-1:] == ["[DONE]"]

    @property
    def text(self) -> str:
        return "".join(delta.get("content") or "" for delta in deltas(self.chunks))

    @property
    def finishes(self) -> list[str]:
        choices = [choice for chunk in self.chunks for choice in chunk["choices"] or []]
        return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]

    @property
    def usages(self) -> list[Any]:
        return [chunk["usage"] for chunk in self.chunks if "usage" in chunk]


def deltas(chunks: list[Any]) -> list[Any]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] or []]


class Call:
    """One request on a connection of its own, read piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.answer = Answer()

    async def head(self) -> Answer:
        block = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = block.strip().split("\r\n")
        self.answer.status = int(first.split()[1])
        pairs = (line.split(": ", 1) for line in lines)
        self.answer.headers = {name.lower(): value for name, value in pairs}
        return self.answer

    async def piece(self) -> bytes:
        """The next piece of a chunked body, as it was written; empty at the end."""
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        data = (await self._reader.readexactly(size + 2))[:-2]
        self.answer.body += data
        self.answer.pieces.append(data)
        return data

    async def pieces(self, count: int) -> list[bytes]:
        return [await asyncio.wait_for(self.piece(), READ_TIMEOUT_S) for _ in range(count)]

    async def finish(self) -> Answer:
        """Reads to the end, whatever kind of end it is."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                if not self.answer.status:
                    await self.head()
                await self._rest()
            self.answer.ended = "clean"
        except asyncio.IncompleteReadError as cut:
            self.answer.body += cut.partial
            self.answer.ended = "cut"
        except ConnectionResetError:
            self.answer.ended = "reset"
        finally:
            self.close()
        return self.answer

    async def _rest(self) -> None:
        if self.answer.status == 204:
            return
        length = self.answer.headers.get("content-length")
        if length is not None:
            self.answer.body = await self._reader.readexactly(int(length))
            return
        while await self.piece():
            pass

    def close(self) -> None:
        self._writer.close()


async def call(
    server: Server,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    key: str | None = KEY,
    headers: dict[str, str] | None = None,
) -> Call:
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=4_194_304)
    given = {"Host": f"{server.host}:{server.port}", "Content-Length": str(len(body))}
    if key is not None:
        given["Authorization"] = f"Bearer {key}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**given, **(headers or {})}.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    await writer.drain()
    return Call(reader, writer)


async def get(server: Server, path: str, key: str | None = KEY) -> Answer:
    return await (await call(server, "GET", path, key=key)).finish()


async def ask(server: Server, model: str, *, key: str | None = KEY, **body: Any) -> Call:
    """Sends a chat request, streamed unless the body says otherwise."""
    given = {"model": model, "stream": True, "messages": PROMPT, **body}
    return await call(
        server, "POST", "/api/v1/chat/completions", json.dumps(given).encode(), key=key
    )


async def answer(server: Server, model: str, *, key: str | None = KEY, **body: Any) -> Answer:
    return await (await ask(server, model, key=key, **body)).finish()
