"""Images that a model made, as results and documents hold them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Image = dict[str, Any]


_KEPT: Final = ("path", "contentType", "bytes")


@dataclass(slots=True)
class GeneratedImages:
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
