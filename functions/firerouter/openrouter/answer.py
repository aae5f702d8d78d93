"""One answer, as far as it has arrived. Pure: a reader fills it in, chunk by chunk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from ..errors import AnswerTooLong, EmptyAnswer, UpstreamError
from .citations import Citation, CitationCollector
from .file_annotations import FileAnnotations
from .finish_reasons import read_finish_reason
from .images import ImageCollector
from .json_fields import Json, as_name
from .limits import OpenRouterLimits
from .reasoning import ReasoningCollector, plain_detail
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
    """The answer so far. `finish_reason` is set once the model has said why it stopped."""

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
        self._refusal: list[str] = []
        self._failure: UpstreamError | None = None  # that the finish reason is
        self._tool_calls = ToolCallCollector(limits)
        self._citations = CitationCollector(limits)
        self._file_annotations = FileAnnotations(limits.file_annotations_max_bytes)
        self._reasoning_max_bytes = limits.reasoning_details_max_bytes
        self._reasoning_details = ReasoningCollector(self._reasoning_max_bytes)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._text["text"])

    @property
    def reasoning(self) -> str:
        """The reasoning so far, as text."""
        return "".join(self._text["reasoning"])

    @property
    def refusal(self) -> str:
        """The part of the text in which the model refuses to answer."""
        return "".join(self._refusal)

    @property
    def has_ended(self) -> bool:
        """Whether the model has said that it stopped: only the usage may follow."""
        return self.finish_reason is not None or self._failure is not None

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
        if self.reasoning_details_too_long:
            return []
        plain = [plain_detail(self.reasoning)] if self._returns_plain else []
        return self._reasoning_details.all or plain

    @property
    def reasoning_details_too_long(self) -> bool:
        """Whether there are no `reasoning_details` because they are too long to be sent back."""
        plain_bytes = len(json.dumps(self.reasoning)) if self._returns_plain else 0
        return self._reasoning_details.too_long or plain_bytes > self._reasoning_max_bytes

    @property
    def _returns_plain(self) -> bool:
        """Whether the reasoning came as text alone, and goes back with the results of tools."""
        return self._tool_calls.any and not self._reasoning_details.any and bool(self.reasoning)

    def set_origin(self, chunk: Json) -> None:
        """Set the provider, the id and the model from one of the first chunks."""
        if self.provider is None:
            self.provider = as_name(chunk.get("provider"))
            self.upstream_id = self.upstream_id or as_name(chunk.get("id"))
            self.model = as_name(chunk.get("model")) or self.model

    def set_usage(self, usage: object) -> None:
        """Take the usage. Where it comes twice, the last one counts, unless it says nothing."""
        new = read_usage(usage)
        if new is not None:
            self.usage = new if self.usage is None else self.usage.then(new)

    def add_text(self, kind: TextKind, text: str) -> Delta:
        """Append text or reasoning. Raises AnswerTooLong."""
        if self.has_split_characters:
            text = self._join_surrogates(kind, text)
        self._text[kind].append(text)
        self._chars += len(text)
        if self._chars > self._chars_max:
            raise AnswerTooLong
        return Delta(kind, text)

    def add_refusal(self, text: str) -> Delta:
        """Append to a refusal: it is what there is to show. Raises AnswerTooLong."""
        self._refusal.append(text)
        return self.add_text("text", text)

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

    def set_finish_reason(self, reason: object) -> None:
        """Take a choice's `finish_reason`. One that is not `stop` stays, whatever follows."""
        meaning = read_finish_reason(reason)
        if isinstance(meaning, UpstreamError):
            if self.finish_reason != "length":  # it was cut there, as an error beside it said
                self._failure = meaning
        elif meaning is not None and self.finish_reason in (None, "stop"):
            self.finish_reason = meaning

    def finish(self) -> list[Delta]:
        """Validate the answer at its end, and return the deltas that are complete only now.

        Raises:
            UpstreamError: Its finish reason is a failure.
            EmptyAnswer: The answer is empty.
            UpstreamMalformed: A tool call has no name.
        """
        if self._failure is not None:
            raise self._failure
        reason = self.finish_reason or "stop"
        if reason == "stop" and self._tool_calls.any:  # not all providers say so
            reason = "tool_calls"
        elif reason == "stop" and self._refusal:
            reason = "content_filter"
        self.finish_reason = reason
        has_content = self._chars or self._tool_calls.any or self.images.count
        if not has_content and reason in ("stop", "tool_calls"):
            raise EmptyAnswer
        if self.tool_calls or not self._tool_calls.any:
            return []
        self.tool_calls = self._tool_calls.finish()  # complete, now that nothing follows
        return [Delta("tool_call", value=call) for call in self.tool_calls]

    def _join_surrogates(self, kind: TextKind, text: str) -> str:
        """Prepend a half character that was held back; hold back one at the end of `text`."""
        text = self._first_halves.pop(kind, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._first_halves[kind] = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
