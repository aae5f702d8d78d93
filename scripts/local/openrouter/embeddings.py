"""Deterministic vectors: the same text has the same one, and its length is 1."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from typing import Any

from .asks import CHARS_PER_TOKEN
from .catalog import Catalog
from .completions import as_number, new_head
from .refusals import Refusal, invalid_model, invalid_request

Json = dict[str, Any]

DIMENSIONS_DEFAULT = 1536
DIMENSIONS_MAX = 4096
INPUTS_MAX = 2048


def embed(raw: bytes, catalog: Catalog) -> Json:
    """The body of `POST /embeddings`. Raises Refusal."""
    body = _object(raw)
    model = body.get("model")
    known = catalog.find(model) if isinstance(model, str) else None
    if known is None or "embeddings" not in known["architecture"]["output_modalities"]:
        raise invalid_model(str(model))
    inputs = _inputs(body.get("input"))
    dimensions = body.get("dimensions") or DIMENSIONS_DEFAULT
    if not isinstance(dimensions, int) or not 1 <= dimensions <= DIMENSIONS_MAX:
        raise invalid_request(f"dimensions must be from 1 to {DIMENSIONS_MAX}")
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise invalid_request("encoding_format must be float or base64")
    answering = catalog.answering(str(model))
    tokens = sum(-(-len(text) // CHARS_PER_TOKEN) for text in inputs)
    cost = as_number(tokens * answering.prompt_price)
    return {
        "id": new_head(answering).id,
        "object": "list",
        "model": answering.id,
        "provider": answering.provider,
        "data": [
            {"object": "embedding", "index": place, "embedding": _shaped(text, dimensions, form)}
            for place, text in enumerate(inputs)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "cost": cost, "is_byok": False},
    }


def _object(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except ValueError:
        raise invalid_request("Invalid JSON in the request body") from None
    if not isinstance(body, dict):
        raise invalid_request("The request body must be a JSON object")
    return body


def _inputs(given: Any) -> list[str]:
    """One string for each input. A list of numbers is one input: the tokens of a text."""
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


def _shaped(text: str, dimensions: int, form: str) -> list[float] | str:
    vector = _vector(text, dimensions)
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()


def _vector(text: str, dimensions: int) -> list[float]:
    """Numbers from a hash, rounded to what a 32-bit float can hold in both forms."""
    digest = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}h", digest)]
    length = math.hypot(*numbers)
    packed = struct.pack(f"<{dimensions}f", *(number / length for number in numbers))
    return list(struct.unpack(f"<{dimensions}f", packed))
