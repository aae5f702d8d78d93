"""The OpenRouter stand-in says what OpenRouter says, and each fault is the one it is named for."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI
from openrouter import OpenRouter, components, errors
from openrouter.utils.eventstreaming import EventStream

from firerouter.openrouter import nano_usd
from firerouter.openrouter.generation_cost import read_generation
from scripts.standins.openrouter.faults import BILLS, FAULTS, REFUSED, SHAPES
from scripts.standins.openrouter.image_generation import FAULTS as IMAGES
from scripts.standins.openrouter.image_generation import TAKES
from scripts.standins.openrouter.vectors import FAULTS as VECTORS
from tests.support.eventually import until
from tests.support.openrouter_standin import (
    KEY,
    PROMPT,
    Answer,
    Call,
    Server,
    answer,
    ask,
    call,
    deltas,
    get,
    serving,
)
from tests.support.recordings import OUR_STREAMS, RECORDINGS, either, needs_recordings, recorded
from tests.support.repository import ROOT

MODEL = "z-ai/glm-4.5-air:free"
PAID_MODEL = "openai/gpt-4o-mini"
NOTICED_WITHIN_S = 2.0  # generous: a loaded machine; the stand-in itself takes milliseconds
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}

OTHER_TOOL = {"type": "function", "function": {"name": "get_time"}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    replay = ["--replay", str(RECORDINGS / "sse")] if RECORDINGS else []
    with serving("--token-delay-ms", "1", *replay) as started:
        yield started


@pytest.fixture
def sdk(server: Server) -> Iterator[OpenRouter]:
    with OpenRouter(api_key=KEY, server_url=server.api, retry_config=None) as client:
        yield client


@pytest.fixture
async def openai(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=server.api, max_retries=0) as client:
        yield client


def say(text: str) -> list[components.ChatMessages]:
    return [components.ChatUserMessage(role="user", content=text)]


async def requests(server: Server) -> list[Any]:
    listed: list[Any] = (await get(server, "/sim/requests")).json
    return listed


async def forget(server: Server) -> None:
    await (await call(server, "DELETE", "/sim/requests")).finish()


async def generation(server: Server, generation_id: str) -> Any:
    async def known() -> Any:
        found = await get(server, f"/api/v1/generation?id={generation_id}")
        return found.json["data"] if found.status == 200 else None

    return await until(known)


# What the official SDK makes of it


def test_sdk_parses_a_whole_answer(sdk: OpenRouter) -> None:
    result = sdk.chat.send(model=PAID_MODEL, messages=say("Hi there"))
    assert isinstance(result, components.ChatResult)
    assert result.choices[0].message.content == (
        f"This is a simulated answer from {PAID_MODEL}. You asked: Hi there"
    )
    assert result.usage is not None
    assert result.usage.cost


def test_sdk_parses_a_stream(sdk: OpenRouter) -> None:
    stream = sdk.chat.send(model=MODEL, messages=say("Hi there"), stream=True)
    assert isinstance(stream, EventStream)
    with stream as events:
        chunks = list(events)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.startswith(f"This is a simulated answer from {MODEL}.")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.cost == 0


def test_sdk_parses_a_stream_with_reasoning_and_a_tool_call(sdk: OpenRouter) -> None:
    stream = sdk.chat.send(
        model="anthropic/claude-sonnet-4.6",
        messages=say("use the tool"),
        tools=[components.ChatFunctionToolFunction.model_validate(TOOL)],
        reasoning=components.ChatRequestReasoning(effort="low"),
        stream=True,
    )
    assert isinstance(stream, EventStream)
    with stream as events:
        given = [c.choices[0].delta for c in events if c.choices]
    assert any(delta.reasoning for delta in given)
    assert any(delta.tool_calls for delta in given)


def asked_of(file: str, *before: Any) -> list[Any]:
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": file}}
    content = [{"type": "text", "text": "What is it?"}, part]
    return [{"role": "user", "content": content}, *before]


def test_sdk_parses_an_answer_to_a_file(sdk: OpenRouter) -> None:
    messages = asked_of("data:application/pdf;base64,JVBERi0=")
    whole = sdk.chat.send(model=MODEL, messages=messages)
    assert isinstance(whole, components.ChatResult)
    stream = sdk.chat.send(model=MODEL, messages=messages, stream=True)
    assert isinstance(stream, EventStream)
    with stream as events:
        text = "".join(c.choices[0].delta.content or "" for c in events if c.choices)
    assert text == whole.choices[0].message.content
    assert "The file was read for it." in text


async def test_a_file_is_read_once(server: Server) -> None:
    async def read(*before: Any) -> list[Any]:
        messages = asked_of("data:application/pdf;base64,AA==", *before)
        whole = await answer(server, MODEL, stream=False, messages=messages)
        found: list[Any] = whole.json["choices"][0]["message"].get("annotations", [])
        return found

    (annotation,) = await read()
    file = annotation["file"]
    assert (annotation["type"], file["name"], len(file["hash"])) == ("file", "a.pdf", 64)
    assert file["content"][0]["type"] == "text"
    back = {"role": "assistant", "content": "It is.", "annotations": [annotation]}
    assert await read(back, {"role": "user", "content": "And now?"}) == []


def test_sdk_parses_the_models(sdk: OpenRouter) -> None:
    page = sdk.models.list(limit=1000)
    assert page is not None
    listed = {model.id: model for model in page.result.data}
    assert set(FAULTS) <= set(listed)
    assert listed[MODEL].pricing.prompt == "0"
    assert listed["openrouter/auto"].pricing.prompt == "-1"
    assert listed["~z-ai/glm-latest"].alias_target is not None
    assert page.result.total_count == len(listed)


def test_sdk_walks_the_pages_of_models(sdk: OpenRouter) -> None:
    seen, page = 0, sdk.models.list(limit=40)
    while page is not None and page.result.data:
        seen += len(page.result.data)
        following = page.next()
        assert not isinstance(following, Awaitable)
        page = following
    assert seen == sdk.models.count().data.count


def test_sdk_parses_the_embedding_models(sdk: OpenRouter) -> None:
    page = sdk.embeddings.list_models()
    assert page is not None
    assert "openai/text-embedding-3-small" in {model.id for model in page.result.data}


def test_sdk_parses_the_key(sdk: OpenRouter) -> None:
    data = sdk.api_keys.get_current_key_metadata().data
    assert not data.is_free_tier
    assert not data.is_management_key
    assert KEY not in data.label


async def test_sdk_parses_a_generation(server: Server, sdk: OpenRouter) -> None:
    done = await answer(server, PAID_MODEL)
    await generation(server, done.headers["x-generation-id"])
    data = sdk.generations.get_generation(id=done.headers["x-generation-id"]).data
    assert data.total_cost == pytest.approx(done.usages[0]["cost"])
    assert data.cancelled is False
    assert data.finish_reason == "stop"
    told = await generation(server, done.headers["x-generation-id"])
    ours = read_generation({"data": told})  # as the functions read it
    assert ours.prompt_tokens == data.native_tokens_prompt
    assert ours.completion_tokens == data.native_tokens_completion
    assert ours.cost_nano_usd == nano_usd(data.total_cost)


IMAGE_MODEL = "google/gemini-2.5-flash-image"


def test_sdk_parses_the_image_models(sdk: OpenRouter) -> None:
    (listed,) = [m for m in sdk.images.list_models().data if m.id == IMAGE_MODEL]
    assert listed.supports_streaming
    assert "image" in listed.architecture.output_modalities
    assert listed.supported_parameters.keys() == TAKES.keys()
    kinds = {takes.type for takes in listed.supported_parameters.values()}
    assert kinds == {"range", "boolean", "enum"}


def test_sdk_parses_images(sdk: OpenRouter) -> None:
    made = sdk.images.generate(model=IMAGE_MODEL, prompt="a fox", n=2)
    assert isinstance(made, components.ImageGenerationResponse)
    assert len({image.b64_json for image in made.data}) == 2
    assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
    assert made.usage is not None
    assert made.usage.cost


def test_sdk_parses_streamed_images(sdk: OpenRouter) -> None:
    made = sdk.images.generate(model=IMAGE_MODEL, prompt="a fox", n=2, stream=True)
    assert not isinstance(made, components.ImageGenerationResponse)
    events: list[Any] = list(made)
    kinds = [event.type.rpartition(".")[2] for event in events]
    assert kinds == ["partial_image", "partial_image", "completed"] * 2
    *_, last = events
    assert isinstance(last, components.ImageGenCompletedEvent)
    assert last.usage
    assert last.usage.cost


@pytest.mark.parametrize(
    "more", [{"model": PAID_MODEL, "prompt": "a fox"}, {"prompt": ""}, {"prompt": "x", "n": 11}]
)
def test_images_are_refused_in_words(sdk: OpenRouter, more: dict[str, Any]) -> None:
    with pytest.raises(errors.OpenRouterError) as refused:
        sdk.images.generate(**{"model": IMAGE_MODEL, **more})
    assert refused.value.status_code == 400


def test_sdk_parses_embeddings(sdk: OpenRouter) -> None:
    made = sdk.embeddings.generate(
        model="openai/text-embedding-3-small", input=["one", "two"], dimensions=8
    )
    assert not isinstance(made, str)
    first = made.data[0].embedding
    assert isinstance(first, list)
    assert len(first) == 8


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("sim/400", errors.BadRequestResponseError),
        ("sim/401", errors.UnauthorizedResponseError),
        ("sim/402-in-flight", errors.PaymentRequiredResponseError),
        ("sim/403-moderation", errors.ForbiddenResponseError),
        ("sim/404", errors.NotFoundResponseError),
        ("sim/408", errors.RequestTimeoutResponseError),
        ("sim/413", errors.PayloadTooLargeResponseError),
        ("sim/422", errors.UnprocessableEntityResponseError),
        ("sim/429-free-daily", errors.TooManyRequestsResponseError),
        ("sim/500", errors.InternalServerResponseError),
        ("sim/502", errors.BadGatewayResponseError),
        ("sim/503", errors.ServiceUnavailableResponseError),
        ("sim/504", errors.OpenRouterDefaultError),  # the schema of chat does not list it
        ("sim/524", errors.OpenRouterDefaultError),  # it is HTML
        ("sim/529", errors.ProviderOverloadedResponseError),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_sdk_raises_its_typed_error(
    sdk: OpenRouter, model: str, error: type[Exception], streamed: bool
) -> None:
    with pytest.raises(error):
        sdk.chat.send(model=model, messages=say("Hi"), stream=streamed)


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("lapsed", errors.UnauthorizedResponseError),
        ("key-spent", errors.PaymentRequiredResponseError),
        ("key-limit", errors.ForbiddenResponseError),
        ("key-budget", errors.ForbiddenResponseError),
        ("rate-limited", errors.TooManyRequestsResponseError),
    ],
)
def test_sdk_raises_its_typed_error_for_a_key(
    server: Server, word: str, error: type[Exception]
) -> None:
    key = f"sk-or-v1-{word}-0123456789"
    with OpenRouter(api_key=key, server_url=server.api, retry_config=None) as client:
        assert client.api_keys.get_current_key_metadata().data.limit == 10
        with pytest.raises(error):
            client.chat.send(model=MODEL, messages=say("Hi"))


# What openai makes of it


async def test_openai_streams_an_answer_with_its_cost(openai: AsyncOpenAI) -> None:
    stream = await openai.chat.completions.create(
        model="sim/paid", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "This is a simulated answer from sim/paid. You asked: Hi"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.model_extra is not None
    asked, said = usage.prompt_tokens, usage.completion_tokens
    assert usage.model_extra["cost"] == pytest.approx(asked * 0.000003 + said * 0.000015)
    assert chunks[0].model_extra is not None
    assert chunks[0].model_extra["provider"] == "Simulated"


async def test_openai_raises_an_error_that_comes_after_text(openai: AsyncOpenAI) -> None:
    stream = await openai.chat.completions.create(
        model="sim/error-after-text", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    seen = [await anext(stream) for _ in range(3)]
    with pytest.raises(APIError) as caught:
        await anext(stream)
    assert all(chunk.choices[0].delta.content for chunk in seen)
    assert str(caught.value.code) == "502"


async def test_openai_parses_embeddings_in_both_encodings(openai: AsyncOpenAI) -> None:
    model = "qwen/qwen3-embedding-8b"
    packed = await openai.embeddings.create(model=model, input="text")
    floats = await openai.embeddings.create(model=model, input="text", encoding_format="float")
    other = await openai.embeddings.create(model=model, input="other")
    assert packed.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert packed.data[0].embedding != other.data[0].embedding


# Ordinary answers


async def test_says_which_model_answered(server: Server) -> None:
    done = await answer(server, MODEL)
    assert done.text == f"This is a simulated answer from {MODEL}. You asked: How are you?"
    assert {chunk["model"] for chunk in done.chunks} == {MODEL}
    assert done.headers["x-simulated"]


async def test_a_stream_has_the_shape_of_the_protocol(server: Server) -> None:
    done = await answer(server, MODEL)
    assert done.headers["content-type"] == "text/event-stream"
    assert done.body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert {chunk["id"] for chunk in done.chunks} == {done.headers["x-generation-id"]}
    assert all(delta["role"] == "assistant" and "content" in delta for delta in deltas(done.chunks))
    assert len(done.usages) == 1
    assert done.chunks[-1]["usage"]["cost"] == 0
    assert done.done


async def test_a_router_and_an_alias_name_the_model_that_ran(server: Server) -> None:
    free, alias = await answer(server, "openrouter/free"), await answer(server, "~z-ai/glm-latest")
    assert free.chunks[0]["model"] == "z-ai/glm-4.5-air:free"
    assert alias.chunks[0]["model"] == "z-ai/glm-5.3"


async def test_a_virtual_suffix_works_on_any_model(server: Server) -> None:
    assert (await answer(server, f"{PAID_MODEL}:nitro")).chunks[0]["model"] == PAID_MODEL


async def test_the_next_model_answers_when_the_first_refuses(server: Server) -> None:
    done = await answer(server, "sim/503", models=[PAID_MODEL])
    assert done.chunks[0]["model"] == PAID_MODEL


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_max_tokens_ends_the_answer_with_length(server: Server, limit: str) -> None:
    given: dict[str, Any] = {limit: 4}
    done = await answer(server, MODEL, **given)
    assert done.text == "This is a simulated "
    assert set(done.finishes) == {"length"}
    assert done.usages[0]["completion_tokens"] == 4


async def test_reasoning_comes_first_and_ends_with_a_signature(server: Server) -> None:
    done = await answer(server, MODEL, reasoning={"effort": "high"})
    given = deltas(done.chunks)
    reasoned = [place for place, delta in enumerate(given) if delta.get("reasoning")]
    spoken = [place for place, delta in enumerate(given) if delta["content"]]
    assert max(reasoned) < min(spoken)
    assert given[max(reasoned) + 1]["reasoning_details"][0]["signature"]
    assert done.usages[0]["completion_tokens_details"]["reasoning_tokens"] == len(reasoned)


async def test_excluded_reasoning_is_counted_and_not_shown(server: Server) -> None:
    done = await answer(server, MODEL, reasoning={"effort": "high", "exclude": True})
    assert not any("reasoning" in delta for delta in deltas(done.chunks))
    assert done.usages[0]["completion_tokens_details"]["reasoning_tokens"] > 0


async def test_a_tool_call_streams_its_arguments_in_pieces(server: Server) -> None:
    messages = [{"role": "user", "content": "Use the tool"}]
    done = await answer(server, MODEL, tools=[TOOL], messages=messages)
    calls = [part for d in deltas(done.chunks) for part in d.get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "get_weather"
    assert len(calls) > 2
    arguments = json.loads("".join(part["function"]["arguments"] for part in calls))
    assert arguments == {"city": "simulated", "days": 1}
    assert set(done.finishes) == {"tool_calls"}


CALLED = {"id": "x", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALLED]}
RESULT = {"role": "tool", "tool_call_id": "x", "content": "sunny"}
BROKEN = {**CALLED, "function": {"name": "get_weather", "arguments": "{"}}


@pytest.mark.parametrize(
    "messages",
    [
        [RESULT],
        [ASSISTANT],
        [ASSISTANT, {"role": "user", "content": "x"}],
        [ASSISTANT, {**RESULT, "tool_call_id": "y"}],
        [{**ASSISTANT, "tool_calls": [BROKEN]}, RESULT],
    ],
)
async def test_calls_and_results_that_lack_each_other_are_refused(
    server: Server, messages: list[Any]
) -> None:
    assert (await answer(server, MODEL, messages=messages)).status == 400


async def test_a_tool_result_gets_words(server: Server) -> None:
    messages = [
        {"role": "user", "content": "Use the tool"},
        {"role": "assistant", "content": None, "tool_calls": [CALLED]},
        {"role": "tool", "tool_call_id": "x", "content": "sunny"},
    ]
    done = await answer(server, MODEL, tools=[TOOL], messages=messages)
    assert "read the tool's result" in done.text


async def test_json_is_answered_where_json_was_asked_for(server: Server) -> None:
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}}
    plain = await answer(server, MODEL, response_format={"type": "json_object"})
    fitting = await answer(
        server,
        MODEL,
        response_format={"type": "json_schema", "json_schema": {"name": "m", "schema": schema}},
    )
    assert json.loads(plain.text)["simulated"] is True
    assert json.loads(fitting.text) == {"mood": "good"}


@pytest.mark.parametrize(
    "odd",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        {"tools": [1], "tool_choice": {"function": 1}},
        {"response_format": {"type": "json_schema", "json_schema": None}},
        {"models": None, "tools": None, "max_tokens": None, "reasoning": None},
    ],
)
async def test_an_odd_request_is_answered_all_the_same(server: Server, odd: dict[str, Any]) -> None:
    given: dict[str, Any] = {"messages": [{"role": "user", "content": "tool?"}], **odd}
    assert (await answer(server, MODEL, **given)).done


async def test_an_image_model_draws(server: Server) -> None:
    done = await answer(server, "google/gemini-2.5-flash-image", modalities=["image", "text"])
    images = [image for delta in deltas(done.chunks) for image in delta.get("images", [])]
    assert images[0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


async def test_images_are_not_listed_among_models_of_other_outputs(server: Server) -> None:
    listed = (await get(server, "/api/v1/models?output_modalities=image", key=None)).json["data"]
    assert {"image"} == set.intersection(
        *(set(model["architecture"]["output_modalities"]) for model in listed)
    ) - {"text"}


async def test_models_say_where_the_next_page_is(server: Server) -> None:
    first = (await get(server, "/api/v1/models?limit=2&offset=1", key=None)).json
    assert len(first["data"]) == 2
    assert "offset=3" in first["links"]["next"]
    assert (await get(server, "/api/v1/models", key=None)).json["links"]["next"] is None


async def test_the_front_page_says_it_simulates(server: Server) -> None:
    assert (await get(server, "/", key=None)).json == {
        "service": "OpenRouter stand-in",
        "simulated": True,
    }


# Refusals of the gate


@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        (None, 401, "No auth credentials found"),
        ("sk-another-0123456789", 401, "User not found."),
        ("sk-or-v1-revoked-0123", 401, "User not found."),
        ("sk-or-v1-management-0", 403, "Management keys cannot be used for inference"),
        ("sk-or-v1-lapsed-01234", 401, "User not found."),
        ("sk-or-v1-no-credit-01", 402, "Insufficient credits."),
    ],
)
async def test_refuses_a_key(server: Server, key: str | None, status: int, message: str) -> None:
    done = await answer(server, MODEL, key=key)
    assert done.status == status
    assert done.json["error"]["code"] == status
    assert done.json["error"]["message"].startswith(message)
    assert "metadata" not in done.json["error"]


@pytest.mark.parametrize(
    ("key", "status", "source"),
    [
        ("sk-or-v1-key-limit-01", 403, None),
        ("sk-or-v1-key-spent-01", 402, "openrouter_key_limit"),
        ("sk-or-v1-key-budget-1", 403, "openrouter_guardrail_budget"),
        ("sk-or-v1-rate-limited", 429, None),
    ],
)
async def test_says_what_keeps_a_key_from_asking(
    server: Server, key: str, status: int, source: str | None
) -> None:
    done = await answer(server, MODEL, key=key)
    assert done.status == done.json["error"]["code"] == status
    assert done.json["error"].get("metadata", {}).get("limit_source") == source
    assert (await get(server, "/api/v1/key", key=key)).status == 200


@pytest.mark.parametrize("path", ["key", "auth/key", "generation?id=x", "models/user", "credits"])
async def test_refuses_a_look_without_a_key(server: Server, path: str) -> None:
    assert (await get(server, f"/api/v1/{path}", key=None)).status == 401


async def test_words_in_a_key_choose_the_account(server: Server) -> None:
    free = (await get(server, "/api/v1/key", key="sk-or-v1-free-tier-01")).json["data"]
    manager = (await get(server, "/api/v1/key", key="sk-or-v1-management-1")).json["data"]
    spent = (await get(server, "/api/v1/key", key="sk-or-v1-key-limit-1")).json["data"]
    assert spent["limit_remaining"] == 0
    assert free["is_free_tier"] is True
    assert free["free_model_daily_requests"]["limit"] == 50
    assert manager["is_management_key"] is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON in the request body"),
        (b"[]", "The request body must be a JSON object"),
        (b'{"model":"x"}', 'Input required: specify "prompt" or "messages"'),
        (b'{"model":"no/such","messages":[{"role":"user"}]}', "no/such is not a valid model ID"),
        (b'{"messages":[{"role":"nobody"}]}', "messages.0.role must be one of"),
        (b'{"messages":[{"role":"user"}],"temperature":3}', "temperature must be from 0 to 2"),
        (b'{"messages":[{"role":"user"}],"max_tokens":1.5}', "max_tokens must be a whole number"),
        (b'{"messages":[{"role":"user","content":[1]}]}', "messages.0.content must be"),
        (b'{"messages":[{"role":"user"}],"response_format":1}', "response_format must be"),
        (
            b'{"messages":[{"role":"user"}],"models":["a","b","c","d"]}',
            "'models' array must have 3 items or fewer.",
        ),
    ],
)
async def test_refuses_a_body(server: Server, body: bytes, message: str) -> None:
    done = await (await call(server, "POST", "/api/v1/chat/completions", body)).finish()
    assert done.status == 400
    assert done.json["error"]["code"] == 400
    assert done.json["error"]["message"].startswith(message)


@pytest.mark.parametrize("model", ["google/gemini-3.7-flash:batch", "qwen/qwen3-embedding-8b"])
async def test_refuses_models_that_are_not_for_chat(server: Server, model: str) -> None:
    assert (await answer(server, model)).status == 404


async def test_an_unknown_path_is_refused_in_the_envelope(server: Server) -> None:
    assert (await get(server, "/api/v1/nothing")).json["error"]["code"] == 404


# Statuses by model name: status, error_type, words in the body, Retry-After

STATUSES: dict[str, tuple[int, str | None, str, str | None]] = {
    "sim/400": (400, "invalid_request", "temperature", None),
    "sim/400-invalid-model": (400, None, "is not a valid model ID", None),
    "sim/400-context-length": (400, "context_length_exceeded", "maximum context", None),
    "sim/400-max-tokens": (400, "invalid_request", "max_tokens", None),
    "sim/401": (401, None, "User not found.", None),
    "sim/402": (402, None, "requires more credits, or fewer max_tokens", None),
    "sim/402-in-flight": (402, None, "openrouter_in_flight_budget", "1"),
    "sim/402-key-limit": (402, "payment_required", "openrouter_key_limit", None),
    "sim/403": (403, "permission_denied", "may not", None),
    "sim/403-moderation": (403, "content_policy_violation", "How are you?", None),
    "sim/403-guardrail": (403, "content_policy_violation", "patterns", None),
    "sim/403-budget": (403, "permission_denied", "openrouter_guardrail_budget", None),
    "sim/404": (404, "not_found", "No endpoints found", None),
    "sim/404-data-policy": (404, None, "data policy", None),
    "sim/404-model-gone": (404, None, "No endpoints found for", None),
    "sim/408": (408, None, "timed out", None),
    "sim/409": (409, None, "Conflict", None),
    "sim/410": (410, None, "Gone", None),
    "sim/412": (412, "precondition_failed", "Precondition", None),
    "sim/413": (413, "payload_too_large", "too large", None),
    "sim/422": (422, "unprocessable", "cannot be processed", None),
    "sim/429": (429, "rate_limit_exceeded", "Rate limit", None),
    "sim/429-retry-after": (429, "rate_limit_exceeded", "Rate limit", "1"),
    "sim/429-retry-after-60": (429, "rate_limit_exceeded", "Rate limit", "60"),
    "sim/429-free-daily": (429, "rate_limit_exceeded", "free-models-per-day", None),
    "sim/429-provider": (429, None, "How are you?", None),
    "sim/500": (500, "server", "Internal Server Error", None),
    "sim/502": (502, "provider_unavailable", "Provider returned error", None),
    "sim/503": (503, "provider_overloaded", "overloaded", None),
    "sim/503-retry-after": (503, "provider_overloaded", "overloaded", "1"),
    "sim/504": (504, "timeout", "timed out", None),
    "sim/529": (529, None, "Provider returned error", None),
}


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_status_can_be_asked_for(server: Server, name: str, streamed: bool) -> None:
    status, error_type, said, retry_after = STATUSES[name]
    done = await answer(server, name, stream=streamed)
    assert done.status == done.json["error"]["code"] == status
    assert done.headers["content-type"] == "application/json"
    assert (done.json["error"].get("metadata") or {}).get("error_type") == error_type
    assert said in done.body.decode()
    assert done.headers.get("retry-after") == retry_after


async def test_the_free_daily_cap_names_the_next_midnight_in_milliseconds(server: Server) -> None:
    done = await answer(server, "sim/429-free-daily")
    reset_ms = int(done.headers["x-ratelimit-reset"])
    assert reset_ms % 86_400_000 == 0
    assert 0 < reset_ms / 1000 - time.time() <= 86_400 + 60
    assert done.json["error"]["metadata"]["headers"]["X-RateLimit-Reset"] == str(reset_ms)


async def check_524(server: Server) -> None:
    done = await answer(server, "sim/524")
    assert done.status == 524
    assert done.headers["content-type"].startswith("text/html")
    assert b"Error code 524" in done.body


# Faults: one check each


async def sound(server: Server, model: str, **body: Any) -> Answer:
    """An answer that is whole: 200, a clean end, [DONE]."""
    done = await answer(server, model, **body)
    assert (done.status, done.ended, done.done) == (200, "clean", True)
    return done


async def check_fast(server: Server) -> None:
    assert (await sound(server, "sim/fast")).text.startswith("This is a simulated answer")


async def check_paid(server: Server) -> None:
    assert (await sound(server, "sim/paid")).usages[0]["cost"] > 0


async def check_paid_long(server: Server) -> None:
    for text, times in (("Hi", 1), ("word " * 2_000, 2)):
        asked = [{"role": "user", "content": text}]
        usage = (await sound(server, "sim/paid-long", messages=asked)).usages[0]
        tokens = 3 * usage["prompt_tokens"] + 15 * usage["completion_tokens"]
        assert usage["cost"] == pytest.approx(times * tokens / 1_000_000)


async def check_ticks(server: Server, model: str = "sim/ticks") -> None:
    begun = time.monotonic()
    tried = await ask(server, model)
    await tried.head()
    await tried.pieces(6)
    assert tried.answer.text == "tick-1 tick-2 tick-3 tick-4 "
    assert time.monotonic() - begun > 0.3
    tried.close()


async def check_paid_ticks(server: Server) -> None:
    await check_ticks(server, "sim/paid-ticks")
    whole = await answer(server, "sim/paid-ticks", stream=False)
    assert whole.json["usage"]["completion_tokens"] == 100
    assert whole.json["usage"]["cost"] > 0


async def check_steady(server: Server) -> None:
    begun = time.monotonic()
    assert (await sound(server, "sim/steady", max_tokens=25)).text.endswith("step-24 step-25 ")
    assert 0.4 < time.monotonic() - begun < 5
    whole = await answer(server, "sim/steady", stream=False)
    assert whole.json["usage"]["completion_tokens"] == 1000


async def check_flaky(server: Server) -> None:
    prompts = [[{"role": "user", "content": f"flaky {name}"}] for name in "ab"]
    for messages in prompts:
        tries = [await answer(server, "sim/flaky-2", messages=messages) for _ in range(4)]
        assert [done.status for done in tries] == [503, 503, 200, 200]


async def check_length_no_text(server: Server) -> None:
    done = await sound(server, "sim/length-no-text")
    assert done.text == ""
    assert set(done.finishes) == {"length"}
    assert any(delta.get("reasoning") for delta in deltas(done.chunks))


async def check_plain(server: Server) -> None:
    assert (await sound(server, "sim/plain")).text
    listed = (await get(server, "/api/v1/models")).json["data"]
    (model,) = [model for model in listed if model["id"] == "sim/plain"]
    assert "tools" not in model["supported_parameters"]


async def called(server: Server, model: str) -> list[Any]:
    """The calls, put together as a client does, after the official SDK has read the chunks."""
    done = await answer(server, model, tools=[TOOL, OTHER_TOOL])
    assert set(done.finishes) == {"tool_calls"}
    calls: dict[int, Any] = {}
    for chunk in done.chunks:
        components.ChatStreamChunk.model_validate(chunk)
    for delta in deltas(done.chunks):
        for piece in delta.get("tool_calls") or []:
            call = calls.setdefault(piece["index"], {"arguments": ""})
            call["name"] = piece["function"].get("name") or call["name"]
            call["arguments"] += piece["function"]["arguments"]
    return list(calls.values())


async def check_parallel_tools(server: Server) -> None:
    calls = await called(server, "sim/parallel-tools")
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert all(isinstance(json.loads(call["arguments"]), dict) for call in calls)


async def check_bad_arguments(server: Server) -> None:
    first, second = await called(server, "sim/bad-arguments")
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(first["arguments"])
    assert json.loads(second["arguments"]) == {}


async def check_10000_tools(server: Server) -> None:
    done = await answer(server, "sim/10000-tools")
    assert sum(len(d.get("tool_calls") or []) for d in deltas(done.chunks)) >= 10_000


async def check_unknown_tool(server: Server) -> None:
    assert [call["name"] for call in await called(server, "sim/unknown-tool")] == ["no_such_tool"]


async def check_long_arguments(server: Server) -> None:
    (call,) = await called(server, "sim/long-arguments")
    assert len(call["arguments"]) > 150_000


async def check_cites(server: Server) -> None:
    done = await sound(server, "sim/cites")
    (noted,) = [d["annotations"] for d in deltas(done.chunks) if "annotations" in d]
    assert [one["type"] for one in noted] == ["url_citation"] * 2
    whole = (await answer(server, "sim/cites", stream=False)).json
    assert whole["choices"][0]["message"]["annotations"] == noted


JSON_ONLY: dict[str, Any] = {"response_format": {"type": "json_object"}}
AGAIN = [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]


async def check_bad_json(server: Server, model: str = "sim/bad-json") -> None:
    assert (await answer(server, model, **JSON_ONLY)).text.endswith("{")
    assert json.loads((await answer(server, model, **JSON_ONLY, messages=AGAIN)).text)


async def check_paid_bad_json(server: Server) -> None:
    await check_bad_json(server, "sim/paid-bad-json")
    assert (await answer(server, "sim/paid-bad-json")).usages[0]["cost"] > 0


async def check_worse_json(server: Server) -> None:
    assert (await answer(server, "sim/worse-json", **JSON_ONLY, messages=AGAIN)).text.endswith("{")


async def check_ranks(server: Server) -> None:
    told = [{"role": "user", "content": "Rank.\n\nAnswer 1:\na\n\nAnswer 3:\nb"}]
    assert (await answer(server, "sim/ranks", messages=told)).text.startswith("3, 1\n\n")


async def check_slow_bad_json(server: Server) -> None:
    begun = time.monotonic()
    assert (await answer(server, "sim/slow-bad-json", **JSON_ONLY)).text.endswith("tick-20 ")
    assert time.monotonic() - begun > 1.5
    assert json.loads((await answer(server, "sim/slow-bad-json", **JSON_ONLY, messages=AGAIN)).text)


async def check_bad_json_silent(server: Server) -> None:
    name = "sim/bad-json-silent"
    assert (await answer(server, name, **JSON_ONLY)).text.endswith("{")
    tried = await ask(server, name, messages=AGAIN)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tried.head(), 0.3)
    tried.close()


async def check_8k(server: Server) -> None:
    """A Chinese character is a token, which four English letters are."""
    for text in ("\u4f60" * 8_100, "word" * 8_100):
        messages = [{"role": "user", "content": text}]
        assert (await answer(server, "sim/8k", messages=messages)).status == 200
        done = await answer(server, "sim/8k", messages=messages, max_tokens=200)
        assert done.status == 400
        assert done.json["error"]["metadata"]["error_type"] == "context_length_exceeded"


async def check_pdf_then_502(server: Server) -> None:
    asked = asked_of("data:application/pdf;base64,JVBERi0=")
    failed = await answer(server, "sim/pdf-then-502", messages=asked)
    assert failed.status == 502
    read = failed.json["error"]["metadata"]["file_annotations"]
    assert [annotation["type"] for annotation in read] == ["file"]
    again = [{"role": "assistant", "content": "Read.", "annotations": read}, *asked]
    assert (await answer(server, "sim/pdf-then-502", messages=again)).status == 200


async def check_fenced_json(server: Server) -> None:
    text = (await answer(server, "sim/fenced-json", **JSON_ONLY)).text
    assert json.loads(text.removeprefix("```json\n").removesuffix("\n```"))


async def check_long_json(server: Server) -> None:
    text = (await answer(server, "sim/long-json")).text
    assert len(text) > 50_000
    assert json.loads(text)["items"]


async def check_flood(server: Server) -> None:
    tried = await ask(server, "sim/flood")
    await tried.head()
    await tried.pieces(500)
    assert tried.answer.text.startswith("more " * 490)
    tried.close()


async def check_empty(server: Server) -> None:
    done = await sound(server, "sim/empty")
    assert done.text == ""
    assert done.usages[0]["completion_tokens"] == 0
    whole = await answer(server, "sim/empty", stream=False)
    assert whole.json["choices"][0]["message"]["content"] == ""


async def check_content_filter(server: Server) -> None:
    done = await sound(server, "sim/content-filter")
    assert done.text
    assert set(done.finishes) == {"content_filter"}


async def check_u2028(server: Server) -> None:
    done = await sound(server, "sim/u2028")
    assert all(piece in done.text for piece in ("\u2028", "\u2029", "\x00", "😀", '"', "\r\n"))
    assert "\u2028".encode() in done.body  # raw, as JavaScript writes it


async def check_prompt(server: Server) -> None:
    begun = time.monotonic()
    await sound(server, "sim/prompt")
    assert time.monotonic() - begun >= 0.5


async def check_slow(server: Server) -> None:
    begun = time.monotonic()
    done = await sound(server, "sim/slow")
    assert time.monotonic() - begun > 2.5
    assert done.text


async def says_nothing(tried: Call) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tried.piece(), 0.3)
    tried.close()


async def check_silent(server: Server) -> None:
    tried = await ask(server, "sim/silent")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tried.head(), 0.3)
    tried.close()


async def check_silent_after_headers(server: Server) -> None:
    tried = await ask(server, "sim/silent-after-headers")
    assert (await tried.head()).status == 200
    await says_nothing(tried)


async def check_stall(server: Server) -> None:
    tried = await ask(server, "sim/stall")
    await tried.head()
    await tried.pieces(5)
    assert tried.answer.text == "This is a "
    await says_nothing(tried)


async def check_comments_only(server: Server) -> None:
    tried = await ask(server, "sim/comments-only")
    await tried.head()
    assert set(await tried.pieces(3)) == {b": OPENROUTER PROCESSING\n\n"}
    tried.close()


async def check_slow_drip(server: Server) -> None:
    begun = time.monotonic()
    tried = await ask(server, "sim/slow-drip")
    await tried.head()
    await tried.pieces(4)
    assert tried.answer.text == "drop-1 drop-2 "
    assert time.monotonic() - begun > 1.5
    tried.close()


async def check_endless(server: Server) -> None:
    tried = await ask(server, "sim/endless")
    await tried.head()
    await tried.pieces(500)
    assert tried.answer.text == "more " * 500
    tried.close()


async def check_reset(server: Server) -> None:
    done = await answer(server, "sim/reset")
    assert (done.status, done.ended) == (0, "reset")


async def check_reset_mid_stream(server: Server) -> None:
    done = await answer(server, "sim/reset-mid-stream")
    assert done.ended == "reset"
    assert done.status == 200
    assert "This is a ".startswith(done.text)  # a reset may overtake what is not yet read


async def check_cut_mid_stream(server: Server, model: str = "sim/cut-mid-stream") -> None:
    done = await answer(server, model)
    assert done.ended == "cut"
    assert done.text == "This is a "
    whole = await answer(server, model, stream=False)
    assert whole.ended == "cut"
    assert len(whole.body) < int(whole.headers["content-length"])


async def check_paid_cut_mid_stream(server: Server) -> None:
    model = "sim/paid-cut-mid-stream"
    await check_cut_mid_stream(server, model)
    done = await answer(server, model)
    told = await generation(server, done.headers["x-generation-id"])
    assert told["native_tokens_completion"] == 3
    assert told["total_cost"] > 0
    assert (told["cancelled"], told["finish_reason"]) == (False, None)


async def check_split_utf8(server: Server) -> None:
    def splits(piece: bytes) -> bool:
        try:
            piece.decode()
        except UnicodeDecodeError:
            return True
        return False

    done = await sound(server, "sim/split-utf8")
    assert sum(map(splits, done.pieces)) >= 8
    assert done.text.startswith("żółć 日本語 😀😀")


async def check_one_packet(server: Server) -> None:
    done = await sound(server, "sim/one-packet")
    assert len(done.pieces) == 2  # all of it, and the end
    assert done.text


async def check_megabyte_line(server: Server) -> None:
    done = await sound(server, "sim/megabyte-line")
    assert max(map(len, done.data)) > 1_048_576


async def check_json_for_sse(server: Server) -> None:
    done = await answer(server, "sim/json-for-sse")
    assert done.headers["content-type"] == "application/json"
    assert done.json["choices"][0]["message"]["content"]


async def check_html_for_sse(server: Server) -> None:
    done = await answer(server, "sim/html-for-sse")
    assert done.status == 200
    assert done.headers["content-type"].startswith("text/html")


async def check_malformed_json(server: Server) -> None:
    def broken(data: str) -> bool:
        try:
            json.loads(data)
        except ValueError:
            return True
        return False

    done = await answer(server, "sim/malformed-json")
    assert [broken(data) for data in done.data].count(True) == 2  # the broken one and [DONE]
    whole = await answer(server, "sim/malformed-json", stream=False)
    assert whole.status == 200
    assert broken(whole.body.decode())


async def check_error_in_200(server: Server) -> None:
    for streamed in (True, False):
        done = await answer(server, "sim/error-in-200", stream=streamed)
        assert done.status == 200
        assert set(done.json) == {"id", "error"}


async def check_crlf(server: Server) -> None:
    done = await sound(server, "sim/crlf")
    assert done.body.count(b"\n") == done.body.count(b"\r\n")
    assert done.text


async def check_error_first(server: Server) -> None:
    done = await answer(server, "sim/error-first")
    assert done.body.startswith(b"data: ")
    (only,) = done.chunks
    assert only["error"]["code"] == 502
    assert not done.done


async def check_error_after_text(server: Server) -> None:
    done = await sound(server, "sim/error-after-text")
    last = done.chunks[-1]
    assert done.text == "This is a "
    assert last["error"]["code"] == 502
    assert last["usage"]["completion_tokens"] == 3
    whole = await answer(server, "sim/error-after-text", stream=False)
    assert whole.json["choices"][0]["error"]["code"] == 502
    assert whole.json["choices"][0]["finish_reason"] == "error"


async def check_error_string_code(server: Server) -> None:
    done = await answer(server, "sim/error-string-code")
    assert done.chunks[-1]["error"]["code"] == "server_error"


async def check_no_done(server: Server) -> None:
    done = await answer(server, "sim/no-done")
    assert (done.ended, done.done) == ("clean", False)
    assert set(done.finishes) == {"stop"}


async def check_no_finish(server: Server) -> None:
    done = await answer(server, "sim/no-finish")
    assert (done.ended, done.done) == ("clean", False)
    assert not done.finishes
    assert not done.usages


async def check_usage_null_finish(server: Server) -> None:
    last = (await sound(server, "sim/usage-null-finish")).chunks[-1]
    assert last["usage"]
    assert [choice["finish_reason"] for choice in last["choices"]] == [None]


async def check_usage_empty_choices(server: Server) -> None:
    last = (await sound(server, "sim/usage-empty-choices")).chunks[-1]
    assert last["usage"]
    assert last["choices"] == []


async def check_usage_repeats_finish(server: Server) -> None:
    done = await sound(server, "sim/usage-repeats-finish")
    assert done.chunks[-1]["usage"]
    assert done.finishes == ["stop", "stop"]


async def check_no_usage(server: Server) -> None:
    assert not (await sound(server, "sim/no-usage")).usages
    assert "usage" not in (await answer(server, "sim/no-usage", stream=False)).json


async def check_usage_twice(server: Server) -> None:
    first, second = (await sound(server, "sim/usage-twice")).usages
    assert first["completion_tokens"] < second["completion_tokens"]


async def check_empty_choices(server: Server) -> None:
    done = await sound(server, "sim/empty-choices")
    assert [chunk["choices"] for chunk in done.chunks].count([]) == 2
    assert done.text.startswith("This is")
    assert (await answer(server, "sim/empty-choices", stream=False)).json["choices"] == []


async def check_null_choices(server: Server) -> None:
    done = await sound(server, "sim/null-choices")
    assert [chunk["choices"] for chunk in done.chunks].count(None) == 2
    assert done.text.startswith("This is")
    assert (await answer(server, "sim/null-choices", stream=False)).json["choices"] is None


CHECKS: dict[str, Callable[[Server], Awaitable[None]]] = {
    "sim/524": check_524,
    "sim/fast": check_fast,
    "sim/paid": check_paid,
    "sim/paid-long": check_paid_long,
    "sim/ranks": check_ranks,
    "sim/ticks": check_ticks,
    "sim/steady": check_steady,
    "sim/paid-ticks": check_paid_ticks,
    "sim/flaky-2": check_flaky,
    "sim/length-no-text": check_length_no_text,
    "sim/plain": check_plain,
    "sim/parallel-tools": check_parallel_tools,
    "sim/bad-arguments": check_bad_arguments,
    "sim/10000-tools": check_10000_tools,
    "sim/unknown-tool": check_unknown_tool,
    "sim/long-arguments": check_long_arguments,
    "sim/cites": check_cites,
    "sim/bad-json": check_bad_json,
    "sim/paid-bad-json": check_paid_bad_json,
    "sim/worse-json": check_worse_json,
    "sim/slow-bad-json": check_slow_bad_json,
    "sim/bad-json-silent": check_bad_json_silent,
    "sim/8k": check_8k,
    "sim/pdf-then-502": check_pdf_then_502,
    "sim/fenced-json": check_fenced_json,
    "sim/long-json": check_long_json,
    "sim/flood": check_flood,
    "sim/empty": check_empty,
    "sim/content-filter": check_content_filter,
    "sim/u2028": check_u2028,
    "sim/prompt": check_prompt,
    "sim/slow": check_slow,
    "sim/silent": check_silent,
    "sim/silent-after-headers": check_silent_after_headers,
    "sim/stall": check_stall,
    "sim/comments-only": check_comments_only,
    "sim/slow-drip": check_slow_drip,
    "sim/endless": check_endless,
    "sim/reset": check_reset,
    "sim/reset-mid-stream": check_reset_mid_stream,
    "sim/cut-mid-stream": check_cut_mid_stream,
    "sim/paid-cut-mid-stream": check_paid_cut_mid_stream,
    "sim/split-utf8": check_split_utf8,
    "sim/one-packet": check_one_packet,
    "sim/megabyte-line": check_megabyte_line,
    "sim/json-for-sse": check_json_for_sse,
    "sim/html-for-sse": check_html_for_sse,
    "sim/malformed-json": check_malformed_json,
    "sim/error-in-200": check_error_in_200,
    "sim/crlf": check_crlf,
    "sim/error-first": check_error_first,
    "sim/error-after-text": check_error_after_text,
    "sim/error-string-code": check_error_string_code,
    "sim/no-done": check_no_done,
    "sim/no-finish": check_no_finish,
    "sim/usage-null-finish": check_usage_null_finish,
    "sim/usage-empty-choices": check_usage_empty_choices,
    "sim/usage-repeats-finish": check_usage_repeats_finish,
    "sim/no-usage": check_no_usage,
    "sim/usage-twice": check_usage_twice,
    "sim/empty-choices": check_empty_choices,
    "sim/null-choices": check_null_choices,
}


@pytest.mark.parametrize("name", CHECKS)
async def test_a_fault_is_what_its_line_says(server: Server, name: str) -> None:
    await CHECKS[name](server)


def test_every_fault_of_the_table_is_tested() -> None:
    elsewhere = {fault.name for fault in (*BILLS, *SHAPES, *REFUSED)}  # in files of their own
    assert set(FAULTS) == set(CHECKS) | set(STATUSES) | elsewhere


def test_the_command_line_lists_every_fault() -> None:
    command = [sys.executable, "-m", "scripts.standins.openrouter", "--list-faults"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {*FAULTS, *VECTORS, *IMAGES, "sim/replay/<name>"}
    assert {line.split()[0] for line in listed.splitlines()} == named


def test_refuses_to_listen_beyond_loopback() -> None:
    command = [sys.executable, "-m", "scripts.standins.openrouter", "--host", "0.0.0.0"]
    tried = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert tried.returncode == 2
    assert "not a loopback address" in tried.stderr


# Recordings


async def check_replay(server: Server, file: Path) -> None:
    done = await answer(server, f"sim/replay/{file.stem}")
    assert done.body == file.read_bytes()
    assert done.headers["x-generation-id"] == done.chunks[0]["id"]


@pytest.mark.parametrize("file", sorted(OUR_STREAMS.glob("*.sse")), ids=lambda file: str(file.stem))
async def test_replays_its_own_fixtures_byte_for_byte(server: Server, file: Path) -> None:
    await check_replay(server, file)


@needs_recordings
async def test_replays_the_recordings_byte_for_byte(server: Server) -> None:
    files = sorted(recorded("sse").glob("*.sse"))
    assert files
    for file in files:
        await check_replay(server, file)


def paths_of(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths_of(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths_of(inner, f"{path}[]")
    else:
        yield path


def shape(file: Path) -> set[str]:
    return {path for chunk in Answer(body=file.read_bytes()).chunks for path in paths_of(chunk)}


@needs_recordings
@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("midstream-error", "midstream-error-2025-11"),
        ("reasoning", "reasoning-2025-12"),
        ("usage-empty-choices", "usage-chunk-empty-choices-2026-03"),
    ],
)
def test_its_own_fixtures_have_the_shape_of_the_recordings(own: str, name: str) -> None:
    assert shape(OUR_STREAMS / f"{own}.sse") == shape(recorded(f"sse/{name}.sse"))


@pytest.mark.parametrize(
    "file", either("responses/plain-with-usage.json", "responses/plain-with-usage-2026-03.json")
)
async def test_a_whole_answer_has_the_shape_of_openrouters(server: Server, file: Path) -> None:
    done = await answer(server, PAID_MODEL, stream=False)
    assert set(paths_of(done.json)) == set(paths_of(json.loads(file.read_text())))


# What tests can look into


STREAMED_HANG_UPS = (
    "sim/silent",
    "sim/silent-after-headers",
    "sim/stall",
    "sim/comments-only",
    "sim/slow",
    "sim/slow-drip",
    "sim/endless",
    "sim/ticks",
)
WHOLE_HANG_UPS = ("sim/silent", "sim/silent-after-headers", "sim/stall", "sim/slow")


@pytest.mark.parametrize(
    ("model", "streamed"),
    [(model, True) for model in STREAMED_HANG_UPS] + [(model, False) for model in WHOLE_HANG_UPS],
)
async def test_notices_at_once_that_the_client_closed(
    server: Server, model: str, streamed: bool
) -> None:
    async def last() -> Any:
        found = [seen for seen in await requests(server) if seen["headers"].get("x-test") == mark]
        return found[-1] if found else None

    async def ended() -> Any:
        seen = await last()
        return seen if seen["endedAt"] else None

    mark = f"{model} {streamed}"
    body = {"model": model, "stream": streamed, "messages": PROMPT}
    tried = await call(
        server,
        "POST",
        "/api/v1/chat/completions",
        json.dumps(body).encode(),
        headers={"X-Test": mark},
    )
    assert (await until(last))["open"] is True
    tried.close()
    closed_at = time.time()
    seen = await until(ended)
    assert seen["closedByClient"] is True
    assert seen["open"] is False
    assert seen["endedAt"] - closed_at < NOTICED_WITHIN_S


async def test_reading_to_the_end_is_not_hanging_up(server: Server) -> None:
    await forget(server)
    await answer(server, MODEL)
    await answer(server, MODEL, stream=False)
    await answer(server, "sim/cut-mid-stream")
    await answer(server, "sim/reset")
    assert [seen["closedByClient"] for seen in await requests(server)] == [False] * 4
    assert all(seen["endedAt"] for seen in await requests(server))


async def test_lists_requests_in_order_until_they_are_forgotten(server: Server) -> None:
    await forget(server)
    await answer(server, MODEL)
    await answer(server, "sim/429", stream=False)
    first, second = await requests(server)
    assert (first["model"], first["stream"], second["stream"]) == (MODEL, True, False)
    assert first["id"] < second["id"]
    assert first["path"] == "/api/v1/chat/completions"
    assert first["body"]["messages"] == PROMPT
    assert first["tokensSent"] == 12
    assert first["startedAt"] <= first["endedAt"]
    await forget(server)
    assert await requests(server) == []


async def test_counts_what_is_open(server: Server) -> None:
    async def count() -> Any:
        return (await get(server, "/sim/open")).json["open"]

    async def none_open() -> bool:
        return bool(await count() == 0)

    await until(none_open)
    tried = [await ask(server, "sim/silent-after-headers") for _ in range(3)]
    for one in tried:
        await one.head()
    assert await count() == 3
    for one in tried:
        one.close()
    await until(none_open)


async def test_never_keeps_a_key(server: Server) -> None:
    await forget(server)
    content = [{"role": "user", "content": f"my key is {KEY}"}]
    await answer(server, MODEL, messages=content)
    await answer(server, MODEL, key="short")
    listed = await get(server, "/sim/requests")
    assert KEY not in listed.body.decode()
    assert KEY.removeprefix("sk-or-v1-") not in listed.body.decode()
    assert [seen["keyLast4"] for seen in listed.json] == ["last", ""]
    assert "authorization" not in listed.json[0]["headers"]


# Generations


async def test_a_generation_is_unknown_at_first(server: Server) -> None:
    for _ in range(20):
        begun = time.monotonic()
        done = await answer(server, PAID_MODEL, max_tokens=1)
        generation_id = done.headers["x-generation-id"]
        at_once = await get(server, f"/api/v1/generation?id={generation_id}")
        if time.monotonic() - begun < 0.15:
            break
    else:
        pytest.skip("this machine is too busy to ask within 150 ms")
    assert at_once.status == 404
    told = await generation(server, generation_id)
    assert told["native_tokens_completion"] == done.usages[0]["completion_tokens"] == 1
    assert told["finish_reason"] == "length"


async def test_a_cancelled_generation_costs_what_was_sent(server: Server) -> None:
    tried = await ask(server, "sim/paid-ticks")
    generation_id = (await tried.head()).headers["x-generation-id"]
    await tried.pieces(5)
    tried.close()
    told = await generation(server, generation_id)
    assert told["cancelled"] is True
    assert told["streamed"] is True
    assert 0 < told["native_tokens_completion"] < 100
    assert told["total_cost"] > 0


async def test_an_error_after_text_is_not_billed(server: Server) -> None:
    done = await answer(server, "sim/error-after-text")
    told = await generation(server, done.headers["x-generation-id"])
    assert (told["finish_reason"], told["total_cost"]) == ("error", 0)


# Many at once


async def test_serves_many_streams_at_once(server: Server) -> None:
    done = await asyncio.gather(*(answer(server, "sim/fast") for _ in range(100)))
    assert all(one.done for one in done)
    assert len({one.headers["x-generation-id"] for one in done}) == 100


# -- keys whose words spoil what is answered -------------------------------------------------------

ECHO = "sk-or-v1-canary-echo-0123"


@pytest.mark.parametrize(
    "model",
    ["sim/402", "sim/524", "sim/403-moderation", "sim/error-in-200", "sim/error-after-text"],
)
async def test_a_key_with_that_word_is_quoted_in_what_goes_wrong(
    server: Server, model: str
) -> None:
    quoting = await answer(server, model, key=ECHO)
    assert quoting.ended == "clean"
    assert ECHO.encode() in quoting.body
    assert quoting.headers["x-echo"] == ECHO
    plain = await answer(server, model)
    assert KEY.encode() not in plain.body
    assert "x-echo" not in plain.headers


@pytest.mark.parametrize(("word", "path"), [("look", "key"), ("list", "models")])
async def test_what_a_key_may_look_at_is_spoiled_as_its_words_say(
    server: Server, word: str, path: str
) -> None:
    for what, status in (("down", 500), ("limited", 429), ("garbled", 200)):
        spoiled = await get(server, f"/api/v1/{path}", key=f"{ECHO}-{word}-{what}")
        assert spoiled.status == status
        assert ECHO.encode() in spoiled.body
        if what == "garbled":
            with pytest.raises(json.JSONDecodeError):
                json.loads(spoiled.body)
    silent = await call(server, "GET", f"/api/v1/{path}", key=f"{ECHO}-{word}-silent")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await silent.finish()
    silent.close()
    assert (await get(server, f"/api/v1/{path}", key=f"{ECHO}-none")).status == 200
