"""Tool calls, collected from the chunks of an answer. Pure.

Fragments of a call share an `index`. The id and the name come first, then the arguments in pieces.
A provider may also send complete calls in one chunk, omit the index, or interleave the pieces of
several calls.
"""

from __future__ import annotations

from .. import limits as bounds
from ..errors import AnswerTooLong, TooManyToolCalls, UpstreamMalformed
from .json_fields import Json, as_object, without_half_characters
from .limits import OpenRouterLimits


class ToolCallCollector:
    """Collects the calls of one answer, in the order in which they began."""

    def __init__(self, limits: OpenRouterLimits) -> None:
        self._calls: dict[object, dict[str, str]] = {}
        self._last: object = None
        self._arguments_chars = 0
        self._limits = limits

    @property
    def any(self) -> bool:
        """Whether a call has begun."""
        return bool(self._calls)

    @property
    def chars(self) -> int:
        """How many characters their arguments have so far."""
        return self._arguments_chars

    def add(self, fragments: object) -> bool:
        """Add a chunk's `tool_calls`, and return whether there were any.

        Raises:
            UpstreamMalformed: One of them is not an object.
            TooManyToolCalls: There are too many of them.
            AnswerTooLong: Their arguments are too long.
        """
        if not isinstance(fragments, list) or not fragments:
            return False
        for fragment in fragments:
            if not isinstance(fragment, dict):
                raise UpstreamMalformed
            self._add(fragment)
        return True

    def _add(self, fragment: Json) -> None:
        index, id_ = fragment.get("index"), fragment.get("id")
        if type(index) is not int:  # a new id begins another call
            index = f"id {id_}" if isinstance(id_, str) and id_ else self._last
        self._last = index
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        if len(self._calls) > self._limits.tool_calls_max:
            raise TooManyToolCalls(part="toolCalls", max=self._limits.tool_calls_max)
        function = as_object(fragment.get("function"))
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(id_, str) and not call["id"]:
            call["id"] = id_[: bounds.TOOL_CALL_ID_MAX_CHARS]
        if isinstance(name, str) and not call["name"]:
            call["name"] = name[: bounds.NAME_MAX_CHARS]
        if isinstance(arguments, str):
            call["arguments"] += arguments
            self._arguments_chars += len(arguments)
        if self._arguments_chars > self._limits.tool_arguments_max_chars:
            raise AnswerTooLong(part="toolCalls")

    def finish(self) -> list[dict[str, str]]:
        """Return `[{id, name, arguments}]`, each with a distinct id. Raises UpstreamMalformed."""
        finished: dict[str, dict[str, str]] = {}
        for at, call in enumerate(self._calls.values()):
            if not call["name"]:
                raise UpstreamMalformed
            id_ = call["id"] if call["id"] and call["id"] not in finished else f"call_{at}"
            fields = {**call, "id": id_}
            finished[id_] = {name: without_half_characters(text) for name, text in fields.items()}
        return list(finished.values())
