"""Routes, and the straight line a chat request follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from . import accounts
from .chat_requests import Ask, AskInvalid, read_ask
from .completions import Chunks, Head, new_head, ordinary_answer
from .error_responses import Refusal, invalid_model, invalid_request, not_found, too_large
from .faults import FAULTS, ORDINARY, Fault
from .image_generation import FAULTS as IMAGES
from .image_generation import IMAGE_TOKENS, ImageAsk, image_model, play, read_image_ask
from .key_leaks import header, quoted, spoiled
from .model_catalog import Catalog, Simulated, load_catalog, page_of
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
    """The server's whole state. Nothing of it is a global."""

    settings: Settings
    catalog: Catalog
    faults: dict[str, Fault]
    recordings: dict[str, Recording]
    log: Log = field(default_factory=Log)
    flaky: Flaky = field(default_factory=Flaky)

    # the chat line

    async def chat(self, request: web.Request) -> web.StreamResponse:
        key = _key_of(request)
        raw = await request.read()
        record = self.log.begin(request.path, key, request.headers, raw)
        wire = Wire(request, record)
        try:
            accounts.admit(key)
            ask = _asked(raw)
            accounts.admit_inference(key)
            fault, model = self._chosen(ask)
            await fault.behave(self._accept(request, record, wire, ask, model))
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
        return wire.response

    def _chosen(self, ask: Ask) -> tuple[Fault, str]:
        """The first of `model` and `models` that does not refuse; the last refusal otherwise."""
        refusal = invalid_model(ask.model)
        for model in (ask.model, *ask.fallbacks):
            known = self.catalog.find(model)
            if known is None:
                raise invalid_model(model)
            fault = self.faults.get(known["id"], ORDINARY)
            if (refused := fault.refuse(ask)) is not None:
                refusal = refused
            elif model.endswith(":batch") or _not_for_chat(known):
                refusal = not_found(f"No endpoints found for {model}.")
            else:
                return fault, model
        raise refusal

    def _accept(
        self, request: web.Request, record: Record, wire: Wire, ask: Ask, model: str
    ) -> Exchange:
        answering = self.catalog.answering(model)
        head = new_head(answering)
        recording = self.recordings.get(answering.id)
        if recording is not None and recording.generation_id:
            head = Head(recording.generation_id, head.provider, head.model, head.created)
        generation = Generation(
            id=head.id,
            record=record,
            model=answering.shown,
            provider=answering.provider,
            router=answering.router,
            prompt_tokens=ask.prompt_tokens,
            prompt_price=answering.prompt_price,
            completion_price=answering.completion_price,
            session_id=ask.session_id,
        )
        self.log.accept(generation)
        return Exchange(
            ask=ask,
            answering=answering,
            answer=ordinary_answer(ask, answering),
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
        return await spoiled("list", _key_of(request), body)

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
        return await spoiled("look", key, {"data": accounts.key_data(key)})

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
        try:
            made = await embed(raw, self.catalog, self.flaky)
            if made.get("model") == "sim/vectors-cut":
                return await _cut(request, made)
            body = quoted(json.dumps(made).encode(), key)
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
        record = self.log.begin(request.path, key, request.headers, raw)
        wire = Wire(request, record)
        try:
            accounts.admit_inference(key)
            await self._draw(read_image_ask(raw, self.catalog), record, wire)
        except Refusal as refusal:
            await _refuse(wire, refusal)
        except (ConnectionError, asyncio.CancelledError):
            record.end(by_client=True)
            raise
        finally:
            record.end()
            self.log.open -= 1
        return wire.response

    async def _draw(self, ask: ImageAsk, record: Record, wire: Wire) -> None:
        answering = ask.answering
        head = new_head(answering)
        generation = Generation(
            id=head.id,
            record=record,
            model=answering.shown,
            provider=answering.provider,
            router=answering.router,
            prompt_tokens=ask.prompt_tokens,
            prompt_price=answering.prompt_price,
            completion_price=answering.image_price,
            finish_reason="stop",
        )
        self.log.accept(generation)
        headers = {"X-Generation-Id": head.id}
        if not ask.stream:
            tokens = IMAGE_TOKENS * ask.made
            await wire.whole(json.dumps(ask.whole()).encode(), headers=headers, tokens=tokens)
            return
        await wire.open(headers=headers)
        await play(ask, wire, self.settings.token_delay_s)

    # what tests look into

    async def about(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"service": "OpenRouter stand-in", "simulated": True})

    async def requests(self, _: web.Request) -> web.StreamResponse:
        return web.json_response([record.view() for record in self.log.records])

    async def forget(self, _: web.Request) -> web.StreamResponse:
        self.log.forget()
        self.flaky.failures.clear()
        return web.Response(status=204)

    async def open(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"open": self.log.open})


def build_app(settings: Settings) -> web.Application:
    """Raises NotADirectoryError when a directory to replay is missing."""
    recordings = load_recordings(settings.replay)
    replays = {name: recording.fault() for name, recording in recordings.items()}
    faults = {**FAULTS, **replays}
    catalog = load_catalog([*_simulated(faults.values()), *_others()])
    stand_in = StandIn(settings, catalog, faults, recordings)
    app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[_envelopes])
    app.on_response_prepare.append(_say_it_is_simulated)
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
    ]


async def _say_it_is_simulated(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(EVERYWHERE)
    response.headers.update(header(_key_of(request)))


@web.middleware
async def _envelopes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of every endpoint leave in OpenRouter's envelope."""
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
    body = quoted(error.body(), _key_of(request))
    return web.Response(body=body, status=error.status, content_type="application/json")


def _asked(raw: bytes) -> Ask:
    try:
        return read_ask(raw)
    except AskInvalid as problem:
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


async def _cut(request: web.Request, made: Json) -> web.StreamResponse:
    body = json.dumps(made).encode()
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _others() -> list[Simulated]:
    """Those that are no chat's."""
    vectors = (
        Simulated(name, line, "paid" in name, "embeddings") for name, line in VECTORS.items()
    )
    return [*vectors, *(Simulated(name, line, True, "image") for name, line in IMAGES.items())]


def _simulated(faults: Iterable[Fault]) -> list[Simulated]:
    return [
        Simulated(fault.name, fault.line, fault.paid, plain=fault.plain, context=fault.context)
        for fault in faults
    ]
