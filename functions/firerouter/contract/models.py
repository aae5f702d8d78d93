"""The data of `get_available_models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from .. import limits
from .base import Record
from .fields import (
    Usd,
)

Capability = Literal[
    "tools",
    "structuredOutputs",
    "json",
    "reasoning",
    "temperature",
    "webSearch",
    "vision",
    "files",
    "audio",
    "video",
    "imageOutput",
    "audioOutput",
    "videoOutput",
    "embeddings",
]


class GetAvailableModels(Record):
    """The data of `get_available_models`; what is not given does not filter.

    search: words, each of which the id, the name or the description has.
    max_prompt_price, max_completion_price: US dollars per million tokens.
    min_context: tokens. free: true for free models alone, false for the others alone.
    sort: by name; by price, the cheapest first; the longest context or the newest first.
    """

    search: Annotated[str, Field(max_length=limits.SEARCH_MAX_CHARS)] = ""
    capabilities: Annotated[list[Capability], Field(max_length=20)] = Field(default_factory=list)
    max_prompt_price: Usd | None = None
    max_completion_price: Usd | None = None
    min_context: Annotated[int, Field(ge=0, le=2**53)] | None = None
    provider: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    free: bool | None = None
    output_modality: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    sort: Literal["name", "price", "context", "newest"] = "name"
    page_size: Annotated[int, Field(ge=1, le=limits.MODELS_PER_PAGE_MAX)] = limits.MODELS_PER_PAGE
    page_token: Annotated[str, Field(max_length=limits.PAGE_TOKEN_MAX_CHARS)] | None = None
