"""The minimum that a streaming function in Python has to do: the baseline of the benchmarks.

It uses the same client library and transport, parses the same lines and writes the same frames, but
verifies no caller, records nothing, has no deadlines and does not notice a disconnect.
"""

import json
import os
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, cast

import httpx2
import orjson
from functions_framework import aio
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

DATA = "data: "
DONE = "[DONE]"


@aio.http
async def relay(request: Request) -> Response:
    """Answer `{"data": <a chat completion request>}` in the frames of `execute_prompt`."""
    if request.method == "GET":
        return Response("OK")
    completion = orjson.loads(await request.body())["data"]
    response = await _client().post(
        "/chat/completions",
        cast_to=httpx2.Response,
        body={**completion, "stream": True},
        stream=True,
        stream_cls=AsyncStream[Any],
    )
    deltas = _deltas(cast(httpx2.Response, response))
    if request.headers.get("accept") == "text/event-stream":
        return StreamingResponse(_frames(deltas), media_type="text/event-stream")
    text = "".join([delta async for delta in deltas])
    return JSONResponse({"result": {"text": text}})


@cache
def _client() -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=os.environ["BENCH_KEY"],
        base_url=os.environ["OPENROUTER_BASE_URL"],
        max_retries=0,
        http_client=DefaultAioHttpClient(),
    )


async def _deltas(response: httpx2.Response) -> AsyncIterator[str]:
    async for line in response.aiter_lines():
        if not line.startswith(DATA) or line.endswith(DONE):
            continue
        chunk = orjson.loads(line[len(DATA) :])
        for choice in chunk["choices"]:
            if content := choice["delta"].get("content"):
                yield content


async def _frames(deltas: AsyncIterator[str]) -> AsyncIterator[bytes]:
    text = []
    async for delta in deltas:
        text.append(delta)
        yield _frame({"message": {"type": "text", "delta": delta}})
    yield _frame({"result": {"text": "".join(text)}})


def _frame(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
