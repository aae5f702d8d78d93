"""The images of an answer: base64 of a known type, and no more of them than an answer may have.

What a type says is held against the first bytes; an address is never fetched.
"""

from __future__ import annotations

from typing import Any

from .. import limits
from ..contract import KINDS, decode_base64
from ..errors import ImagesTooLarge, ImageUnreadable

ReceivedImage = dict[str, str]  # contentType, and data in base64
HEAD_CHARS = 64  # of base64: more than all types' beginnings


class ImageCollector:
    """Those of one answer. It does not hold them: they are large."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: set[int] = set()
        self._size = 0

    def add(self, images: Any) -> list[ReceivedImage]:
        """The new ones of a chunk's `images`: a stream may repeat one. Raises as `one`."""
        found = list[ReceivedImage]()
        for image in images if isinstance(images, list) else ():
            data = _data(image)
            if (mark := hash(data)) not in self._seen:
                found.append(self.one(data))
                self._seen.add(mark)
        return found

    def one(self, data: Any) -> ReceivedImage:
        """By its base64. Raises ImagesTooLarge, ImageUnreadable."""
        picture = read(data)
        self.count += 1
        self._size += _size(picture)
        if self.count > limits.IMAGES_MAX or self._size > limits.IMAGES_MAX_BYTES:
            raise ImagesTooLarge(max=limits.IMAGES_MAX, maxBytes=limits.IMAGES_MAX_BYTES)
        return picture


def _data(image: Any) -> str:
    match image:
        case {"image_url": {"url": str(url)}} if url.startswith("data:"):
            return url.partition(";base64,")[2]
    raise ImageUnreadable


def read(data: Any) -> ReceivedImage:
    """Raises ImagesTooLarge, ImageUnreadable."""
    head = decode_base64(data[:HEAD_CHARS]) if isinstance(data, str) else None
    for type_, kind in KINDS.items():
        if kind.modality == "image" and head and kind.matches(head):
            picture = {"contentType": type_, "data": data}
            if _size(picture) > limits.IMAGE_MAX_BYTES:
                raise ImagesTooLarge(max=limits.IMAGES_MAX, maxBytes=limits.IMAGE_MAX_BYTES)
            return picture
    raise ImageUnreadable


def _size(picture: ReceivedImage) -> int:
    return len(picture["data"]) * 3 // 4
