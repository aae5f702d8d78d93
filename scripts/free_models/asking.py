"""The requests: one question to a model, the list of models, what the key may still ask today.

Answers and failures are read as the functions read them, by `firerouter.openrouter`, but nothing is
tried twice: a try that failed may count against the day's free requests too. The key is held in a
Secret and sent in one header; no text that OpenRouter sent is repeated, for it could hold the key.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from firerouter.errors import (
    EmptyAnswer,
    OutOfTime,
    UpstreamError,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from firerouter.keys.secret import Secret
from firerouter.models.model import Model, read_models
from firerouter.openrouter import (
    AnswerStream,
    Deadline,
    KeyReport,
    OpenRouterLimits,
    UpstreamResponse,
)
from firerouter.openrouter.failures import from_status
from firerouter.openrouter.key_report import read_key_report

DEADLINE_S: Final = 30.0  # one model, from the request to the end of its answer
DOCUMENT_S: Final = 20.0
PROMPT: Final = "Say hello in one word."
ANSWER_TOKENS: Final = 32  # fewer than 16 are refused by some providers


@dataclass(frozen=True, slots=True)
class Source:
    """Who is asked, and with which key."""

    url: str
    key: Secret
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one request. Milliseconds since it was sent, None where it did not get there."""

    model: Model
    failure: UpstreamError | None
    first_token_ms: int | None
    total_ms: int | None

    @property
    def answered(self) -> str:
        """`yes`, or in a few words why not."""
        if self.failure is None:
            return "yes"
        if isinstance(self.failure, OutOfTime):
            return f"not within {DEADLINE_S:.0f} s"
        return words(self.failure)


def words(failure: UpstreamError) -> str:
    """`rate limited`, say: the reason as docs/wire.md lists it, for people."""
    return failure.reason.replace("_", " ")


LIMITS = OpenRouterLimits()


class Upstream:
    """OpenRouter, or its stand-in. Enter it before use, inside a running loop."""

    def __init__(self, source: Source) -> None:
        self._key = source.key
        self._http = httpx2.AsyncClient(
            base_url=source.url,
            timeout=httpx2.Timeout(
                None, connect=OpenRouterLimits().connect_s
            ),  # the rest is watched
            trust_env=not source.simulated,  # no proxy leads to this machine
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ask(self, model: Model) -> Row:
        """One request, once. Thoughts count as an answer: few tokens may hold nothing else."""
        began = time.perf_counter()
        first_ms: int | None = None
        body = {
            "model": model.id,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": ANSWER_TOKENS,
            "stream": True,
        }
        watch = Deadline(DEADLINE_S)
        try:
            with watch.guard():
                async with self._sent("POST", "/chat/completions", self._key, json=body) as got:
                    answer = AnswerStream(UpstreamResponse(got), model.id, watch, limits=LIMITS)
                    await answer.prime()
                    async for _ in answer:
                        first_ms = _ms_since(began) if first_ms is None else first_ms
            if first_ms is None:
                raise EmptyAnswer
        except UpstreamError as failure:
            return Row(model, failure, first_ms, None)
        return Row(model, None, first_ms, _ms_since(began))

    async def key_report(self) -> KeyReport:
        """Free of charge. Raises UpstreamError."""
        return read_key_report(await self._document("/key", self._key))

    async def models(self) -> tuple[Model, ...]:
        """The whole list, which is public: the key is not sent. Raises UpstreamError."""
        document = await self._document("/models", None)
        entries = document.get("data") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise UpstreamMalformed
        return read_models(entries)[0]

    async def _document(self, path: str, key: Secret | None) -> Any:
        try:
            with Deadline(DOCUMENT_S).guard():
                async with self._sent("GET", path, key) as response:
                    return json.loads(await _body(response))
        except (ValueError, RecursionError):
            raise UpstreamMalformed from None

    @asynccontextmanager
    async def _sent(
        self, method: str, path: str, key: Secret | None, **content: Any
    ) -> AsyncIterator[httpx2.Response]:
        """The response, once OpenRouter has said yes. Raises UpstreamError."""
        headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        try:
            async with self._http.stream(method, path, headers=headers, **content) as response:
                if response.status_code != httpx2.codes.OK:
                    raise await _failure(response)
                yield response
        except httpx2.HTTPError:
            raise UpstreamUnreachable from None


async def _failure(response: httpx2.Response) -> UpstreamError:
    try:
        body = json.loads(await _body(response))
    except (ValueError, RecursionError):
        body = None  # a web page, of the edge's
    error = body.get("error") if isinstance(body, dict) else None
    return from_status(response.status_code, error, response.headers)


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > LIMITS.document_max_bytes:
            raise UpstreamMalformed
    return bytes(body)


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
