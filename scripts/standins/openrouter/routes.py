"""The endpoints, and the straight line that a chat request follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from . import accounts
from .chat_requests import ASKED_MAX_CHARS, ChatRequest, RequestInvalid, read_chat_request
from .completions import Chunks, Head, new_head, ordinary_answer
from .error_responses import Refusal, invalid_model, invalid_request, not_found, too_large
from .faults import FAULTS, ORDINARY, Fault
from .image_generation import FAULTS as IMAGES
from .image_generation import IMAGE_TOKENS, ImageRequest, image_model, play, read_image_request
from .key_leaks import leak, leak_header, lookup_response
from .model_catalog import Catalog, ServedModel, Simulated, load_catalog, page_of
from .recordings import Recording, load_recordings
from .request_log import Generation, Log, Record
from .streams import Exchange, Flaky
from .vectors import FAULTS as VECTORS
from .vectors import embed
from .wire import Wire

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_MAX_BYTES = 33_554_432
EVERYWHERE = {"Access-Control-Allow-Origin": "*", "X-Simulated": "OpenRouter stand-in"}
NOT_FOR_CHAT = ("embeddings", "rerank", "speech", "transcription", "video")


@dataclass(frozen=True)
class Settings:
    token_delay_s: float = 0.025
    replay: tuple[Path, ...] = ()


@dataclass
class StandIn:
    """The whole state of the server."""

    settings: Settings
    catalog: Catalog
    faults: dict[str, Fault]
    recordings: dict[str, Recording]
    log: Log = field(default_factory=Log)
    flaky: Flaky = field(default_factory=Flaky)

    # chat

    async def chat(self, request: web.Request) -> web.StreamResponse:
        key = _key_of(request)
        raw = await request.read()
        async with self._recorded(request, key, raw) as wire:
            accounts.admit(key)
            chat = _read_chat(raw)
            accounts.admit_inference(key)
            fault, model = self._choose(chat)
            await fault.behave(self._accept(wire, chat, model))
        return wire.response

    @contextlib.asynccontextmanager
    async def _recorded(self, request: web.Request, key: str, raw: bytes) -> AsyncIterator[Wire]:
        """Record a request, answer its refusal, and end the record however the request ends."""
        record = self.log.begin(request.path, key, request.headers, raw)
        wire = Wire(request, record)
        try:
            yield wire
        except Refusal as refusal:
            await _refuse(wire, refusal)
        except ConnectionError:
            record.end(by_client=True)
        except asyncio.CancelledError:
            record.end(by_client=True)
            raise
        finally:
            record.end()
            self.log.open -= 1

    def _choose(self, chat: ChatRequest) -> tuple[Fault, str]:
        """Return the first of `model` and `models` that accepts. Raises the last refusal."""
        refusal = invalid_model(chat.model)
        for model in (chat.model, *chat.fallbacks):
            known = self.catalog.find(model)
            if known is None:
                raise invalid_model(model)
            fault = self.faults.get(known["id"], ORDINARY)
            if (found := fault.refuse(chat)) is not None:
                refusal = found
            elif model.endswith(":batch") or _not_for_chat(known):
                refusal = not_found(f"No endpoints found for {model}.")
            else:
                return fault, model
        raise refusal

    def _accept(self, wire: Wire, chat: ChatRequest, model: str) -> Exchange:
        served = self.catalog.resolve(model)
        head = new_head(served)
        recording = self.recordings.get(served.id)
        if recording is not None and recording.generation_id:
            head = Head(recording.generation_id, head.provider, head.model, head.created)
        generation = _generation(wire, head, served, prompt_tokens=chat.prompt_tokens)
        generation.session_id = chat.session_id
        generation.asked = chat.beginnings
        self.log.accept(generation)
        return Exchange(
            chat=chat,
            served=served,
            answer=ordinary_answer(chat, served),
            head=head,
            chunks=Chunks(head),
            generation=generation,
            wire=wire,
            pace_s=self.settings.token_delay_s,
            flaky=self.flaky,
        )

    # the rest of /api/v1

    async def models(self, request: web.Request) -> web.StreamResponse:
        body = _page(request, self.catalog.listed(request.query))
        return await lookup_response("list", _key_of(request), body)

    async def models_count(self, request: web.Request) -> web.StreamResponse:
        return _data({"count": len(self.catalog.listed(request.query))})

    async def models_user(self, request: web.Request) -> web.StreamResponse:
        _key(request)
        return web.json_response(_page(request, self.catalog.listed(request.query)))

    async def embeddings_models(self, request: web.Request) -> web.StreamResponse:
        body = _page(request, self.catalog.listed(request.query, "embeddings"))
        return web.json_response(body)

    async def key(self, request: web.Request) -> web.StreamResponse:
        key = _key(request)
        return await lookup_response("look", key, {"data": accounts.key_data(key)})

    async def credits(self, request: web.Request) -> web.StreamResponse:
        if "management" not in _key(request):
            raise Refusal(403, "Only management keys can fetch credits for an account")
        return _data({"total_credits": 100.0, "total_usage": 10.25})

    async def generation(self, request: web.Request) -> web.StreamResponse:
        _key(request)
        wanted = request.query.get("id", "")
        generation = self.log.generations.get(wanted)
        if generation is None or not generation.ready():
            raise not_found(f"Generation {wanted} not found")
        return _data(generation.view())

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        key = _key_of(request)
        accounts.admit_inference(key)
        raw = await request.read()
        record = self.log.begin(request.path, key, request.headers, raw)

        def accept(response: Json, asked: str) -> None:
            generation = _vectors_generation(record, self.catalog, response)
            generation.asked = asked[:ASKED_MAX_CHARS]
            self.log.accept(generation)

        try:
            made = await embed(raw, self.catalog, self.flaky, accept)
            if made.get("model") == "sim/vectors-cut":
                return await _half_response(request, made)
            body = leak(json.dumps(made).encode(), key)
            return web.Response(body=body, content_type="application/json")
        except asyncio.CancelledError:
            record.end(by_client=True)
            raise
        finally:
            record.end()
            self.log.open -= 1

    async def images_models(self, request: web.Request) -> web.StreamResponse:
        return _data([image_model(model) for model in self.catalog.listed({}, "image")])

    async def images(self, request: web.Request) -> web.StreamResponse:
        key = _key_of(request)
        raw = await request.read()
        async with self._recorded(request, key, raw) as wire:
            accounts.admit_inference(key)
            await self._draw(read_image_request(raw, self.catalog), wire)
        return wire.response

    async def _draw(self, image: ImageRequest, wire: Wire) -> None:
        head = new_head(image.served)
        generation = _generation(wire, head, image.served, prompt_tokens=image.prompt_tokens)
        generation.completion_price = image.served.image_price
        generation.finish_reason = "stop"
        generation.asked = image.prompt[:ASKED_MAX_CHARS]
        if image.fault == "unreadable":  # it has been made, whoever can read it
            generation.flat_usd = Decimal(str(image.usage()["cost"]))
        self.log.accept(generation)
        headers = {"X-Generation-Id": head.id}
        if not image.stream:
            tokens = IMAGE_TOKENS * image.count
            await wire.whole(json.dumps(image.whole()).encode(), headers=headers, tokens=tokens)
            return
        await wire.open(headers=headers)
        await play(image, wire, self.settings.token_delay_s)

    # for tests

    async def about(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"service": "OpenRouter stand-in", "simulated": True})

    async def requests(self, _: web.Request) -> web.StreamResponse:
        return web.json_response([record.view() for record in self.log.records])

    async def forget(self, _: web.Request) -> web.StreamResponse:
        self.log.forget()
        self.flaky.failures.clear()
        return web.Response(status=204)

    async def bill(self, _: web.Request) -> web.StreamResponse:
        """What was charged to each key: it adds up as requests end, and is never forgotten."""
        bills = {last4: bill.view() for last4, bill in self.log.bills.items()}
        return web.json_response(bills)

    async def charges(self, request: web.Request) -> web.StreamResponse:
        """The items of the bill of one key: `?key=` its last four characters."""
        return web.json_response(self.log.charges(request.query.get("key", "")))

    async def open(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"open": self.log.open})


def build_app(settings: Settings) -> web.Application:
    """Build the application. Raises NotADirectoryError if a directory to replay is missing."""
    recordings = load_recordings(settings.replay)
    replays = {name: recording.fault() for name, recording in recordings.items()}
    faults = {**FAULTS, **replays}
    catalog = load_catalog([*_simulated(faults.values()), *_other_models()])
    stand_in = StandIn(settings, catalog, faults, recordings)
    app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[_wrap_errors])
    app.on_response_prepare.append(_add_headers)
    app.add_routes(_routes(stand_in))
    return app


def _routes(stand_in: StandIn) -> list[web.RouteDef]:
    api = "/api/v1"
    return [
        web.post(f"{api}/chat/completions", stand_in.chat),
        web.get(f"{api}/models", stand_in.models),
        web.get(f"{api}/models/count", stand_in.models_count),
        web.get(f"{api}/models/user", stand_in.models_user),
        web.get(f"{api}/key", stand_in.key),
        web.get(f"{api}/auth/key", stand_in.key),
        web.get(f"{api}/credits", stand_in.credits),
        web.get(f"{api}/generation", stand_in.generation),
        web.post(f"{api}/embeddings", stand_in.embeddings),
        web.get(f"{api}/embeddings/models", stand_in.embeddings_models),
        web.post(f"{api}/images", stand_in.images),
        web.get(f"{api}/images/models", stand_in.images_models),
        web.get("/", stand_in.about),
        web.get("/sim/requests", stand_in.requests),
        web.delete("/sim/requests", stand_in.forget),
        web.get("/sim/open", stand_in.open),
        web.get("/sim/bill", stand_in.bill),
        web.get("/sim/charges", stand_in.charges),
    ]


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(EVERYWHERE)
    response.headers.update(leak_header(_key_of(request)))


@web.middleware
async def _wrap_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors of every endpoint in OpenRouter's envelope."""
    try:
        return await handler(request)
    except Refusal as refusal:
        error = refusal
    except web.HTTPRequestEntityTooLarge:
        error = too_large()
    except web.HTTPNotFound:
        error = not_found("Not Found")
    except web.HTTPMethodNotAllowed:
        error = Refusal(405, "Method Not Allowed", user_id=None)
    body = leak(error.body(), _key_of(request))
    return web.Response(body=body, status=error.status, content_type="application/json")


