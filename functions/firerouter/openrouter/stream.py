"""One answer while OpenRouter streams it: bytes in, lists of deltas out.

    bytes -> sse.Parser -> JSON -> a reader -> the new deltas, and the answer so far

A stream that ends with neither `[DONE]` nor a finish reason was truncated, however cleanly it
closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

import orjson

from ..contract import parse_json
from ..errors import AnswerTooLong, ImagesTooLarge, UpstreamMalformed
from . import sse
from .answer import Answer, Delta
from .deadline import Deadline
from .limits import OpenRouterLimits
from .readers import ChatReader, ChunkReader, ImageReader

if TYPE_CHECKING:
    from .response import UpstreamResponse

DONE: Final = b"[DONE]"


class AnswerStream:
    """Iterate over this to get lists of deltas as they arrive; `answer` is the answer so far.

    Raises, while iterated: UpstreamError.
    """

    def __init__(
        self,
        response: UpstreamResponse,
        model: str,
        deadline: Deadline,
        *,
        limits: OpenRouterLimits,
        wants_images: bool = False,
        image_api_count: int | None = None,
    ) -> None:
        """Take over a response.

        Args:
            response: Its body has not been read yet.
            model: The model that was called.
            deadline: Measures OpenRouter's silence.
            limits: The limits of an answer.
            wants_images: Whether images were requested; the error for a line that is too long then
                names them.
            image_api_count: How many images were requested of the image API; None for a chat.
        """
        self.answer = Answer(model, response.upstream_id, limits)
        self._reader: ChunkReader = ChatReader(self.answer)
        if image_api_count is not None:
            self._reader = ImageReader(self.answer, image_api_count, limits)
        self._response = response
        self._deadline = deadline
        self._parser = sse.Parser(limits.line_max_bytes)
        self._too_long = ImagesTooLarge if wants_images else AnswerTooLong
        in_base64 = limits.images_max_bytes * 3 // 2
        self._body_max_bytes = in_base64 if wants_images else limits.line_max_bytes
        self._first: list[Delta] | None = None
        self._is_done = False
        self._is_event_stream = True  # until `prime` has looked

    async def prime(self) -> None:
        """Wait for the first deltas, or for the end if there are none."""
        self._is_event_stream = await self._response.is_event_stream()
        self._first = await self._next()

    async def __aiter__(self) -> AsyncIterator[list[Delta]]:
        deltas = self._first
        while deltas is not None:
            yield deltas
            deltas = await self._next()

    async def close(self) -> None:
        """Close the connection, which stops generation and billing, if the provider supports it."""
        await self._response.close()

    async def _next(self) -> list[Delta] | None:
        """Return the next deltas, at least one, or None at the end of a complete answer."""
        if not self._is_event_stream:
            return await self._read_document()
        self._deadline.start_silence()
        while True:
            chunk = await self._response.next_chunk()
            try:
                events = self._parser.flush() if chunk is None else self._parser.feed(chunk)
            except sse.TooLong:
                raise self._too_long from None
            deltas = [delta for event in events for delta in self._read_event(event)]
            if deltas:
                # only now, because comments and empty chunks are not progress
                self._deadline.end_silence()
                return deltas
            if chunk is None:
                return self.answer.finish(done=self._is_done) or None

    def _read_event(self, data: bytes) -> Iterator[Delta]:
        if data == DONE:
            self._is_done = True
            return iter(())
        try:
            chunk = orjson.loads(data)
        except ValueError:
            chunk = self._parse_odd(data)
        return self._reader.read(chunk, whole=False)

    def _parse_odd(self, data: bytes) -> object:
        """Parse JSON that contains half a character, or NaN, which counts as null."""
        try:
            chunk = parse_json(data, lenient=True)
        except (ValueError, RecursionError):
            raise UpstreamMalformed from None
        self.answer.has_split_characters = True
        return chunk

    async def _read_document(self) -> list[Delta] | None:
        """Read JSON that arrived instead of a stream: an error, or a complete answer."""
        if self._is_done:
            return self.answer.finish(done=True) or None
        self._deadline.start_silence()
        body = await self._response.read(self._body_max_bytes, self._too_long)
        try:
            document = parse_json(body, lenient=True)
        except (ValueError, RecursionError):
            raise UpstreamMalformed from None
        self._is_done = True
        self._deadline.end_silence()
        deltas = list(self._reader.read(document, whole=True))
        return deltas or await self._read_document()
