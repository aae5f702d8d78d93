"""The types of fields: names, ids, texts and numbers, each with its bounds. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from .. import limits

NANO_PER_USD: Final = 1_000_000_000  # money is counted in billionths of a US dollar


def _model_id(value: str) -> str:
    if not re.fullmatch(r"[~@]?[A-Za-z0-9][A-Za-z0-9._~:/@-]*", value):
        raise PydanticCustomError("model_id", "must be a model id such as author/name")
    return value


def is_name(value: object) -> bool:
    """Whether a feature, say, may be called so; its length aside."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value) is not None


def _name(value: str) -> str:
    if not is_name(value):
        raise PydanticCustomError(
            "name", "must be letters, digits, _ and -, beginning with a letter"
        )
    return value


def _request_id(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise PydanticCustomError("request_id", "must be printable ASCII without spaces")
    return value


def _generation_id(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", value):
        raise PydanticCustomError("generation_id", "must be an id that an answer came with")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "must not be empty")
    return value


ModelId = Annotated[
    str, Field(max_length=limits.MODEL_ID_MAX_CHARS, min_length=1), AfterValidator(_model_id)
]
Name = Annotated[str, Field(max_length=limits.NAME_MAX_CHARS, min_length=1), AfterValidator(_name)]
RequestId = Annotated[
    str, Field(max_length=limits.REQUEST_ID_MAX_CHARS, min_length=1), AfterValidator(_request_id)
]
GenerationId = Annotated[str, AfterValidator(_generation_id)]
Text = Annotated[str, Field(max_length=limits.PROMPT_MAX_CHARS)]
Variable = Annotated[str, Field(max_length=limits.VARIABLE_MAX_CHARS)]
Number = Annotated[float, Field(allow_inf_nan=False)]


Usd = Annotated[Number, Field(ge=0, le=1_000_000)]


def _own_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]+", value):
        raise PydanticCustomError("id", "must be letters and digits")
    return value


OwnId = Annotated[str, Field(max_length=limits.ID_MAX_CHARS, min_length=1), AfterValidator(_own_id)]