def _generation(wire: Wire, head: Head, served: ServedModel, *, prompt_tokens: int) -> Generation:
    served = served.at(prompt_tokens)
    return Generation(
        id=head.id,
        record=wire.record,
        model=served.shown,
        provider=served.provider,
        router=served.router,
        prompt_tokens=prompt_tokens,
        prompt_price=served.prompt_price,
        completion_price=served.completion_price,
    )


def _vectors_generation(record: Record, catalog: Catalog, response: Json) -> Generation:
    served = catalog.resolve(response["model"])
    cost = 0 if "error-in-200" in served.id else response["usage"]["cost"]
    return Generation(
        id=response["id"],
        record=record,
        model=served.shown,
        provider=served.provider,
        router=served.router,
        prompt_tokens=response["usage"]["prompt_tokens"],
        prompt_price=served.prompt_price,
        completion_price=served.completion_price,
        flat_usd=Decimal(str(cost)),
    )


def _read_chat(raw: bytes) -> ChatRequest:
    try:
        return read_chat_request(raw)
    except RequestInvalid as problem:
        raise (invalid_request if problem.typed else _plain_400)(str(problem)) from problem


def _plain_400(message: str) -> Refusal:
    return Refusal(400, message)


async def _refuse(wire: Wire, refusal: Refusal) -> None:
    await wire.whole(
        refusal.body(),
        status=refusal.status,
        content_type=refusal.content_type,
        headers=refusal.headers,
    )


