"""Deterministic embeddings: the same text has the same vector, and its length is 1.

`sim/vectors` is free; each of the other `sim/vectors-*` misbehaves in the way that `FAULTS` names.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

from .chat_requests import CHARS_PER_TOKEN
from .completions import as_number, new_head
from .error_responses import (
    Refusal,
    context_exceeded,
    invalid_model,
    invalid_request,
    json_object,
    overloaded,
    rate_limited,
)
from .model_catalog import Catalog
from .streams import Flaky

Json = dict[str, Any]

DIMENSIONS_DEFAULT = 1536
DIMENSIONS_MAX = 4096
INPUTS_MAX = 2048
FLAKY_TIMES = 2
SHORT_MAX_CHARS = 100
SILENCE_S = 3600.0

FAULTS: Mapping[str, str] = {
    "sim/vectors": "free vectors",
    "sim/vectors-paid": "vectors at 3 dollars a million tokens",
    "sim/vectors-silent": "accepts, and never answers",
    "sim/vectors-paid-silent": "the same, at 3 dollars a million tokens",
    "sim/vectors-flaky-2": "503 twice for each distinct first input, then answers",
    "sim/vectors-shuffled": "the last input's vector comes first",
    "sim/vectors-fixed": "1536 numbers, whatever dimensions were asked for",
    "sim/vectors-short": "400 for an input of more than 100 characters; lists 131,072 tokens",
    "sim/vectors-missing": "one vector fewer than inputs",
    "sim/vectors-uneven": "one vector is shorter than the others",
    "sim/vectors-floats": "numbers, whatever encoding was asked for",
    "sim/vectors-no-base64": "a 400 for base64, whose reason is in metadata.raw",
    "sim/vectors-paid-empty-base64": "no vectors for base64, at 3 dollars a million tokens",
    "sim/vectors-error-in-200": "200 with JSON of only id and error",
    "sim/vectors-cut": "closed in the middle of the body",
    "sim/vectors-429": "429, no hint when to retry",
}


async def embed(
    raw: bytes, catalog: Catalog, flaky: Flaky, accept: Callable[[Json, str], None]
) -> Json:
    """Return the body of `POST /embeddings`. Raises Refusal.

    `accept` is called with the ordinary answer, and the first input, as soon as the request is
    accepted.
    """
    response = _response(raw, catalog)
    model, inputs = response["model"], _inputs(json_object(raw)["input"])
    if model == "sim/vectors-flaky-2" and flaky.fails_again(inputs[0], FLAKY_TIMES):
        raise overloaded()
    if model == "sim/vectors-429":
        raise rate_limited()
    in_base64 = json_object(raw).get("encoding_format") == "base64"
    if model == "sim/vectors-no-base64" and in_base64:
        reason = "base64 encoding is not currently supported"
        raise Refusal(400, "Provider returned error", {"raw": json.dumps({"detail": reason})})
    accept(response, inputs[0])
    if model == "sim/vectors-paid-empty-base64" and in_base64:
        response["data"] = []
    if model.endswith("-silent"):
        await asyncio.sleep(SILENCE_S)
    if model == "sim/vectors-shuffled":
        response["data"] = response["data"][::-1]
    if model == "sim/vectors-missing":
        response["data"] = response["data"][1:]
    if model == "sim/vectors-uneven":
        response["data"][0]["embedding"] = response["data"][0]["embedding"][:-1]
    if model == "sim/vectors-error-in-200":
        metadata = {"error_type": "provider_unavailable"}
        error = {"code": 502, "message": "Provider disconnected", "metadata": metadata}
        return {"id": response["id"], "error": error}
    return response


def _response(raw: bytes, catalog: Catalog) -> Json:
    body = json_object(raw)
    model = body.get("model")
    known = catalog.find(model) if isinstance(model, str) else None
    if known is None or "embeddings" not in known["architecture"]["output_modalities"]:
        raise invalid_model(str(model))
    inputs = _inputs(body.get("input"))
    dimensions = body.get("dimensions") or DIMENSIONS_DEFAULT
    if not isinstance(dimensions, int) or not 1 <= dimensions <= DIMENSIONS_MAX:
        raise invalid_request(f"dimensions must be from 1 to {DIMENSIONS_MAX}")
    form = body.get("encoding_format") or "float"
    if model == "sim/vectors-fixed":
        dimensions = DIMENSIONS_DEFAULT
    if model == "sim/vectors-short" and max(map(len, inputs)) > SHORT_MAX_CHARS:
        raise context_exceeded()
    if form not in ("float", "base64"):
        raise invalid_request("encoding_format must be float or base64")
    if model == "sim/vectors-floats":
        form = "float"
    served = catalog.resolve(str(model))
    tokens = sum(-(-len(text) // CHARS_PER_TOKEN) for text in inputs)
    cost = as_number(tokens * served.prompt_price)
    return {
        "id": new_head(served).id,
        "object": "list",
        "model": served.id,
        "provider": served.provider,
        "data": [
            {"object": "embedding", "index": place, "embedding": _encoded(text, dimensions, form)}
            for place, text in enumerate(inputs)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "cost": cost, "is_byok": False},
    }


def _inputs(given: Any) -> list[str]:
    """Return a string for each input. A list of numbers is one input: the tokens of a text."""
    problem: Refusal = invalid_request("input must be a text, tokens, or a list of those")
    if isinstance(given, str) and given:
        return [given]
    if not isinstance(given, list) or not 1 <= len(given) <= INPUTS_MAX:
        raise problem
    if all(isinstance(item, int) for item in given):
        return [str(given)]
    if not all(isinstance(item, str | list | dict) and item for item in given):
        raise problem
    return [item if isinstance(item, str) else json.dumps(item) for item in given]


def _encoded(text: str, dimensions: int, form: str) -> list[float] | str:
    vector = _vector(text, dimensions)
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()


def _vector(text: str, dimensions: int) -> list[float]:
    """Return numbers from a hash, rounded to 32-bit floats, so that both encodings agree."""
    digest = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}h", digest)]
    length = math.hypot(*numbers)
    packed = struct.pack(f"<{dimensions}f", *(number / length for number in numbers))
    return list(struct.unpack(f"<{dimensions}f", packed))
