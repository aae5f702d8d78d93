"""Which providers OpenRouter may use, how fast they are, and what they keep. Pure.

Meanings: OpenRouter's pages "provider-selection", "service-tiers" and "prompt-caching".
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from .. import limits
from ..contract import JsonObject, Matches, Number, Record

Slug = Annotated[
    str,
    Matches(
        r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}",
        "must be a provider's slug, such as anthropic or amazon-bedrock/us",
    ),
]


Slugs = Annotated[list[Slug], Field(max_length=limits.PROVIDERS_MAX)]


Quantization = Annotated[
    str,
    Matches(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}", "must be a quantization level, such as fp8"),
]


UsdText = Annotated[Number, Field(ge=0, le=1_000_000)]


ServiceTier = Literal["auto", "default", "flex", "priority", "fast", "scale", "ultrafast"]


PromptCaching = Literal["off", "5m", "1h"]


_IMAGE_FIELDS: Final = frozenset({"order", "only", "ignore", "allow_fallbacks", "sort", "options"})


class MaxPrice(Record):
    """The highest prices that are accepted: providers that charge more are not used."""

    prompt: UsdText | None = None
    """US dollars per million prompt tokens."""
    completion: UsdText | None = None
    """US dollars per million completion tokens."""
    request: UsdText | None = None
    """US dollars per request."""
    image: UsdText | None = None
    """US dollars per image."""
    audio: UsdText | None = None
    """US dollars per piece of audio."""


class ProviderRouting(Record):
    """Which providers OpenRouter may use, and in which order."""

    order: Slugs | None = None
    """Providers to try first, in this order."""
    only: Slugs | None = None
    """The only providers to use."""
    ignore: Slugs | None = None
    """Providers never to use."""
    allow_fallbacks: bool | None = None
    """Whether other providers may be used if those in `order` fail."""
    require_parameters: bool | None = None
    """Whether to use only providers that support every parameter of the request."""
    data_collection: Literal["allow", "deny"] | None = None
    """`deny`: use only providers that do not store prompts."""
    zdr: bool | None = None
    """Whether to use only endpoints with zero data retention."""
    sort: Literal["price", "throughput", "latency", "exacto"] | None = None
    """What providers are sorted by, instead of balancing the load."""
    quantizations: Annotated[list[Quantization], Field(max_length=limits.PROVIDERS_MAX)] | None = (
        None
    )
    """The quantization levels that are accepted, such as `fp8`."""
    max_price: MaxPrice | None = None
    """The highest prices that are accepted."""
    enforce_distillable_text: bool | None = None
    """Whether to use only models whose output may be used to train others."""
    preferred_min_throughput: Annotated[Number, Field(gt=0, le=100_000)] | None = None
    """Prefer providers of at least this many tokens per second."""
    preferred_max_latency: Annotated[Number, Field(gt=0, le=1_000)] | None = None
    """Prefer providers that begin to answer within this many seconds."""
    options: JsonObject | None = None
    """Options for single providers, by the provider's name."""

    def upstream(self) -> dict[str, object]:
        """Return the routing as OpenRouter's chat API takes it."""
        return self.model_dump(exclude_none=True)

    def image_upstream(self) -> dict[str, object]:
        """Return the part of the routing that OpenRouter's image API takes."""
        return self.model_dump(include=set(_IMAGE_FIELDS), exclude_none=True)

    def not_in_image_api(self) -> list[str]:
        """Return the fields that are set and that the image API would ignore, by wire name."""
        others = self.model_dump(by_alias=True, exclude=set(_IMAGE_FIELDS))
        return [name for name, value in others.items() if value]

    def privacy(self) -> dict[str, object]:
        """Return the part of the routing that applies to any model."""
        return self.model_dump(include={"zdr", "data_collection"}, exclude_none=True)