def _key(request: web.Request) -> str:
    key = _key_of(request)
    accounts.admit(key)
    return key


def _key_of(request: web.Request) -> str:
    return accounts.key_of(request.headers.get("Authorization", ""))


def _not_for_chat(model: Json) -> bool:
    return model["architecture"]["output_modalities"][0] in NOT_FOR_CHAT


def _data(data: Json | list[Json]) -> web.Response:
    return web.json_response({"data": data})


def _page(request: web.Request, models: list[Json]) -> Json:
    try:
        return page_of(models, request.query, str(request.url.with_query(None)))
    except ValueError as problem:
        raise invalid_request(str(problem)) from problem


async def _half_response(request: web.Request, document: Json) -> web.StreamResponse:
    body = json.dumps(document).encode()
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _other_models() -> list[Simulated]:
    """Return the simulated models of the other endpoints."""
    vectors = (
        Simulated(name, line, "paid" in name, "embeddings") for name, line in VECTORS.items()
    )
    return [*vectors, *(Simulated(name, line, True, "image") for name, line in IMAGES.items())]


def _simulated(faults: Iterable[Fault]) -> list[Simulated]:
    return [
        Simulated(
            fault.name,
            fault.line,
            fault.paid,
            plain=fault.plain,
            context=fault.context,
            long_from=fault.long_from,
        )
        for fault in faults
    ]
