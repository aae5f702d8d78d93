"""What `POST /embeddings` answers: one vector for each input, in their order. Pure.

A vector is a list of numbers, or those as 32-bit floats (little-endian) in base64, as it was asked
for; a provider that knows only one of the two forms answers in that one.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from ..errors import UpstreamMalformed
from . import usage
from .failures import from_event

Form = Literal["float", "base64"]
Vector = list[float] | str

NAME_MAX_CHARS: Final = 200
_NUMBERS: Final = frozenset({float, int})
_FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Vectors:
    """The answer to one request."""

    vectors: list[Vector]
    model: str | None
    provider: str | None
    upstream_id: str | None
    usage: usage.Usage | None


def read_embeddings(body: bytes | bytearray, count: int, form: Form) -> Vectors:
    """`count` vectors in that form. Raises UpstreamError."""
    try:
        document = orjson.loads(body)
    except ValueError:
        raise UpstreamMalformed from None
    if not isinstance(document, dict):
        raise UpstreamMalformed
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
        placed[place] = shaped(item.get("embedding"), form)
    if len(placed) != count or len({dimensions_of(vector) for vector in placed.values()}) != 1:
        raise UpstreamMalformed
    return Vectors(
        vectors=[placed[place] for place in range(count)],
        model=_name(document.get("model")),
        provider=_name(document.get("provider")),
        upstream_id=_name(document.get("id")),
        usage=usage.read(document.get("usage")),
    )


def shaped(vector: Any, form: Form) -> Vector:
    """The vector in that form. Raises UpstreamMalformed where it is none."""
    try:
        if isinstance(vector, str):
            packed = base64.b64decode(vector, validate=True)
            numbers = struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed)
            whole = bool(numbers) and all(map(math.isfinite, numbers))
            made: Vector = vector if form == "base64" else list(numbers)
        else:
            # a bool would be a number to Python, and one list is all that a vector is
            whole = isinstance(vector, list) and bool(vector) and set(map(type, vector)) <= _NUMBERS
            made = vector if form == "float" else _packed(vector) if whole else ""
    except (binascii.Error, struct.error, OverflowError):
        raise UpstreamMalformed from None
    if not whole:
        raise UpstreamMalformed
    return made


def dimensions_of(vector: Vector) -> int:
    """How many numbers it has."""
    if isinstance(vector, str):
        return (len(vector) * 3 // 4 - vector.count("=", -2)) // _FLOAT_BYTES
    return len(vector)


def _packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _name(value: Any) -> str | None:
    return value[:NAME_MAX_CHARS] if isinstance(value, str) else None
