"""One answer while OpenRouter streams it: bytes in, lists of deltas out.

    bytes -> sse.Parser -> JSON -> a reader -> the new deltas, and the answer so far

An answer ends with `[DONE]`: nothing after it is read. Without that it ends with a finish reason,
once its usage has had a moment to follow, whether the connection is closed, broken or silent then.
A stream that ends with neither was truncated, however cleanly it closed.

What was read before a failure is passed on before the failure is raised, even if the network
brought both at once: how it cuts a stream makes no difference to an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

import orjson

from ..contract import parse_json
from ..errors import AnswerTooLong, ImagesTooLarge, StreamCut, UpstreamError, UpstreamMalformed
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
        self._limits = limits
        self._parser = sse.Parser(
            limits.image_line_max_bytes if wants_images else limits.line_max_bytes
        )
        self._too_long = ImagesTooLarge if wants_images else AnswerTooLong
        in_base64 = limits.images_max_bytes * 3 // 2
        self._body_max_bytes = in_base64 if wants_images else limits.line_max_bytes
        self._first: list[Delta] | None = None
        self._events: Iterator[bytes] | None = None  # that have come and are not read yet
        self._is_last = False  # nothing comes after them
        self._is_done = False
        self._is_event_stream = True  # until `prime` has looked
        self._usage_due_at: float | None = None  # of an answer that has its finish reason
        self._failure: UpstreamError | None = None

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
        if self._is_done:
            await self._response.drain(self._limits.drain_s)
        await self._response.close()

    async def _next(self) -> list[Delta] | None:
        """Return the next deltas, at least one, or None at the end of a complete answer."""
        self._deadline.start_silence()
        while self._failure is None and not self._is_done:
            if self._is_event_stream:
                deltas = self._read_events(await self._next_events())
            else:
                deltas = self._read_document(await self._body())
            if deltas:
                # only now, because comments and empty chunks are not progress
                self._deadline.end_silence()
                self._usage_due_at = None
                return deltas
        if self._failure is not None:
            raise self._failure
        return self.answer.finish() or None

    async def _next_chunk(self) -> bytes | None:
        """Return the next bytes, or None at the end; also at that of an answer that has finished,
        if no usage follows."""
        if not self.answer.has_ended:
            return await self._response.next_chunk()
        self._deadline.end_silence()
        if self._usage_due_at is None:
            self._usage_due_at = asyncio.get_running_loop().time() + self._limits.usage_wait_s
        try:
            async with asyncio.timeout_at(self._usage_due_at):
                return await self._response.next_chunk()
        except (TimeoutError, StreamCut):
            return None

    async def _next_events(self) -> Iterator[bytes]:
        """Return the events of the next bytes, or those that are left of the last ones."""
        if self._events is not None:
            await asyncio.sleep(0)  # many came at once: other users' answers have their turn
            return self._events
        chunk = await self._next_chunk()
        self._is_last = chunk is None
        self._events = self._parser.flush() if chunk is None else self._parser.feed(chunk)
        return self._events

    def _read_events(self, events: Iterator[bytes]) -> list[Delta]:
        """Return the deltas in the next events, a few at a time. Those left are not read yet."""
        deltas: list[Delta] = []
        try:
            for number, event in enumerate(events, 1):
                for delta in self._read_event(event):
                    deltas.append(delta)  # noqa: PERF402  # those before a failure are kept
                if self._is_done or number == self._limits.events_at_once:
                    return deltas
        except sse.TooLong:
            self._failure = self._too_long()
        except UpstreamMalformed as error:
            if not self._is_last:
                self._failure = error  # else the stream was cut inside this event
        except UpstreamError as error:
            self._failure = error
        self._events = None
        if self._is_last:
            self._end()
        return deltas

    def _end(self) -> None:
        """Note that nothing follows."""
        self._is_done = True
        if not self.answer.has_ended:
            self._failure = self._failure or StreamCut()

    def _read_event(self, data: bytes) -> Iterator[Delta]:
        if data == DONE:
            self._is_done = True
            return iter(())
        try:
            chunk = orjson.loads(data)
        except ValueError:
            return self._read_odd(data)
        return self._reader.read(chunk, whole=False)

    def _read_odd(self, data: bytes) -> Iterator[Delta]:
        """Read what orjson refuses: `[DONE]` with spaces, nothing, or odd JSON.

        That has half of a character, whose other half follows, or NaN, which is read as null.
        """
        word = data.strip()
        if word in (b"", DONE):
            self._is_done = self._is_done or word == DONE
            return iter(())
        try:
            chunk = parse_json(data, lenient=True)
        except (ValueError, RecursionError):
            raise UpstreamMalformed from None
        self.answer.has_split_characters = True
        return self._reader.read(chunk, whole=False)

    async def _body(self) -> bytearray:
        return await self._response.read(self._body_max_bytes, self._too_long)

    def _read_document(self, body: bytearray) -> list[Delta]:
        """Read JSON that arrived instead of a stream: an error, or a complete answer."""
        self._is_done = True
        deltas: list[Delta] = []
        try:
            document = parse_json(body, lenient=True)
        except (ValueError, RecursionError):
            raise UpstreamMalformed from None
        try:
            for delta in self._reader.read(document, whole=True):
                deltas.append(delta)  # noqa: PERF402  # those before a failure are kept
        except UpstreamError as error:
            self._failure = error
        return deltas
