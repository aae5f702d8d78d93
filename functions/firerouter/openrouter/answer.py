"""One streamed answer of OpenRouter: its bytes read, understood, and judged at the end.

    bytes -> sse.Parser -> chunk -> deltas (text, reasoning), and what the answer is made of

What is odd in a stream, and what is made of it (streaming page of OpenRouter's docs, recordings):
the usage comes in a chunk with no choice, with one that repeats the finish reason, or with one that
has none; twice, or never. `choices` may be empty or null. An error may be the first event or come
after text, with usage beside it. A 200 may hold JSON, with an error in it or a whole answer. A
stream that ends with neither `[DONE]` nor a finish reason was cut, however cleanly it closed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import aiohttp
import httpx2
import orjson

from .. import limits
from ..errors import (
    AnswerTooLong,
    EmptyAnswer,
    ImagesTooLarge,
    StreamCut,
    UpstreamBusy,
    UpstreamMalformed,
)
from . import sse, usage
from .citations import Citations
from .deadline import Deadline
from .failures import from_event
from .file_annotations import Files
from .images import ImageCollector
from .reasoning import ReasoningCollector
from .tool_calls import ToolCalls

# what a connection raises when it breaks; the client's transport translates only some of aiohttp's
BROKEN: Final = (httpx2.HTTPError, aiohttp.ClientError, OSError)
NAME_MAX_CHARS: Final = 200
FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter"})


class Delta(NamedTuple):
    """A piece of the answer. kind: "text" or "reasoning"; "tool_call", "citation" or "image",
    whose value is whole; "partial_image"; "" for what has come and is not whole yet."""

    kind: str
    text: str = ""
    value: Mapping[str, Any] = {}


class Answer:
    """Iterate to get lists of deltas as the network brings them; the rest is set as it comes.

    Raises, while iterated: UpstreamError. `finish_reason` is set once it ended well.
    """

    def __init__(
        self,
        response: httpx2.Response,
        model: str,
        watch: Deadline,
        *,
        draws: bool = False,
        makes: int = 1,
    ) -> None:
        """draws: images were asked for, which nothing else in an answer is as large as. makes: how
        many."""
        self.model = model
        self.provider: str | None = None
        self.upstream_id: str | None = response.headers.get("x-generation-id")
        self.usage: usage.Usage | None = None
        self.finish_reason: str | None = None
        self._response = response
        encoded = "content-encoding" in response.headers  # hardly ever; raw bytes are cheaper
        self._chunks = response.aiter_bytes() if encoded else response.aiter_raw()
        self._watch = watch
        self._parser = sse.Parser(limits.SSE_LINE_MAX_BYTES)
        kind = response.headers.get("content-type", "").lower()
        self._streamed = kind.startswith("text/event-stream")
        self._first: list[Delta] | None = None
        self._parts: dict[str, list[str]] = {"text": [], "reasoning": []}
        self._size = 0
        self.tool_calls: list[dict[str, str]] = []  # whole
        self._calls = ToolCalls()
        self._citations = Citations()
        self._files = Files()
        self._thoughts = ReasoningCollector()
        self.pictures = ImageCollector()
        self._partials = 0
        self._makes = makes
        self._whole_max = limits.IMAGES_MAX_BYTES * 3 // 2 if draws else limits.SSE_LINE_MAX_BYTES
        self._too_long = ImagesTooLarge if draws else UpstreamMalformed
        self._done = False
        self._halved = False  # a character came in two halves: rare, and the reading costs
        self._half: dict[str, str] = {}

    @property
    def text(self) -> str:
        return "".join(self._parts["text"])

    @property
    def reasoning(self) -> str:
        return "".join(self._parts["reasoning"])

    @property
    def citations(self) -> list[dict[str, Any]]:
        return self._citations.all

    @property
    def files(self) -> Mapping[str, str]:
        """What OpenRouter read of files: JSON by hash."""
        return self._files.all

    @property
    def reasoning_details(self) -> list[dict[str, Any]]:
        return self._thoughts.all

    @property
    def thoughts_too_long(self) -> bool:
        """To be kept, so that there are none in `reasoning_details`."""
        return self._thoughts.too_long

    async def prime(self) -> None:
        """Wait for the first deltas, or for an end without any."""
        self._first = await self._next()

    async def __aiter__(self) -> AsyncIterator[list[Delta]]:
        deltas = self._first
        while deltas is not None:
            yield deltas
            deltas = await self._next()

    async def close(self) -> None:
        """Close the connection: nothing more is generated, or paid for, if that can be helped."""
        with suppress(*BROKEN):
            await self._response.aclose()

    async def _next(self) -> list[Delta] | None:
        """The next deltas, at least one; None at a good end."""
        if not self._streamed:
            return await self._whole()
        self._watch.waiting()
        while True:
            try:
                chunk = await anext(self._chunks, None)
            except BROKEN:
                raise StreamCut from None
            try:
                events = self._parser.flush() if chunk is None else self._parser.feed(chunk)
            except sse.TooLong:
                raise self._too_long from None
            deltas = [delta for event in events for delta in self._event(event)]
            if deltas:
                self._watch.working()  # and not before: comments and empty chunks are no progress
                return deltas
            if chunk is None:
                self._end()
                return list(self._whole_calls()) or None

    def _end(self) -> None:
        if self.finish_reason is None and not self._done:
            raise StreamCut
        self.finish_reason = self.finish_reason or "stop"
        if self._calls.any and self.finish_reason == "stop":
            self.finish_reason = "tool_calls"  # as not all providers say
        said = self._size or self._calls.any or self.pictures.count
        if not said and self.finish_reason == "stop":
            raise EmptyAnswer

    def _event(self, data: bytes) -> Iterator[Delta]:
        if data == b"[DONE]":
            self._done = True
            return iter(())
        try:
            chunk = orjson.loads(data)
        except ValueError:
            chunk = self._with_halves(data)
        return self._chunk(chunk, "delta")

    def _with_halves(self, data: bytes) -> Any:
        """JSON that escapes half a character (a lone surrogate); the other half comes next."""
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise UpstreamMalformed from None
        self._halved = True
        return chunk

    def _chunk(self, chunk: Any, holder: str) -> Iterator[Delta]:
        """What one chunk (holder "delta") or a whole completion (holder "message") brings."""
        if not isinstance(chunk, dict):
            raise UpstreamMalformed
        if self.provider is None:  # in the first chunks, and the same in all
            self.provider = _name(chunk.get("provider"))
            self.upstream_id = self.upstream_id or _name(chunk.get("id"))
            self.model = _name(chunk.get("model")) or self.model
        if chunk.get("usage"):
            self.usage = usage.read(chunk["usage"]) or self.usage
        if chunk.get("error"):
            raise from_event(chunk["error"])
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise UpstreamMalformed
        for choice in choices:
            yield from self._choice(choice, holder)

    def _choice(self, choice: Any, holder: str) -> Iterator[Delta]:
        if not isinstance(choice, dict):
            raise UpstreamMalformed
        delta = choice.get(holder)
        if isinstance(delta, dict):
            # strings only: refusals and parts of other kinds have no text to show
            if isinstance(reasoning := delta.get("reasoning"), str) and reasoning:
                yield self._take("reasoning", reasoning)
            if isinstance(content := delta.get("content"), str) and content:
                yield self._take("text", content)
            if details := delta.get("reasoning_details"):
                self._thoughts.add(details, whole=holder == "message")
            if self._calls.add(delta.get("tool_calls")):
                yield Delta("")
            self._files.add(delta.get("annotations"))
            for picture in self.pictures.add(delta.get("images")):
                yield Delta("image", value=picture)
            for citation in self._citations.add(delta.get("annotations")):
                yield Delta("citation", value=citation)
        if choice.get("error"):
            raise from_event(choice["error"])
        reason = choice.get("finish_reason")
        if reason == "error":
            raise UpstreamBusy
        if isinstance(reason, str):
            self.finish_reason = reason if reason in FINISH_REASONS else "stop"
            yield from self._whole_calls()

    def _whole_calls(self) -> Iterator[Delta]:
        """Once: an answer has said all its calls when it has finished."""
        if self.tool_calls or not self._calls.any:
            return
        self.tool_calls = self._calls.whole()
        for call in self.tool_calls:
            yield Delta("tool_call", value=call)

    def _take(self, kind: str, text: str) -> Delta:
        if self._halved:
            text = self._mended(kind, text)
        self._parts[kind].append(text)
        self._size += len(text)
        if self._size > limits.ANSWER_MAX_CHARS:
            raise AnswerTooLong
        return Delta(kind, text)

    def _mended(self, kind: str, text: str) -> str:
        """`text` after the half that was held back; a half at its own end is held back in turn."""
        text = self._half.pop(kind, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half[kind] = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    async def _whole(self) -> list[Delta] | None:
        """JSON where a stream was asked for: an error, or a whole answer."""
        if self._done:
            self._end()
            return list(self._whole_calls()) or None
        body = b""
        self._watch.waiting()
        try:
            async for chunk in self._chunks:
                body += chunk
                if len(body) > self._whole_max:
                    raise self._too_long
        except BROKEN:
            raise StreamCut from None
        try:
            completion = orjson.loads(body)
        except ValueError:
            raise UpstreamMalformed from None
        self._done = True
        self._watch.working()
        deltas = list(self._chunk(completion, "message"))
        return deltas or await self._whole()


def _name(value: Any) -> str | None:
    """A name or an id, which the ledger keeps: text, and not a long one."""
    return value[:NAME_MAX_CHARS] if isinstance(value, str) else None
