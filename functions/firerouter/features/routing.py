"""Where OpenRouter may send a prompt, how fast, and what is kept of it there. Pure.

Meanings: OpenRouter's pages "provider-selection", "service-tiers" and "prompt-caching".
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from .. import limits
from ..contract import JsonObject, Number, Record

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")]


Slugs = Annotated[list[Slug], Field(max_length=limits.PROVIDERS_MAX)]


UsdText = Annotated[Number, Field(ge=0, le=1_000_000)]


ServiceTier = Literal["auto", "default", "flex", "priority", "fast", "scale", "ultrafast"]


PromptCaching = Literal["off", "5m", "1h"]


_OF_IMAGES: Final = frozenset({"order", "only", "ignore", "allow_fallbacks", "sort", "options"})


class MaxPrice(Record):
    """US dollars per million tokens, of the last three per piece: providers that ask more are not
    used."""

    prompt: UsdText | None = None
    completion: UsdText | None = None
    request: UsdText | None = None
    image: UsdText | None = None
    audio: UsdText | None = None


class ProviderRouting(Record):
    """Which providers OpenRouter may use, and in which order. zdr: zero data retention.

    preferred_min_throughput: tokens a second; preferred_max_latency: seconds. options: of each
    provider's own.
    """

    order: Slugs | None = None
    only: Slugs | None = None
    ignore: Slugs | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    sort: Literal["price", "throughput", "latency", "exacto"] | None = None
    quantizations: Slugs | None = None
    max_price: MaxPrice | None = None
    enforce_distillable_text: bool | None = None
    preferred_min_throughput: Annotated[Number, Field(gt=0, le=100_000)] | None = None
    preferred_max_latency: Annotated[Number, Field(gt=0, le=1_000)] | None = None
    options: JsonObject | None = None

    def upstream(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)

    def of_images(self) -> dict[str, Any]:
        """What of it OpenRouter's image API takes."""
        return self.model_dump(include=set(_OF_IMAGES), exclude_none=True)

    def beyond_images(self) -> list[str]:
        """What of it that API would not keep to, by the wire's names."""
        others = self.model_dump(by_alias=True, exclude=set(_OF_IMAGES))
        return [name for name, value in others.items() if value]

    def privacy(self) -> dict[str, Any]:
        """What of it holds for any model."""
        return self.model_dump(include={"zdr", "data_collection"}, exclude_none=True)
