"""Read the chunks of an answer, either of a chat completion or of the image API.

The oddities of a chat's stream (OpenRouter's streaming page, recordings): the usage may arrive in a
chunk without a choice, or with a choice that repeats the finish reason or has none; it may arrive
twice, or never. `choices` may be empty or null. An error may be the first event or follow text,
with usage beside it. A 200 may hold JSON instead of a stream: an error, or a complete answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..errors import CutAtLength, UpstreamMalformed
from .answer import HEARTBEAT, Answer, Delta
from .failures import from_event
from .json_fields import Json, as_list
from .limits import OpenRouterLimits
from .reasoning import texts_of


class ChunkReader(Protocol):
    """Fills in an answer, chunk by chunk."""

    def read(self, chunk: object, *, whole: bool) -> Iterator[Delta]:
        """Add a chunk to the answer, and yield what is new.

        Args:
            chunk: One JSON document.
            whole: Whether it is the complete answer, which was not streamed.

        Raises:
            UpstreamError: The chunk reports a failure, is malformed, or exceeds a limit.
        """
        ...


class ChatReader:
    """Reads the chunks of a chat completion."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._has_plain_reasoning = False

    def read(self, chunk: object, *, whole: bool) -> Iterator[Delta]:
        """Add a chunk, or a complete completion."""
        if not isinstance(chunk, dict):
            raise UpstreamMalformed
        self._answer.set_origin(chunk)
        _read_usage_and_error(self._answer, chunk)
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            raise UpstreamMalformed
        for choice in choices:
            yield from self._read_choice(choice, whole=whole)

    def _read_choice(self, choice: object, *, whole: bool) -> Iterator[Delta]:
        if not isinstance(choice, dict):
            raise UpstreamMalformed
        if isinstance(choice.get("index"), int) and choice["index"] > 0:
            return  # of a second answer, which nobody asked for
        delta = choice.get("message" if whole else "delta")
        if isinstance(delta, dict):
            yield from self._read_delta(delta, whole=whole)
        if choice.get("error"):
            _read_error(self._answer, choice["error"])
        if reason := choice.get("finish_reason"):
            self._answer.set_finish_reason(reason)

    def _read_delta(self, delta: Json, *, whole: bool) -> Iterator[Delta]:
        answer = self._answer
        reasoning = delta.get("reasoning") or delta.get("reasoning_content")
        details = delta.get("reasoning_details")
        if isinstance(reasoning, str) and reasoning:
            self._has_plain_reasoning = True
            yield answer.add_text("reasoning", reasoning)
        elif details and not self._has_plain_reasoning:  # else it has been shown
            for text in texts_of(details):
                yield answer.add_text("reasoning", text)
        if isinstance(content := delta.get("content"), str) and content:
            yield answer.add_text("text", content)
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            yield answer.add_refusal(refusal)
        if details:
            answer.add_reasoning_details(details, whole=whole)
        if fragments := delta.get("tool_calls") or delta.get("function_call"):
            yield from answer.add_tool_calls(fragments)
        annotations = delta.get("annotations")
        if annotations:
            answer.add_file_annotations(annotations)
        if images := delta.get("images"):
            for image in answer.images.add_all(images):
                yield Delta("image", value=image)
        if annotations:
            yield from answer.add_citations(annotations)


class ImageReader:
    """Reads the events of the image API.

    `partial_image` events may precede an image, depending on the provider. A `completed` event has
    a complete image, and one of them has the usage. OpenRouter bills at the end, all or nothing.
    Providers that do not stream send one JSON document instead.
    """

    def __init__(self, answer: Answer, image_count: int, limits: OpenRouterLimits) -> None:
        self._answer = answer
        self._image_count = image_count  # how many were requested
        self._partial_images = 0
        self._partial_images_max = limits.partial_images_max

    def read(self, chunk: object, *, whole: bool) -> Iterator[Delta]:
        """Add an event, or the complete document."""
        if not isinstance(chunk, dict):
            raise UpstreamMalformed
        _read_usage_and_error(self._answer, chunk)
        kind = str(chunk.get("type"))
        if whole:
            for image in as_list(chunk.get("data")):
                yield self._read_image(image)
        elif kind.endswith(".partial_image"):
            yield self._read_partial_image(chunk)
        elif kind.endswith(".completed"):
            yield self._read_image(chunk)
        if self._answer.usage is not None and self._answer.images.count >= self._image_count:
            self._answer.set_finish_reason("stop")  # whether `[DONE]` arrives or not

    def _read_image(self, image: object) -> Delta:
        data = image.get("b64_json") if isinstance(image, dict) else None
        return Delta("image", value=self._answer.images.add(data))

    def _read_partial_image(self, event: Json) -> Delta:
        self._partial_images += 1
        if self._partial_images > self._partial_images_max:
            return HEARTBEAT  # a sign of life, not an error: the complete images are still to come
        return Delta("partial_image", value=self._answer.images.read(event.get("b64_json")))


def _read_usage_and_error(answer: Answer, chunk: Json) -> None:
    """Set the usage, then raise the error: a chunk may have both. Raises UpstreamError."""
    if chunk.get("usage"):
        answer.set_usage(chunk["usage"])
    if chunk.get("error"):
        _read_error(answer, chunk["error"])


def _read_error(answer: Answer, error: object) -> None:
    """Raise the error, but for one that says that the answer was cut at its length."""
    failure = from_event(error)
    if not isinstance(failure, CutAtLength):
        raise failure
    answer.set_finish_reason("length")
