"""The response of `POST /embeddings`: one vector for each input, in their order. Pure.

A vector is a list of numbers, or the same numbers as 32-bit floats (little-endian) in base64. A
provider that supports only one of the two forms uses it, whichever was requested.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from ..errors import UpstreamMalformed
from .failures import from_event
from .json_fields import Json, as_name

Form = Literal["float", "base64"]
Vector = list[float] | str

_NUMBERS: Final = frozenset({float, int})
_FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The response to one request."""

    vectors: list[Vector]
    model: str | None
    provider: str | None


def read_document(body: bytes | bytearray) -> Json:
    """Parse the body of a response. Raises UpstreamError."""
    try:
        document = orjson.loads(body)
    except ValueError:
        raise UpstreamMalformed from None
    if not isinstance(document, dict):
        raise UpstreamMalformed
    return document


def read_embeddings(document: Json, count: int, form: Form) -> Embeddings:
    """Read a response that should have `count` vectors. Raises UpstreamError."""
    if document.get("error"):
        raise from_event(document["error"])
    data = document.get("data")
    if not isinstance(data, list) or len(data) != count:
        raise UpstreamMalformed
    placed: dict[int, Vector] = {}
    for at, item in enumerate(data):
        place = item.get("index", at) if isinstance(item, dict) else None
        if type(place) is not int or not 0 <= place < count:
            raise UpstreamMalformed
        placed[place] = convert_vector(item.get("embedding"), form)
    if len(placed) != count or len({dimensions_of(vector) for vector in placed.values()}) != 1:
        raise UpstreamMalformed
    return Embeddings(
        vectors=[placed[place] for place in range(count)],
        model=as_name(document.get("model")),
        provider=as_name(document.get("provider")),
    )


def convert_vector(vector: object, form: Form) -> Vector:
    """Return the vector in that form. Raises UpstreamMalformed if it is not a vector."""
    try:
        if isinstance(vector, str):
            packed = base64.b64decode(vector, validate=True)
            numbers = struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed)
            if numbers and all(map(math.isfinite, numbers)):
                return vector if form == "base64" else list(numbers)
        # isinstance would accept a bool as an int
        elif isinstance(vector, list) and vector and set(map(type, vector)) <= _NUMBERS:
            return vector if form == "float" else _pack(vector)
    except (binascii.Error, struct.error, OverflowError):
        pass  # not base64, or not 32-bit floats
    raise UpstreamMalformed


def dimensions_of(vector: Vector) -> int:
    """Return how many numbers a vector has."""
    if isinstance(vector, str):
        return (len(vector) * 3 // 4 - vector.count("=", -2)) // _FLOAT_BYTES
    return len(vector)


def _pack(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
