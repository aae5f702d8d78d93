"""Images that a model generated, as results and documents represent them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..contract import Json
from .file import File

_STORED: Final = ("path", "contentType", "bytes")


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One image of an answer.

    Attributes:
        index: Its place among the answer's images.
        size: Its size in bytes.
        path: Where it is stored; None if it is not.
        data: Its bytes in base64, if the caller gets them.
    """

    index: int
    content_type: str
    size: int
    path: str | None = None
    data: str | None = field(default=None, repr=False)

    def to_wire(self) -> Json:
        """Return the image as a caller gets it."""
        image: Json = {"index": self.index, "contentType": self.content_type, "bytes": self.size}
        named = {"path": self.path, "data": self.data}
        return image | {name: value for name, value in named.items() if value is not None}

    def to_file(self) -> File | None:
        """Return the file that it is stored as."""
        return None if self.path is None else File(self.path, self.content_type, self.size)


@dataclass(slots=True)
class GeneratedImages:
    """The images of one generation so far. `ImageStore` adds to them.

    Attributes:
        stores: Whether they may be stored in Cloud Storage.
        inlines: Whether the caller also gets the bytes of small ones.
        storage_failed: Whether one could not be stored.
    """

    stores: bool = True
    inlines: bool = False
    storage_failed: bool = False
    images: list[GeneratedImage] = field(default_factory=list)

    @property
    def files(self) -> list[File]:
        """The files of the images that are stored."""
        return [file for image in self.images if (file := image.to_file()) is not None]


def image_documents(result: Mapping[str, object]) -> list[Json]:
    """Return a result's stored images as a message in Firestore lists them."""
    return [{name: image[name] for name in _STORED} for image in _stored_images(result)]


def without_image_data(result: Mapping[str, object]) -> Json:
    """Return a result as documents store it: without image data, and only with stored images."""
    rest = {name: value for name, value in result.items() if name != "images"}
    images = [
        {name: value for name, value in image.items() if name != "data"}
        for image in _stored_images(result)
    ]
    return {**rest, "images": images} if images else rest


def image_files(result: Mapping[str, object]) -> list[File]:
    """Return the files of a stored result's images."""
    return [
        File(str(image["path"]), str(image["contentType"]), int(str(image["bytes"])))
        for image in _stored_images(result)
    ]


def _stored_images(result: Mapping[str, object]) -> list[Mapping[str, object]]:
    images = result.get("images")
    return [
        image
        for image in (images if isinstance(images, list) else ())
        if isinstance(image, Mapping) and "path" in image
    ]
