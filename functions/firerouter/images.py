"""Images that a model makes: what an app may ask of them, and what is told and kept of each. Pure.

    users/{uid}/images/{generation}-{n}.png    in Cloud Storage, where they may be stored

An image is told as `{index, contentType, bytes, path?, data?}`. Its `data` is for whoever asks
now: no document has it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from . import limits
from .records import Record

Image = dict[str, Any]
# of OpenRouter's image API, what Firerouter itself puts into a request
OWNED_PARAMETERS: Final = frozenset(
    {"prompt", "input_references", "n", "size", "resolution", "aspect_ratio", "quality"}
)
_KEPT: Final = ("path", "contentType", "bytes")


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


def chat_parameters(
    options: ImageOptions, given: Mapping[str, Any], *, writes: bool
) -> dict[str, Any]:
    """The parameters of a chat that is to draw. writes: the models write text as well."""
    named = {
        "aspect_ratio": options.aspect_ratio,
        "image_size": options.size,
        "quality": options.quality,
    }
    custom = given.get("image_config")
    config = {
        **(custom if isinstance(custom, dict) else {}),  # its names vary by model
        **{name: value for name, value in named.items() if value is not None},
    }
    return {
        **given,
        "modalities": ["image", "text"] if writes else ["image"],
        **({"image_config": config} if config else {}),
        **({} if options.seed is None else {"seed": options.seed}),
    }


def api_parameters(options: ImageOptions, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of OpenRouter's image API. given: the admin's own, and what else it has of a chat's."""
    return {**given, **options.model_dump(exclude_none=True)}


@dataclass(slots=True)
class Drawn:
    """The images of one generation so far. stored: whether they may lie in Cloud Storage. inline:
    whether small ones come with the call. unkept: there was one that could not be stored."""

    stored: bool = True
    inline: bool = False
    unkept: bool = False
    all: list[Image] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [image["path"] for image in self.all if "path" in image]


def documents_of(result: Mapping[str, Any]) -> list[Image]:
    """What a message keeps of a result's images."""
    images = result.get("images") or ()
    return [{name: image[name] for name in _KEPT} for image in images if "path" in image]


def kept(result: dict[str, Any]) -> dict[str, Any]:
    """A result as documents keep it: with the images that can be had again, by their paths."""
    if "images" not in result:
        return result
    images = [
        {name: value for name, value in image.items() if name != "data"}
        for image in result["images"]
        if "path" in image
    ]
    rest = {name: value for name, value in result.items() if name != "images"}
    return {**rest, **({"images": images} if images else {})}
