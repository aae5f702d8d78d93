"""Images that a model makes: what an app may ask of them, and what is told and kept of each. Pure.

    users/{uid}/images/{generation}-{n}.png    in Cloud Storage, where they may be stored

An image is told as `{index, contentType, bytes, path?, data?}`. Its `data` is for whoever asks
now: no document has it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record

# of OpenRouter's image API, what Firerouter itself puts into a request
OWNED_PARAMETERS: Final = frozenset(
    {"prompt", "input_references", "n", "size", "resolution", "aspect_ratio", "quality"}
)


class ImageOptions(Record):
    """What images are to be like. size: a tier such as 2K, or pixels such as 1024x1536. n: how many
    of them, through OpenRouter's image API alone."""

    aspect_ratio: (
        Annotated[str, Field(pattern=r"^(auto|[0-9]{1,2}(\.[0-9]{1,2})?:[0-9]{1,2}(\.[0-9])?)$")]
        | None
    ) = None
    size: (
        Annotated[str, Field(pattern=r"^([0-9](\.[0-9])?K|[0-9]{3,4}|[0-9]{2,5}x[0-9]{2,5})$")]
        | None
    ) = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] | None = None
    n: Annotated[int, Field(ge=1, le=limits.IMAGES_MAX)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None

    def without(self, names: Collection[str]) -> ImageOptions:
        """names: as the wire has them."""
        given = self.model_dump(by_alias=True)
        return ImageOptions.model_validate({n: v for n, v in given.items() if n not in names})

    @model_validator(mode="after")
    def _one_shape(self) -> ImageOptions:
        if self._pixels and self.aspect_ratio:
            raise PydanticCustomError("shape", "takes a size in pixels or aspectRatio, not both")
        return self

    @property
    def _pixels(self) -> bool:
        return "x" in (self.size or "")

    def over(self, other: ImageOptions | None) -> ImageOptions:
        """These, and the other ones where these say nothing."""
        below = other.model_dump(exclude_none=True) if other else {}
        if self._pixels:  # they are a shape as well
            below.pop("aspect_ratio", None)
        if other is not None and other._pixels and self.aspect_ratio:
            del below["size"]
        return ImageOptions(**{**below, **self.model_dump(exclude_none=True)})
