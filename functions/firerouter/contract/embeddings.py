"""The data of `create_embeddings`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import (
    ModelId,
    Name,
    RequestId,
    Text,
    not_blank,
)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class CreateEmbeddings(Record):
    """The data of `create_embeddings`.

    input: one text or several. dimensions: how many numbers each vector has, where the model can
    make shorter ones. input_type: what the texts are for, to models that tell the two apart.
    """

    feature: Name
    input: Annotated[
        list[Annotated[Text, AfterValidator(not_blank)]],
        BeforeValidator(_several),
        Field(min_length=1, max_length=limits.EMBED_INPUTS_MAX),
    ]
    dimensions: Annotated[int, Field(ge=1, le=limits.DIMENSIONS_MAX)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Literal["search_query", "search_document"] | None = None
    model: ModelId | None = None
    request_id: RequestId | None = None

    @model_validator(mode="after")
    def _not_too_much(self) -> CreateEmbeddings:
        size = sum(map(len, self.input))
        if size > limits.EMBED_INPUTS_MAX_CHARS:
            raise PydanticCustomError(
                "too_long",
                "the inputs together are {size} characters, the most is {limit}",
                {"limit": limits.EMBED_INPUTS_MAX_CHARS, "size": size},
            )
        return self
