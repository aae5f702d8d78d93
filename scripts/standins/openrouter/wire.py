"""The only place that touches the connection: headers, a write per token, cuts and resets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from .accounts import key_of
from .key_leaks import HOLD_LIMIT_S, leak
from .request_log import Record

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds


class Wire:
    """A response on its connection. However it ends, it ends the record."""

    def __init__(self, request: web.Request, record: Record) -> None:
        self._request = request
        self.record = record
        self._response: web.StreamResponse | None = None
        self._key = key_of(request.headers.get("Authorization", ""))

    @property
    def response(self) -> web.StreamResponse:
        """The response that aiohttp expects. After a reset it is never sent."""
        return self._response or web.Response()

    async def open(
        self,
        *,
        status: int = 200,
        content_type: str = "text/event-stream",
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        """Send the status and the headers. Without a length the body is chunked."""
        response = web.StreamResponse(status=status)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Type"] = content_type
        response.headers.update(headers or {})
        if length is not None:
            response.content_length = length
        self._response = response
        await response.prepare(self._request)

    async def send(self, data: bytes, tokens: int = 0) -> None:
        await self.response.write(leak(data, self._key))
        self.record.tokens_sent += tokens

    async def end(self, data: bytes = b"", tokens: int = 0) -> None:
        """Send the last bytes and the end of the body, in one write."""
        self.record.tokens_sent += tokens
        self.record.end()
        await self.response.write_eof(leak(data, self._key))

    async def whole(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        tokens: int = 0,
    ) -> None:
        length = len(leak(body, self._key))
        await self.open(status=status, content_type=content_type, headers=headers, length=length)
        await self.end(body, tokens)

    async def hold(self) -> None:
        """Send nothing until the client disconnects, which cancels this."""
        await asyncio.sleep(HOLD_LIMIT_S)

    def cut(self) -> None:
        """Close the connection without the terminating chunk."""
        self.record.end()
        if self._request.transport is not None:
            self._request.transport.close()

    def raw(self, data: bytes) -> None:
        """Write bytes that need not be HTTP, and close the connection."""
        if self._request.transport is not None:
            self._request.transport.write(data)
        self.cut()

    def reset(self) -> None:
        """Reset the connection (TCP RST)."""
        self.record.end()
        transport = self._request.transport
        if transport is None:
            return
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
