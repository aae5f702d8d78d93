"""`POST /images`: images of one color, as one JSON document or as events, partial ones first.

`sim/images` is ordinary; the other `sim/images-*` misbehave, as `FAULTS` says. Fields that the
official SDK does not know are refused, whereas OpenRouter would silently ignore them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .chat_requests import CHARS_PER_TOKEN
from .completions import DONE, as_number, simulated_png
from .error_responses import invalid_model, invalid_request, json_object
from .model_catalog import Catalog, ServedModel
from .streams import BREAK_AFTER_S
from .wire import Wire

Json = dict[str, Any]

IMAGES_MAX = 10
IMAGE_TOKENS = 1290  # for one image of any size
PARTIAL_IMAGES = 2  # before each complete one, in a stream
MEDIA_TYPE = "image/png"
FIELDS = frozenset(
    {
        *("model", "prompt", "aspect_ratio", "background", "input_references", "n", "provider"),
        *("output_compression", "output_format", "quality", "resolution", "seed", "session_id"),
        *("size", "stream", "trace", "user"),
    }
)
PROVIDER_FIELDS = frozenset({"allow_fallbacks", "ignore", "only", "options", "order", "sort"})

TAKES: Json = {
    "n": {"type": "range", "min": 1, "max": IMAGES_MAX},
    "seed": {"type": "boolean"},
    "aspect_ratio": {"type": "enum", "values": ["1:1", "16:9"]},
    "resolution": {"type": "enum", "values": ["1K", "2K"]},
    "quality": {"type": "enum", "values": ["low", "high"]},
}

FAULTS: Mapping[str, str] = {
    "sim/images": "images at 15 dollars a million tokens",
    "sim/images-plain": "takes n alone",
    "sim/images-json": "one JSON though a stream was asked for, as most providers do",
    "sim/images-error": "the first image, then an error event",
    "sim/images-cut": "the first image, then closed without the terminating chunk",
    "sim/images-usage-first": "the first image with the usage, then closed as above",
    "sim/images-no-usage": "all images and [DONE], without usage",
    "sim/images-fewer": "one image fewer than asked for",
    "sim/images-alike": "the same image each time",
    "sim/images-partial": "50 partial images before each whole one",
    "sim/images-silent": "a partial image, then silence",
    "sim/images-unreadable": "an image of no known type",
}


@dataclass(frozen=True)
class ImageRequest:
    """A valid request."""

    served: ServedModel
    prompt: str
    number: int
    stream: bool

    @property
    def fault(self) -> str:
        return self.served.id.removeprefix("sim/images-")

    @property
    def count(self) -> int:
        return self.number - (self.fault == "fewer")

    @property
    def prompt_tokens(self) -> int:
        return -(-len(self.prompt) // CHARS_PER_TOKEN)

    def usage(self) -> Json:
        tokens = IMAGE_TOKENS * self.count
        prices = self.served
        cost = self.prompt_tokens * prices.prompt_price + tokens * prices.image_price
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens + tokens,
            "completion_tokens_details": {"image_tokens": tokens},
            "cost": as_number(Decimal(cost)),
            "is_byok": False,
        }

    def images(self) -> list[str]:
        same = self.fault == "alike"
        if self.fault == "unreadable":
            return [base64.b64encode(b"no image at all " * 8).decode()] * self.count
        return [
            simulated_png(f"{self.prompt} {0 if same else place}") for place in range(self.count)
        ]

    def whole(self) -> Json:
        data = [{"b64_json": image, "media_type": MEDIA_TYPE} for image in self.images()]
        return {"created": int(time.time()), "data": data, "usage": self.usage()}

    def events(self) -> Iterator[bytes]:
        """Yield the events. The last one has the usage, because nothing is billed before it."""
        images = self.images()
        usage_place = 0 if self.fault == "usage-first" else len(images) - 1
        for place, image in enumerate(images):
            for index in range(50 if self.fault == "partial" else PARTIAL_IMAGES):
                partial = simulated_png(f"{self.prompt} {place} {index}")
                yield _event("partial_image", b64_json=partial, partial_image_index=index)
            done: Json = {"b64_json": image, "created": int(time.time()), "media_type": MEDIA_TYPE}
            if place == usage_place and self.fault != "no-usage":
                done["usage"] = self.usage()
            yield _event("completed", **done)


async def play(request: ImageRequest, wire: Wire, pace_s: float) -> None:
    """Send the events of a stream, or what its fault leaves of them.

    What the usage tells is charged from then on, however the stream ends.
    """
    charged, tokens = False, IMAGE_TOKENS * request.count
    for event in request.events():
        await asyncio.sleep(pace_s)
        tells = b'"usage"' in event
        charged = charged or tells
        await wire.send(event, tokens if tells else 0)
        if request.fault == "silent":
            await wire.hold()
        if b".completed" in event and request.fault in ("error", "cut", "usage-first"):
            break
    if request.fault in ("error", "cut", "usage-first"):
        await asyncio.sleep(BREAK_AFTER_S)
    if request.fault == "error":
        error = {"code": "502", "message": "Provider disconnected unexpectedly"}
        await wire.send(b"data: %b\n\n" % json.dumps({"type": "error", "error": error}).encode())
        await wire.end()
    elif request.fault in ("cut", "usage-first"):
        wire.cut()
    else:
        await wire.end(DONE, 0 if charged else tokens)


def read_image_request(raw: bytes, catalog: Catalog) -> ImageRequest:
    """Validate a body. Raises Refusal."""
    body = json_object(raw)
    model, prompt, number = body.get("model"), body.get("prompt"), body.get("n", 1)
    known = catalog.find(model) if isinstance(model, str) else None
    if known is None or "image" not in known["architecture"]["output_modalities"]:
        raise invalid_model(str(model))
    if not isinstance(prompt, str) or not prompt:
        raise invalid_request("prompt must be a text")
    if type(number) is not int or not 1 <= number <= IMAGES_MAX:
        raise invalid_request(f"n must be from 1 to {IMAGES_MAX}")
    _check(body)
    streams = body.get("stream") is True and model != "sim/images-json"
    return ImageRequest(catalog.resolve(str(model)), prompt, number, streams)


def _check(body: Json) -> None:
    provider = body.get("provider") or {}
    if not isinstance(provider, dict):
        raise invalid_request("provider must be an object")
    for unknown in (body.keys() - FIELDS, provider.keys() - PROVIDER_FIELDS):
        if unknown:
            raise invalid_request(f"Unrecognized key: {min(unknown)}")
    if "x" in str(body.get("size")) and body.keys() & {"aspect_ratio", "resolution"}:
        raise invalid_request("size in pixels does not go with aspect_ratio or resolution")


def image_model(model: Json) -> Json:
    """Return a model as `GET /images/models` lists it."""
    shape = model["architecture"]
    return {
        "id": model["id"],
        "name": model["name"],
        "description": model["description"],
        "created": model["created"],
        "architecture": {
            "input_modalities": shape["input_modalities"],
            "output_modalities": shape["output_modalities"],
        },
        "endpoints": f"/api/v1/images/models/{model['id']}/endpoints",
        "supported_parameters": {
            name: takes
            for name, takes in TAKES.items()
            if name == "n" or model["id"] != "sim/images-plain"
        },
        "supports_streaming": True,
    }


def _event(kind: str, **fields: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps({"type": f"image_generation.{kind}", **fields}).encode()
