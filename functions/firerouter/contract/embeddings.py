"""The request of `create_embeddings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .. import limits
from .base import Record
from .fields import ModelId, Name, RequestId, Text, invalid_part, not_blank


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class CreateEmbeddings(Record):
    """Turn one text or several into vectors, through a feature of the kind `embedding`."""

    feature: Name
    """The feature to use: `embedding`, or one of that kind that an admin has created."""
    input: Annotated[
        list[Annotated[Text, AfterValidator(not_blank)]],
        BeforeValidator(_several, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=limits.EMBED_INPUTS_MAX),
    ]
    """A text, or up to 256 of them: up to 200,000 characters each, and 1,000,000 together."""
    dimensions: Annotated[int, Field(ge=1, le=limits.DIMENSIONS_MAX)] | None = None
    """How many numbers each vector should have, if the model can shorten them. Default: the
    model's."""
    encoding_format: Literal["float", "base64"] = "float"
    """`float`: lists of numbers. `base64`: 32-bit floats, little-endian, a quarter of the size."""
    input_type: Literal["search_query", "search_document"] | None = None
    """What the texts are for, for models that distinguish the two. Models don't report whether
    they honor it."""
    model: ModelId | None = None
    """The model to use, if the feature allows a choice. Vectors of different models can't be
    compared, so there are no fallbacks."""
    request_id: RequestId | None = None
    """Makes the call idempotent: repeating it with the same id never calls OpenRouter twice."""

    @model_validator(mode="after")
    def _not_too_much(self) -> CreateEmbeddings:
        size = sum(map(len, self.input))
        if size > limits.EMBED_INPUTS_MAX_CHARS:
            most = f"{limits.EMBED_INPUTS_MAX_CHARS:,} characters together"
            raise invalid_part("input", f"may have at most {most}, not {size:,}")
        return self
