"""One HTTP response from OpenRouter. A broken connection becomes StreamCut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import aiohttp
import httpx2

from ..errors import StreamCut, UpstreamError

BLANK_MAX_BYTES: Final = 65_536  # before the first sign of what a body is
EVENT_STREAM: Final = b":deir"  # how it begins: a comment, or data, event, id, retry
DOCUMENT: Final = b'{["<'  # JSON, or a web page

# The client's transport translates only some of aiohttp's errors to httpx's
CONNECTION_ERRORS: Final = (httpx2.HTTPError, aiohttp.ClientError, OSError)


class UpstreamResponse:
    """A successful response whose body has not been read yet."""

    def __init__(self, response: httpx2.Response) -> None:
        self.upstream_id: str | None = response.headers.get("x-generation-id")
        content_type = response.headers.get("content-type", "").lower()
        self._claims_event_stream = content_type.startswith("text/event-stream")
        self._is_event_stream: bool | None = None  # until it has been looked at
        self._ahead = b""  # what was read to look at it
        self._response = response
        encoded = "content-encoding" in response.headers  # rarely; reading raw bytes is cheaper
        self._chunks = response.aiter_bytes() if encoded else response.aiter_raw()

    async def is_event_stream(self) -> bool:
        """Whether the body is a stream of events, and not one document. Raises StreamCut.

        Its first character says so. Its type does where that is none, for proxies mislabel bodies.
        """
        if self._is_event_stream is None:
            first = await self._first_character()
            self._is_event_stream = self._claims_event_stream
            if first in EVENT_STREAM:
                self._is_event_stream = True
            elif first in DOCUMENT:
                self._is_event_stream = False
        return self._is_event_stream

    async def _first_character(self) -> bytes:
        """Read ahead up to the first character that is not blank; return a blank if none is."""
        ahead = b""
        while len(ahead) <= BLANK_MAX_BYTES and (chunk := await self.next_chunk()) is not None:
            ahead += chunk
            if text := ahead.removeprefix(b"\xef\xbb\xbf").lstrip():
                self._ahead = ahead
                return text[:1]
        self._ahead = ahead
        return b" "

    async def next_chunk(self) -> bytes | None:
        """Return the next bytes from the network, or None at the end. Raises StreamCut."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        try:
            return await anext(self._chunks, None)
        except CONNECTION_ERRORS:
            raise StreamCut from None

    async def read(self, max_bytes: int, too_long: type[UpstreamError]) -> bytearray:
        """Read the body to its end, and close the connection in any case.

        Raises:
            StreamCut: The connection broke.
            UpstreamError: The body is longer than `max_bytes`; this raises `too_long`.
        """
        body = bytearray()
        try:
            while (chunk := await self.next_chunk()) is not None:
                body += chunk
                if len(body) > max_bytes:
                    raise too_long
        finally:
            await self.close()
        return body

    async def drain(self, within_s: float) -> None:
        """Read what is left, if it comes at once: its connection can then be used again."""
        with suppress(TimeoutError, StreamCut):
            async with asyncio.timeout(within_s):
                while await self.next_chunk() is not None:
                    pass

    async def close(self) -> None:
        """Close the connection, which stops generation and billing, if the provider supports it."""
        with suppress(*CONNECTION_ERRORS):
            await self._response.aclose()
