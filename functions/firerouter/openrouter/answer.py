"""One answer, as far as it has arrived. Pure: a reader fills it in, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from ..errors import AnswerTooLong, EmptyAnswer, StreamCut
from .citations import Citation, CitationCollector
from .file_annotations import FileAnnotations
from .images import ImageCollector
from .json_fields import Json, as_name
from .limits import OpenRouterLimits
from .reasoning import ReasoningCollector
from .tool_calls import ToolCallCollector
from .usage import Usage, read_usage

TextKind = Literal["text", "reasoning"]
DeltaKind = Literal[
    "text", "reasoning", "tool_call", "citation", "image", "partial_image", "heartbeat"
]


class Delta(NamedTuple):
    """One piece of an answer.

    `text` is set for text and reasoning, `value` for the other kinds. Each of those is complete,
    except for a partial image, which the next one replaces.
    """

    kind: DeltaKind
    text: str = ""
    value: Mapping[str, Any] = {}  # JSON


HEARTBEAT: Final = Delta("heartbeat")  # something arrived that can't be shown yet


class Answer:
    """The answer so far. `finish_reason` is set once it has ended without a failure."""

    def __init__(self, model: str, upstream_id: str | None, limits: OpenRouterLimits) -> None:
        self.model = model
        self.provider: str | None = None
        self.upstream_id = upstream_id
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.tool_calls: list[dict[str, str]] = []  # once all of them are complete
        self.images = ImageCollector(limits)
        self.has_split_characters = False  # rare, and looking for them takes time
        self._text: dict[TextKind, list[str]] = {"text": [], "reasoning": []}
        self._first_halves: dict[TextKind, str] = {}
        self._chars = 0
        self._chars_max = limits.chars_max
        self._tool_calls = ToolCallCollector(limits)
        self._citations = CitationCollector(limits)
        self._file_annotations = FileAnnotations(limits.file_annotations_max_bytes)
        self._reasoning_details = ReasoningCollector(limits.reasoning_details_max_bytes)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text["text"])

    @property
    def reasoning(self) -> str:
        """The reasoning so far, as text."""
        return "".join(self._text["reasoning"])

    @property
    def chars(self) -> int:
        """The number of characters so far: text, reasoning and tool arguments."""
        return self._chars + self._tool_calls.chars

    @property
    def citations(self) -> list[Citation]:
        """The citations so far."""
        return self._citations.all

    @property
    def file_annotations(self) -> Mapping[str, str]:
        """OpenRouter's annotations of files: JSON by the file's hash."""
        return self._file_annotations.all

    @property
    def reasoning_details(self) -> list[Json]:
        """The reasoning in the form in which its provider wants it back."""
        return self._reasoning_details.all

    @property
    def reasoning_details_too_long(self) -> bool:
        """Whether there are no `reasoning_details` because they are too long to be sent back."""
        return self._reasoning_details.too_long

    def set_origin(self, chunk: Json) -> None:
        """Set the provider, the id and the model from one of the first chunks."""
        if self.provider is None:
            self.provider = as_name(chunk.get("provider"))
            self.upstream_id = self.upstream_id or as_name(chunk.get("id"))
            self.model = as_name(chunk.get("model")) or self.model

    def set_usage(self, usage: object) -> None:
        """Set the usage. If it arrives more than once, the last one counts, and the last cost."""
        new, old = read_usage(usage), self.usage
        if new is not None and new.cost_nano_usd is None and old is not None:
            new = replace(new, cost_nano_usd=old.cost_nano_usd, byok_nano_usd=old.byok_nano_usd)
        self.usage = new or old

    def add_text(self, kind: TextKind, text: str) -> Delta:
        """Append text or reasoning. Raises AnswerTooLong."""
        if self.has_split_characters:
            text = self._join_surrogates(kind, text)
        self._text[kind].append(text)
        self._chars += len(text)
        if self._chars > self._chars_max:
            raise AnswerTooLong
        return Delta(kind, text)

    def add_reasoning_details(self, details: object, *, whole: bool) -> None:
        """Add a chunk's `reasoning_details`."""
        self._reasoning_details.add(details, whole=whole)

    def add_tool_calls(self, fragments: object) -> Iterator[Delta]:
        """Add a chunk's `tool_calls`. Raises UpstreamError."""
        if self._tool_calls.add(fragments):
            yield HEARTBEAT

    def add_file_annotations(self, annotations: object) -> None:
        """Add the annotations of files among a chunk's `annotations`."""
        self._file_annotations.add(annotations)

    def add_citations(self, annotations: object) -> Iterator[Delta]:
        """Add the citations among a chunk's `annotations`, and yield the new ones."""
        for citation in self._citations.add(annotations):
            yield Delta("citation", value=citation)

    def finish_tool_calls(self) -> Iterator[Delta]:
        """Yield the tool calls, once: they are complete when the answer has finished."""
        if self.tool_calls or not self._tool_calls.any:
            return
        self.tool_calls = self._tool_calls.finish()
        for call in self.tool_calls:
            yield Delta("tool_call", value=call)

    def finish(self, *, done: bool) -> list[Delta]:
        """Validate the answer at its end, and return the deltas that are complete only now.

        Args:
            done: Whether OpenRouter marked the end (`[DONE]`, or a whole document).

        Raises:
            StreamCut: The answer is incomplete.
            EmptyAnswer: The answer is empty.
            UpstreamMalformed: A tool call has no name.
        """
        if self.finish_reason is None and not done:
            raise StreamCut
        self.finish_reason = self.finish_reason or "stop"
        if self._tool_calls.any and self.finish_reason == "stop":
            self.finish_reason = "tool_calls"  # not all providers say so
        has_content = self._chars or self._tool_calls.any or self.images.count
        if not has_content and self.finish_reason == "stop":
            raise EmptyAnswer
        return list(self.finish_tool_calls())

    def _join_surrogates(self, kind: TextKind, text: str) -> str:
        """Prepend a half character that was held back; hold back one at the end of `text`."""
        text = self._first_halves.pop(kind, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._first_halves[kind] = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
