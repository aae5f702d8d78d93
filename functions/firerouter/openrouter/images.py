"""Reads the images of an answer, which must be base64 of a known type and within the limits.

The type is determined from the first bytes. A URL is never fetched.
"""

from __future__ import annotations

from typing import Final, TypedDict

from ..contract import KINDS, decode_base64
from ..errors import ImagesTooLarge, ImageUnreadable
from .json_fields import as_list
from .limits import OpenRouterLimits

HEAD_CHARS: Final = 64  # of base64: more than the signature of every type


class ReceivedImage(TypedDict):
    """One image, as OpenRouter sent it."""

    contentType: str
    data: str  # base64


class ImageCollector:
    """Counts the images of one answer. It does not hold them, because they are large."""

    def __init__(self, limits: OpenRouterLimits) -> None:
        self.count = 0
        self._seen: set[int] = set()
        self._size_bytes = 0
        self._limits = limits

    def add_all(self, images: object) -> list[ReceivedImage]:
        """Add a chunk's `images`, and return the new ones: streams may repeat images.

        Raises:
            ImagesTooLarge: There are too many, or they are too large.
            ImageUnreadable: One is not an image of a known type.
        """
        new: list[ReceivedImage] = []
        for image in as_list(images):
            data = _read_data_url(image)
            if (mark := hash(data)) not in self._seen:
                new.append(self.add(data))
                self._seen.add(mark)
        return new

    def add(self, data: object) -> ReceivedImage:
        """Add one image in base64. Raises ImagesTooLarge, ImageUnreadable."""
        image = self.read(data)
        self.count += 1
        self._size_bytes += _size_bytes(image)
        most, most_bytes = self._limits.images_max, self._limits.images_max_bytes
        if self.count > most or self._size_bytes > most_bytes:
            raise ImagesTooLarge(max=most, maxBytes=most_bytes)
        return image

    def read(self, data: object) -> ReceivedImage:
        """Read one image without counting it. Raises ImagesTooLarge, ImageUnreadable."""
        if isinstance(data, str) and (head := decode_base64(data[:HEAD_CHARS])):
            for content_type, kind in KINDS.items():
                if kind.modality == "image" and kind.matches(head):
                    image: ReceivedImage = {"contentType": content_type, "data": data}
                    if _size_bytes(image) > self._limits.image_max_bytes:
                        most, each = self._limits.images_max, self._limits.image_max_bytes
                        raise ImagesTooLarge(max=most, maxBytes=each)
                    return image
        raise ImageUnreadable


def _read_data_url(image: object) -> str:
    match image:
        case {"image_url": {"url": str(url)}} if url.startswith("data:"):
            return url.partition(";base64,")[2]
    raise ImageUnreadable


def _size_bytes(image: ReceivedImage) -> int:
    return len(image["data"]) * 3 // 4
