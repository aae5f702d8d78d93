"""The client of OpenRouter, which retries until it gets a first token.

    for each model, the chosen one and then the fallbacks:
        up to three attempts if the failure may be temporary: full jitter, or Retry-After
            request -> headers (the upstream id) -> first token

If OpenRouter refuses a key, or the key has spent its limit, the same attempt uses the next key at
once. A model is asked once more where it says how it may answer: with fewer tokens, which the
account's credit pays for, or with the system prompt in the question. Nothing is retried after the
first token, because the caller has seen it. Answers are always streamed, because only a stream can
be stopped at OpenRouter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..cache import Recent
from ..contract import parse_json
from ..errors import (
    AnswerTooLong,
    FreeDailyLimit,
    StreamCut,
    SystemRoleRejected,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamTimeout,
)
from ..keys import Secret
from ..models import is_free
from .attempts import Attempt, AttemptLog, OnId, OnRetry
from .deadline import Deadline
from .embeddings import Embeddings, Form, read_document, read_embeddings
from .generation_cost import read_generation
from .json_fields import as_name
from .key_report import KeyReport, read_key_report
from .limits import OpenRouterLimits
from .redaction import explain
from .requests import ChatRequest, EmbeddingsRequest, ImagesRequest, Request
from .retry import retrying
from .stream import AnswerStream
from .usage import Usage, read_usage

if TYPE_CHECKING:
    from .response import UpstreamResponse
    from .transport import Transport


def _ignore() -> None:
    """Ignore that an id is known."""


class OpenRouter:
    """A client of OpenRouter. One per instance; it connects when it is first used."""

    def __init__(self, *, base_url: str, limits: OpenRouterLimits | None = None) -> None:
        self._base_url = base_url
        self.limits = limits or OpenRouterLimits()
        most = self.limits.models_learnt_max
        self._no_system_role: Recent[str, bool] = Recent(most)  # models that have none
        self._encodings: Recent[str, Form] = Recent(most)  # in which the vectors of each came

    @staticmethod
    def load() -> None:
        """Import what the first request needs. It blocks, for most of a second."""
        from .transport import tls_context

        tls_context()

    @cached_property
    def _transport(self) -> Transport:
        from .transport import Transport  # not before it is needed: see `load`

        return Transport(self._base_url, self.limits)

    async def close(self) -> None:
        """Close all connections. A process that is about to exit need not call this."""
        if "_transport" in vars(self):
            await self._transport.close()

    @asynccontextmanager
    async def answer(
        self,
        request: ChatRequest,
        deadline: Deadline,
        attempts: AttemptLog,
        *,
        on_id: OnId = _ignore,
        on_retry: OnRetry | None = None,
    ) -> AsyncIterator[AnswerStream]:
        """Yield an answer that has its first token. Its connection is closed on exit.

        Args:
            request: What to send, and to which models.
            deadline: Ends the answer early.
            attempts: The log to which each attempt is added.
            on_id: Called when OpenRouter's id of an attempt is known.
            on_retry: Called with the next model, and why the last attempt failed.

        Raises:
            UpstreamError: No model answered.
            Interrupted: The answer was stopped.
        """
        stream = await self._first_token(request, deadline, attempts, on_id, on_retry)
        try:
            yield stream
        except UpstreamError as error:
            await _explain(error, attempts.attempts[-1])
            raise
        finally:
            await stream.close()

    async def embed(
        self,
        request: EmbeddingsRequest,
        deadline: Deadline,
        attempts: AttemptLog,
        *,
        on_id: OnId = _ignore,
    ) -> Embeddings:
        """Return a vector for each input, all from one response.

        Some providers know no base64: they refuse it, or answer without vectors. A model whose
        vectors never came as base64 is asked for numbers then, and from then on if they come.

        Raises:
            UpstreamError, Interrupted: There are no vectors.
        """
        model = request.model
        request = replace(request, encoding=self._encodings.get(model) or request.encoding)
        async for attempt in retrying(model, deadline, self.limits):
            with attempt:
                try:
                    made = await self._try_embeddings(request, deadline, attempts, on_id)
                except (UpstreamMalformed, UpstreamRejected) as error:
                    if self._encodings.get(model) or request.encoding == "float":
                        raise
                    request = replace(request, encoding="float")
                    if error.another_try:
                        raise
                    made = await self._try_embeddings(request, deadline, attempts, on_id)
                self._encodings.put(model, request.encoding)
                return made
        raise AssertionError("the last attempt raises its failure")

    async def get(
        self,
        path: str,
        key: Secret | None,
        timeout_s: float,
        *,
        query: Mapping[str, str] | None = None,
    ) -> object:
        """Fetch a JSON document of a bounded size, once.

        Args:
            path: The path below the API's base URL.
            key: None if OpenRouter requires none and no admin has stored one yet.
            timeout_s: The deadline of the whole call, not of each read.
            query: The query parameters.

        Raises:
            UpstreamError: There is no such document, or it is malformed or too long.
        """
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._transport.get(path, key, query or {})
                body = await response.read(self.limits.document_max_bytes, UpstreamMalformed)
            document = parse_json(body, lenient=True)
        except TimeoutError:
            raise UpstreamTimeout from None
        except (ValueError, RecursionError, StreamCut):
            raise UpstreamMalformed from None
        except UpstreamError as error:
            await explain(error, key)
            raise
        return document

    async def key_report(self, key: Secret) -> KeyReport:
        """Return what OpenRouter reports about a key, free of charge. Raises UpstreamError."""
        return read_key_report(await self.get("/key", key, self.limits.ping_s))

    async def generation_usage(self, id_: str, key: Secret) -> Usage | None:
        """Return an answer's usage by OpenRouter's id; None if OpenRouter does not have it yet.

        Raises:
            UpstreamError: The request failed.
        """
        query = {"id": id_}
        try:
            document = await self.get("/generation", key, self.limits.ping_s, query=query)
        except UpstreamError as error:
            if error.details.get("upstreamStatus") == 404:
                return None
            raise
        return read_generation(document)

    async def _first_token(
        self,
        request: ChatRequest,
        deadline: Deadline,
        attempts: AttemptLog,
        on_id: OnId,
        on_retry: OnRetry | None,
    ) -> AnswerStream:
        failure: UpstreamError | None = None
        no_free_left = False
        for model in request.models:
            if no_free_left and is_free(model):
                continue  # that limit covers all free models together
            if failure is not None and on_retry is not None:
                await on_retry(model, failure.reason)
            try:
                return await self._first_token_of(
                    model, request, deadline, attempts, on_id=on_id, on_retry=on_retry
                )
            except UpstreamError as error:
                failure = error
                no_free_left = no_free_left or isinstance(error, FreeDailyLimit)
                if not error.another_model:
                    break
        raise failure or ValueError("a request names at least one model")

    async def _first_token_of(
        self,
        model: str,
        request: ChatRequest,
        deadline: Deadline,
        attempts: AttemptLog,
        *,
        on_id: OnId,
        on_retry: OnRetry | None,
    ) -> AnswerStream:
        """Ask one model, and once more for each thing that it says of how it may be asked."""
        attempts.affordable_tokens = None
        if self._no_system_role.get(model) and request.has_system_role:
            request = request.without_system_role()
        while True:
            try:
                async for attempt in retrying(model, deadline, self.limits, on_retry):
                    with attempt:
                        return await self._try(model, request, deadline, attempts, on_id)
            except UpstreamError as error:
                adapted = self._adapted(model, request, attempts, error)
                if adapted is None:
                    raise
                request = adapted
                if on_retry is not None:
                    await on_retry(model, error.reason)

    def _adapted(
        self, model: str, request: ChatRequest, attempts: AttemptLog, error: UpstreamError
    ) -> ChatRequest | None:
        """Return the request as the model may answer it after this failure; None if it won't."""
        if isinstance(error, SystemRoleRejected) and request.has_system_role:
            self._no_system_role.put(model, True)
            return request.without_system_role()
        tokens = error.affordable_tokens or 0
        if attempts.affordable_tokens is None and tokens >= self.limits.affordable_tokens_min:
            attempts.affordable_tokens = tokens
            return request.shortened(tokens)
        return None

    async def _try(
        self,
        model: str,
        request: ChatRequest,
        deadline: Deadline,
        attempts: AttemptLog,
        on_id: OnId,
    ) -> AnswerStream:
        request = request.with_annotations(attempts.file_annotations)
        attempt = Attempt(model, request=request)
        stream: AnswerStream | None = None
        try:
            with deadline.guard(request.first_token_s, "first_token"):
                key = await request.keys.get()
                attempts.attempts.append(attempt)
                deadline.start_silence()
                response = await self._post(key, attempt, request, deadline)
                stream = self._open(response, model, request, deadline)
                attempt.answer = stream.answer
                attempt.upstream_id = stream.answer.upstream_id
                on_id()
                # the guard covers this too: a stream of keep-alive comments is not an answer
                await stream.prime()
                attempt.upstream_id = stream.answer.upstream_id
                return stream
        except BaseException as error:
            attempt.reason = error.reason if isinstance(error, UpstreamError) else "stopped"
            if isinstance(error, UpstreamError):
                attempts.file_annotations.add(error.file_annotations)
            if stream is not None:
                attempt.upstream_id = stream.answer.upstream_id
                await stream.close()
            if isinstance(error, UpstreamError):
                await _explain(error, attempt)
            raise

    def _open(
        self, response: UpstreamResponse, model: str, request: ChatRequest, deadline: Deadline
    ) -> AnswerStream:
        return AnswerStream(
            response,
            model,
            deadline,
            limits=self.limits,
            wants_images=request.wants_images,
            image_api_count=request.image_count if isinstance(request, ImagesRequest) else None,
        )

    async def _try_embeddings(
        self, request: EmbeddingsRequest, deadline: Deadline, attempts: AttemptLog, on_id: OnId
    ) -> Embeddings:
        attempt = Attempt(request.model, request=request)
        try:
            with deadline.guard(request.silence_s, "first_token"):
                key = await request.keys.get()
                attempts.attempts.append(attempt)
                deadline.start_silence()
                response = await self._post(key, attempt, request, deadline)
                attempt.upstream_id = response.upstream_id
                body = await response.read(self.limits.vectors_max_bytes, AnswerTooLong)
                document = read_document(body)
                attempt.upstream_id = attempt.upstream_id or as_name(document.get("id"))
                attempt.vectors_usage = read_usage(document.get("usage"))  # even of bad vectors
                embeddings = read_embeddings(document, len(request.inputs), request.form)
        except BaseException as error:
            attempt.reason = error.reason if isinstance(error, UpstreamError) else "stopped"
            if isinstance(error, UpstreamError):
                await _explain(error, attempt)
            raise
        on_id()
        return embeddings

    async def _post(
        self, key: Secret, attempt: Attempt, request: Request, deadline: Deadline
    ) -> UpstreamResponse:
        """Send a request. While OpenRouter refuses the key, try the next one."""
        refused: list[Secret] = []
        headers = {
            "HTTP-Referer": request.referer,
            "X-Title": request.app_name,
            "X-OpenRouter-Title": request.app_name,
        }
        while True:
            refused.append(key)
            attempt.key, attempt.key_version = key, key.version
            try:
                body = request.body(attempt.model)
                attempt.sent = True
                sending = self._transport.post(request.path, key, headers, body)
                return await self._response(asyncio.ensure_future(sending), attempt, deadline)
            except UpstreamError as error:
                attempt.sent = False  # it was refused, or never arrived
                another = None
                if error.another_key:
                    another = await request.keys.next_after_refusal(refused, error.reason)
                if another is None:
                    raise
                key = another

    async def _response(
        self, sending: asyncio.Future[UpstreamResponse], attempt: Attempt, deadline: Deadline
    ) -> UpstreamResponse:
        """Wait for a response. If the user stops the request, wait a moment longer.

        OpenRouter's id arrives with the response, and without it the cost of a request that was
        stopped on its way could not be looked up.
        """
        try:
            response = await asyncio.shield(sending)
        except asyncio.CancelledError:
            try:
                if deadline.stopped == "stopped":
                    await asyncio.wait({sending}, timeout=self.limits.id_wait_s)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            if not sending.cancelled():
                if sending.exception() is None:
                    attempt.accepted = True
                    attempt.upstream_id = sending.result().upstream_id
                    await sending.result().close()
                else:
                    attempt.sent = False  # it was refused
            raise
        attempt.accepted = True
        return response


async def _explain(error: UpstreamError, attempt: Attempt) -> None:
    """Set what admins may read of an attempt's failure."""
    await explain(error, attempt.key, attempt.request, attempt.model)
    attempt.upstream_reason = error.upstream_reason
