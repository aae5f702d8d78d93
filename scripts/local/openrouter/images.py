"""`POST /images`: pictures of one colour, as one JSON or as events, partial ones first."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .asks import CHARS_PER_TOKEN
from .catalog import Answering, Catalog
from .completions import as_number, drawn
from .refusals import invalid_model, invalid_request

Json = dict[str, Any]

IMAGES_MAX = 10
IMAGE_TOKENS = 1290  # of one image, whatever its size
PARTIAL_IMAGES = 2  # before each whole one, in a stream
MEDIA_TYPE = "image/png"


@dataclass(frozen=True)
class ImageAsk:
    """A request that can be answered."""

    answering: Answering
    prompt: str
    number: int
    stream: bool

    @property
    def prompt_tokens(self) -> int:
        return -(-len(self.prompt) // CHARS_PER_TOKEN)

    def usage(self) -> Json:
        made = IMAGE_TOKENS * self.number
        prices = self.answering
        cost = self.prompt_tokens * prices.prompt_price + made * prices.image_price
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": made,
            "total_tokens": self.prompt_tokens + made,
            "completion_tokens_details": {"image_tokens": made},
            "cost": as_number(Decimal(cost)),
            "is_byok": False,
        }

    def images(self) -> list[str]:
        return [drawn(f"{self.prompt} {place}") for place in range(self.number)]

    def whole(self) -> Json:
        data = [{"b64_json": image, "media_type": MEDIA_TYPE} for image in self.images()]
        return {"created": int(time.time()), "data": data, "usage": self.usage()}

    def events(self) -> Iterator[bytes]:
        """The last one has the usage: nothing is billed before it."""
        images = self.images()
        for place, image in enumerate(images):
            for index in range(PARTIAL_IMAGES):
                partial = drawn(f"{self.prompt} {place} {index}")
                yield _event("partial_image", b64_json=partial, partial_image_index=index)
            done: Json = {"b64_json": image, "created": int(time.time()), "media_type": MEDIA_TYPE}
            if place == len(images) - 1:
                done["usage"] = self.usage()
            yield _event("completed", **done)


def read_image_ask(raw: bytes, catalog: Catalog) -> ImageAsk:
    """Raises Refusal."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise invalid_request("Invalid JSON in the request body") from None
    if not isinstance(body, dict):
        raise invalid_request("The request body must be a JSON object")
    model, prompt, number = body.get("model"), body.get("prompt"), body.get("n", 1)
    known = catalog.find(model) if isinstance(model, str) else None
    if known is None or "image" not in known["architecture"]["output_modalities"]:
        raise invalid_model(str(model))
    if not isinstance(prompt, str) or not prompt:
        raise invalid_request("prompt must be a text")
    if type(number) is not int or not 1 <= number <= IMAGES_MAX:
        raise invalid_request(f"n must be from 1 to {IMAGES_MAX}")
    return ImageAsk(catalog.answering(str(model)), prompt, number, body.get("stream") is True)


def image_model(model: Json) -> Json:
    """A model as `GET /images/models` lists it."""
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
            "n": {"type": "range", "min": 1, "max": IMAGES_MAX},
            "seed": {"type": "boolean"},
        },
        "supports_streaming": True,
    }


def _event(kind: str, **fields: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps({"type": f"image_generation.{kind}", **fields}).encode()
