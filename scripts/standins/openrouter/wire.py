"""The one place that touches the connection: headers, one write per token, cuts and resets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from .accounts import key_of
from .key_leaks import HOLD_LIMIT_S, quoted
from .request_log import Record

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds


class Wire:
    """One answer on one connection. Every way out of it ends the record."""

    def __init__(self, request: web.Request, record: Record) -> None:
        self._request = request
        self._record = record
        self._response: web.StreamResponse | None = None
        self._key = key_of(request.headers.get("Authorization", ""))

    @property
    def response(self) -> web.StreamResponse:
        """What aiohttp wants back. After a reset it is never sent."""
        return self._response or web.Response()

    async def open(
        self,
        *,
        status: int = 200,
        content_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        """Sends status and headers. Without a length the body is chunked."""
        response = web.StreamResponse(status=status)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Type"] = content_type
        response.headers.update(headers or {})
        if length is not None:
            response.content_length = length
        self._response = response
        await response.prepare(self._request)

    async def send(self, data: bytes, tokens: int = 0) -> None:
        await self.response.write(quoted(data, self._key))
        self._record.tokens_sent += tokens

    async def end(self, data: bytes = b"", tokens: int = 0) -> None:
        """The last bytes and the end of the body, in one write."""
        self._record.tokens_sent += tokens
        self._record.end()
        await self.response.write_eof(quoted(data, self._key))

    async def whole(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        tokens: int = 0,
    ) -> None:
        length = len(quoted(body, self._key))
        await self.open(status=status, content_type=content_type, headers=headers, length=length)
        await self.end(body, tokens)

    async def hold(self) -> None:
        """Says nothing until the client goes away, which cancels this."""
        await asyncio.sleep(HOLD_LIMIT_S)

    def cut(self) -> None:
        """Closes politely in the middle: no terminating chunk."""
        self._record.end()
        if self._request.transport is not None:
            self._request.transport.close()

    def reset(self) -> None:
        """TCP RST."""
        self._record.end()
        transport = self._request.transport
        if transport is None:
            return
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
