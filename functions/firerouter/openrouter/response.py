"""One HTTP response from OpenRouter, whose broken connections become StreamCut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import aiohttp
import httpx2

from ..errors import StreamCut, UpstreamError

# The client's transport translates only some of aiohttp's errors to httpx's
CONNECTION_ERRORS: Final = (httpx2.HTTPError, aiohttp.ClientError, OSError)


class UpstreamResponse:
    """A successful response whose body has not been read yet."""

    def __init__(self, response: httpx2.Response) -> None:
        self.upstream_id: str | None = response.headers.get("x-generation-id")
        content_type = response.headers.get("content-type", "").lower()
        self.is_event_stream = content_type.startswith("text/event-stream")
        self._response = response
        encoded = "content-encoding" in response.headers  # rarely; reading raw bytes is cheaper
        self._chunks = response.aiter_bytes() if encoded else response.aiter_raw()

    async def next_chunk(self) -> bytes | None:
        """Return the next bytes from the network, or None at the end. Raises StreamCut."""
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
