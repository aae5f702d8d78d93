"""HTTP to OpenRouter, through the openai client, whose errors become leaves of the error tree.

One connection pool per instance, because a client's TLS context alone takes 20 ms. Importing openai
takes most of a second on a slow instance: see `OpenRouter.load`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, cast

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient, Omit

from ..errors import UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from ..keys import Secret
from .failures import from_status
from .json_fields import Json
from .limits import OpenRouterLimits
from .request_body import RequestBody, request_body
from .response import CONNECTION_ERRORS, UpstreamResponse

# OpenRouter must not get what OPENAI_ORG_ID and OPENAI_PROJECT_ID would add
_NOT_SENT: Final[Mapping[str, Any]] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
ERRORS: Final = (openai.OpenAIError, *CONNECTION_ERRORS)  # of a request, up to its headers
_NO_KEY: Final[Mapping[str, Any]] = {"Authorization": Omit()}


class Transport:
    """Sends requests, without retries. It connects when it is first used."""

    def __init__(self, base_url: str, limits: OpenRouterLimits) -> None:
        self._key: Secret | None = None
        self._base_url = base_url.rstrip("/")
        self._client = AsyncOpenAI(
            api_key="none",  # the client rejects an empty one
            base_url=base_url,
            max_retries=0,  # we retry ourselves, model by model
            default_headers=_NOT_SENT,
            timeout=httpx2.Timeout(None, connect=limits.connect_s, pool=limits.connect_s),
            http_client=DefaultAioHttpClient(
                verify=tls_context(),
                limits=httpx2.Limits(max_connections=limits.connections_max),
            ),
        )

    async def post(
        self, path: str, key: Secret, headers: Mapping[str, str], body: Json
    ) -> UpstreamResponse:
        """POST JSON. Raises UpstreamError."""
        content = request_body(body)
        if isinstance(content, RequestBody):
            headers = {**headers, "Content-Length": str(content.size_bytes)}
        try:
            response = await self._with(key).post(
                self._base_url + path,  # absolute, to save two parses
                cast_to=httpx2.Response,
                content=content,
                options={
                    "headers": headers,
                    "follow_redirects": False,
                    "idempotency_key": "",  # never sent, but generated if missing
                },
                stream=True,
                stream_cls=AsyncStream[Any],
            )
        except ERRORS as error:
            raise _translate(error) from None
        return UpstreamResponse(cast(httpx2.Response, response))  # as cast_to asks: raw, not read

    async def get(
        self, path: str, key: Secret | None, query: Mapping[str, str]
    ) -> UpstreamResponse:
        """GET a document, without a key if `key` is None. Raises UpstreamError."""
        try:
            response = await self._with(key).get(
                path,
                cast_to=httpx2.Response,
                options={
                    "headers": {} if key else _NO_KEY,
                    "params": query,
                    "follow_redirects": False,
                },
                stream=True,
                stream_cls=AsyncStream[Any],
            )
        except ERRORS as error:
            raise _translate(error) from None
        return UpstreamResponse(cast(httpx2.Response, response))  # as cast_to asks: raw, not read

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def _with(self, key: Secret | None) -> AsyncOpenAI:
        if key is not None and key != self._key:
            self._client = self._client.with_options(api_key=key.reveal())  # the same pool
            self._key = key
        return self._client


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context that checks OpenRouter's certificate: httpx's default, made once.

    Making it blocks for 20 ms, plus 40 ms for imports that httpx has deferred.
    """
    return httpx2.create_ssl_context()


def _translate(error: Exception) -> UpstreamError:
    """Return the leaf of the error tree for an error of the openai client, without its text.

    The client's transport (httpx over aiohttp) reports every broken connection as a timeout. A real
    timeout has a TimeoutError of aiohttp in its chain of causes. What is no HTTP, or has headers
    beyond any bound, is an error of aiohttp's that the client does not know.
    """
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.body, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        if any(isinstance(cause, TimeoutError) for cause in _causes(error)):
            return UpstreamTimeout(phase="connect")
        return UpstreamUnreachable()
    return UpstreamMalformed()  # aiohttp's ClientResponseError among others


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
