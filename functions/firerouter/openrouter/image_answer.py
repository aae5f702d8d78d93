"""The answer of OpenRouter's image API: its events, read as those of a chat are.

`partial_image` events come before an image where the provider sends any, `completed` has a whole
one, one of them the usage. All is billed at the end, or nothing. Providers that do not stream send
one JSON document instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import limits
from ..errors import UpstreamMalformed
from . import usage
from .answer import Answer, Delta
from .failures import from_event
from .images import read


class ImageAnswer(Answer):
    """Images, and no text."""

    def _chunk(self, chunk: Any, holder: str) -> Iterator[Delta]:
        if not isinstance(chunk, dict):
            raise UpstreamMalformed
        if chunk.get("usage"):
            self.usage = usage.read(chunk["usage"]) or self.usage
        if chunk.get("error"):
            raise from_event(chunk["error"])
        if holder == "message":
            data = chunk.get("data")
            for image in data if isinstance(data, list) else ():
                yield from self._whole_image(image)
        elif str(chunk.get("type")).endswith(".partial_image"):
            self._partials += 1
            if self._partials > limits.PARTIAL_IMAGES_MAX:
                yield Delta("")  # no more than that it goes on: the whole ones are paid for
            else:
                yield Delta("partial_image", value=read(chunk.get("b64_json")))
        elif str(chunk.get("type")).endswith(".completed"):
            yield from self._whole_image(chunk)

    def _whole_image(self, image: Any) -> Iterator[Delta]:
        data = image.get("b64_json") if isinstance(image, dict) else None
        yield Delta("image", value=self.pictures.one(data))

    def _end(self) -> None:
        if self.usage is not None and self.pictures.count >= self._makes:
            self.finish_reason = "stop"  # whether `[DONE]` came or not
        super()._end()
