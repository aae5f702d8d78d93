"""The options that a caller, or a feature, may set for generated images. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import Matches

# the parameters of OpenRouter's image API that Firerouter itself sets
OWNED_PARAMETERS: Final = frozenset(
    {"prompt", "input_references", "n", "size", "resolution", "aspect_ratio", "quality"}
)


AspectRatio = Annotated[
    str,
    Matches(
        r"(auto|[0-9]{1,2}(\.[0-9]{1,2})?:[0-9]{1,2}(\.[0-9])?)",
        "must be auto or a ratio such as 16:9",
    ),
]
Size = Annotated[
    str,
    Matches(
        r"([0-9](\.[0-9])?K|[0-9]{3,4}|[0-9]{2,5}x[0-9]{2,5})",
        "must be a tier such as 2K or pixels such as 1024x1536",
    ),
]


class ImageOptions(Record):
    """What generated images should be like. Unset fields are left to the model."""

    aspect_ratio: AspectRatio | None = None
    """Width to height, such as `16:9`, or `auto`."""
    size: Size | None = None
    """A tier such as `2K`, or pixels such as `1024x1536`, which determine the shape: they exclude
    `aspectRatio`."""
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] | None = None
    """How much effort goes into an image."""
    n: Annotated[int, Field(ge=1, le=limits.IMAGES_MAX)] | None = None
    """How many images, for features whose `imageApi` is `images`. A chat model decides itself how
    many it generates."""
    seed: Annotated[int, Field(ge=0, le=limits.SEED_MAX)] | None = None
    """Makes the same request more likely to give the same image."""

    def without(self, names: Collection[str]) -> ImageOptions:
        """Return the options without these, which are named as on the wire."""
        given = self.model_dump(by_alias=True)
        return ImageOptions.model_validate({n: v for n, v in given.items() if n not in names})

    @model_validator(mode="after")
    def _one_shape(self) -> ImageOptions:
        if self._pixels and self.aspect_ratio:
            raise PydanticCustomError(
                "shape", "must have either a size in pixels or aspectRatio, not both"
            )
        return self

    @property
    def _pixels(self) -> bool:
        return "x" in (self.size or "")

    def over(self, other: ImageOptions | None) -> ImageOptions:
        """Return these options, with unset ones taken from `other`."""
        below = other.model_dump(exclude_none=True) if other else {}
        if self._pixels:  # they determine the shape as well
            below.pop("aspect_ratio", None)
        if other is not None and other._pixels and self.aspect_ratio:
            del below["size"]
        return ImageOptions(**{**below, **self.model_dump(exclude_none=True)})
