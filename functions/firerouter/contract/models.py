"""The request of `get_available_models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .. import limits
from .base import Record
from .fields import ModelId, Usd

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
    """List the models that OpenRouter offers, filtered, sorted and page by page.

    Models of OpenRouter's batch API are left out.
    """

    search: Annotated[str, Field(max_length=limits.SEARCH_MAX_CHARS)] = ""
    """Words that must all occur in a model's id, name, version or description."""
    ids: Annotated[list[ModelId], Field(max_length=limits.MODEL_IDS_MAX)] = Field(
        default_factory=list
    )
    """Only these models, by their ids, or by the `canonicalSlug` that results may carry as
    `model`."""
    capabilities: Annotated[list[Capability], Field(max_length=limits.CAPABILITIES_MAX)] = Field(
        default_factory=list
    )
    """The capabilities that a model must have, all of them."""
    max_prompt_price: Usd | None = None
    """US dollars per million tokens of the prompt. A dynamic price never matches."""
    max_completion_price: Usd | None = None
    """US dollars per million tokens of the completion. A dynamic price never matches."""
    min_context: Annotated[int, Field(ge=0, le=limits.WHOLE_NUMBER_MAX)] | None = None
    """The context length that a model must have at least, in tokens."""
    provider: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    """The author in the id, such as `anthropic`, or by name, such as `Anthropic`."""
    free: bool | None = None
    """`true`: only free models; `false`: only the others."""
    output_modality: Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)] | None = None
    """What a model must generate, such as `text`, `image` or `embeddings`."""
    sort: Literal["name", "price", "context", "newest"] = "name"
    """By name, by price (the cheapest first), by context (the longest first), or the newest
    first."""
    page_size: Annotated[int, Field(ge=1, le=limits.MODELS_PER_PAGE_MAX)] = limits.MODELS_PER_PAGE
    """How many models a page has at most."""
    page_token: Annotated[str, Field(max_length=limits.PAGE_TOKEN_MAX_CHARS)] | None = None
    """The `nextPageToken` of the previous page, with the same filters."""
