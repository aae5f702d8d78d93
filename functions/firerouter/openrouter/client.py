"""The one door to OpenRouter: its client, and the tries it takes to get a first token.

    for each model, the chosen one and then the fallbacks:
        up to three tries, while a failure may pass: full jitter, or what Retry-After says
            request -> headers (the upstream id) -> first token

A key that OpenRouter refuses, or that has spent its limit, is no try: the next one is used at once.
After the first token nothing is tried again: the caller has seen it. Answers are always streamed,
for only a stream can be stopped at OpenRouter. One client an instance and one connection pool: a
client's TLS context alone costs 50 ms.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import httpx2
import openai
import orjson
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient, Omit

from .. import limits
from ..errors import (
    AnswerTooLong,
    FreeDailyLimit,
    KeyInvalid,
    KeyLimitReached,
    StreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ..keys import Secret
from ..models import is_free
from .answer import BROKEN, Answer
from .deadline import Deadline
from .embeddings import Vectors, read_embeddings
from .failures import from_status
from .generation_cost import read_generation
from .key_report import KeyReport, read_key_report
from .requests import ChatRequest, EmbeddingsRequest, Request
from .retry import Attempt, AttemptLog, retrying
from .usage import Usage

# what OPENAI_ORG_ID and OPENAI_PROJECT_ID would add is no business of OpenRouter's
_NOT_SENT: Final[Mapping[str, Any]] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}


class OpenRouter:
    """Talks to OpenRouter. Make one an instance; it connects when first used."""

    def __init__(self, *, base_url: str) -> None:
        self._base_url = base_url
        self._client: AsyncOpenAI | None = None
        self._key: Secret | None = None

    async def close(self) -> None:
        """Close its connections. A process that ends with it need not."""
        if self._client is not None:
            await self._client.close()

    @asynccontextmanager
    async def answer(
        self, request: ChatRequest, watch: Deadline, tries: AttemptLog
    ) -> AsyncIterator[Answer]:
        """The answer, at its first token; closed on leaving. Raises UpstreamError, Interrupted."""
        answer = await self._first_token(request, watch, tries)
        try:
            yield answer
        finally:
            await answer.close()

    async def embeddings(
        self, request: EmbeddingsRequest, watch: Deadline, tries: AttemptLog
    ) -> Vectors:
        """A vector for each input, by one request. Raises UpstreamError, Interrupted."""
        async for attempt in retrying(request.model, watch, tries):
            with attempt:
                return await self._vectors(request, watch, tries)
        raise AssertionError("the last try raises its failure")

    async def get(
        self,
        path: str,
        key: Secret | None,
        timeout_s: float,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """GET a JSON document of a bounded size, once. Raises UpstreamError.

        key: None where OpenRouter asks for none, and no admin has stored one yet.
        """
        try:
            async with asyncio.timeout(timeout_s):  # all of it, not each piece
                return json.loads(await self._document(path, key, query or {}))
        except openai.OpenAIError as error:
            raise _translated(error) from None
        except TimeoutError:
            raise UpstreamTimeout from None
        except (ValueError, RecursionError, httpx2.HTTPError):
            raise UpstreamMalformed from None

    async def _document(self, path: str, key: Secret | None, query: Mapping[str, str]) -> bytearray:
        keyless: Mapping[str, Any] = {"Authorization": Omit()} if key is None else {}
        response = cast(
            httpx2.Response,  # as cast_to asks: raw, its body not read yet
            await self._client_for(key).get(
                path,
                cast_to=httpx2.Response,
                options={"headers": keyless, "params": query, "follow_redirects": False},
                stream=True,
                stream_cls=AsyncStream[Any],
            ),
        )
        return await _whole(response, limits.DOCUMENT_MAX_BYTES)

    async def key_report(self, key: Secret) -> KeyReport:
        """What OpenRouter says of a key; free of charge. Raises UpstreamError."""
        return read_key_report(await self.get("/key", key, limits.PING_S))

    async def generation(self, id_: str, key: Secret) -> Usage | None:
        """What an answer came to, by OpenRouter's id; None while it does not know it. Raises
        UpstreamError."""
        try:
            document = await self.get("/generation", key, limits.PING_S, query={"id": id_})
        except UpstreamError as error:
            if error.details.get("upstreamStatus") == 404:
                return None
            raise
        return read_generation(document)

    async def _first_token(
        self, request: ChatRequest, watch: Deadline, tries: AttemptLog
    ) -> Answer:
        failure: UpstreamError | None = None
        free_used_up = False
        for model in request.models:
            if free_used_up and is_free(model):
                continue  # that limit is the account's, for all free models together
            if failure is not None and tries.on_retry is not None:
                await tries.on_retry(model, failure.reason)
            try:
                async for attempt in retrying(model, watch, tries):
                    with attempt:
                        return await self._try(model, request.knowing(tries.files), watch, tries)
            except UpstreamError as error:
                failure = error
                free_used_up = free_used_up or isinstance(error, FreeDailyLimit)
                if not error.another_model:
                    break
        assert failure is not None, "a request names at least one model"
        raise failure

    async def _try(
        self, model: str, request: ChatRequest, watch: Deadline, tries: AttemptLog
    ) -> Answer:
        attempt = Attempt(model)
        answer: Answer | None = None
        try:
            with watch.guard(request.first_token_s, "first_token"):
                key = await request.keys.get()
                tries.attempts.append(attempt)
                watch.waiting()
                response = await self._post(key, attempt, request)
                answer = request.answers(
                    response, model, watch, draws=request.draws, makes=request.makes
                )
                attempt.upstream_id = answer.upstream_id
                tries.on_id()
                # from the request on: a stream of keep-alive comments is no answer
                await answer.prime()
                attempt.upstream_id = answer.upstream_id
                return answer
        except BaseException as error:
            attempt.reason = error.reason if isinstance(error, UpstreamError) else "stopped"
            if isinstance(error, UpstreamError):
                tries.files.add(error.files)
            if answer is not None:
                attempt.upstream_id = answer.upstream_id
                await answer.close()
            raise

    async def _vectors(
        self, request: EmbeddingsRequest, watch: Deadline, tries: AttemptLog
    ) -> Vectors:
        attempt = Attempt(request.model)
        try:
            with watch.guard(request.silence_s, "first_token"):
                key = await request.keys.get()
                tries.attempts.append(attempt)
                watch.waiting()
                response = await self._post(key, attempt, request)
                attempt.upstream_id = response.headers.get("x-generation-id")
                body = await _whole(response, limits.VECTORS_MAX_BYTES, AnswerTooLong)
                vectors = read_embeddings(body, len(request.inputs), request.form)
        except BaseException as error:
            attempt.reason = error.reason if isinstance(error, UpstreamError) else "stopped"
            if isinstance(error, BROKEN):
                attempt.reason = StreamCut.reason
                raise StreamCut from None
            raise
        attempt.upstream_id = attempt.upstream_id or vectors.upstream_id
        tries.on_id()
        return vectors

    async def _post(self, key: Secret, attempt: Attempt, request: Request) -> httpx2.Response:
        """With the next key where OpenRouter refuses one, until there is none left to try."""
        tried: list[Secret] = []
        while True:
            tried.append(key)
            attempt.key_version = key.version
            try:
                return await self._send(key, attempt.model, request)
            except UpstreamError as refusal:
                following = await request.keys.another(tried) if _is_keys_end(refusal) else None
                if following is None:
                    raise
                key = following

    async def _send(self, key: Secret, model: str, request: Request) -> httpx2.Response:
        headers = {
            "HTTP-Referer": request.referer,
            "X-Title": request.app_name,
            "X-OpenRouter-Title": request.app_name,
        }
        try:
            response = await self._client_for(key).post(
                request.path,
                cast_to=httpx2.Response,
                content=_encoded(request.body(model)),
                options={"headers": headers, "follow_redirects": False},
                stream=True,
                stream_cls=AsyncStream[Any],
            )
        except openai.OpenAIError as error:
            raise _translated(error) from None
        return cast(httpx2.Response, response)  # as cast_to asks: raw, its body not read yet

    def _client_for(self, key: Secret | None) -> AsyncOpenAI:
        if self._client is None:
            self._client = AsyncOpenAI(
                api_key=key.reveal() if key else "none",  # it takes no empty one
                base_url=self._base_url,
                max_retries=0,  # the ladder above is ours
                default_headers=_NOT_SENT,
                timeout=httpx2.Timeout(None, connect=limits.CONNECT_S, pool=limits.CONNECT_S),
                http_client=DefaultAioHttpClient(
                    limits=httpx2.Limits(max_connections=limits.CONNECTIONS_MAX)
                ),
            )
            self._key = key
        elif key is not None and key != self._key:
            self._client = self._client.with_options(api_key=key.reveal())  # the same pool
            self._key = key
        return self._client


async def _whole(
    response: httpx2.Response, most_bytes: int, too_long: type[UpstreamError] = UpstreamMalformed
) -> bytearray:
    """A body to its end, and the connection closed, however it ends."""
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > most_bytes:
                raise too_long
    finally:
        await response.aclose()
    return body


def _encoded(body: dict[str, Any]) -> bytes:
    """As JSON. A request can hold files of 20 MB: a tenth of what the client's own encoder takes,
    while nothing else runs."""
    try:
        return orjson.dumps(body)
    except TypeError:  # an admin's free parameters may have a number of more than 64 bits
        return json.dumps(body, allow_nan=False).encode()


def _is_keys_end(error: UpstreamError) -> bool:
    """Whether it is this key alone that will not do; a 403 may name a budget of others as well."""
    spent = isinstance(error, KeyLimitReached) and error.details.get("upstreamStatus") == 402
    return spent or isinstance(error, KeyInvalid)


def _translated(error: openai.OpenAIError) -> UpstreamError:
    """An error of the openai client as a leaf of ours. Its text stays behind."""
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.body, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        # the transport reports every broken connection as a timeout: ask what it saw itself
        cause = error.__cause__.__cause__ if error.__cause__ else None
        if isinstance(error, openai.APITimeoutError) and isinstance(cause, TimeoutError):
            return UpstreamTimeout(phase="connect")
        return UpstreamUnreachable()
    return UpstreamMalformed()
