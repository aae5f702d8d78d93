"""Tool calls, collected from the chunks of an answer."""

from __future__ import annotations

from typing import Any

from .. import limits
from ..errors import AnswerTooLong, TooManyToolCalls, UpstreamMalformed
from .file_annotations import clean


class ToolCalls:
    """The calls of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: dict[Any, dict[str, str]] = {}
        self._last: Any = None
        self.size = 0  # characters of their arguments

    @property
    def any(self) -> bool:
        return bool(self._calls)

    def add(self, fragments: Any) -> bool:
        """Take a chunk's `tool_calls`; whether there were any. Raises UpstreamError."""
        if not isinstance(fragments, list) or not fragments:
            return False
        for fragment in fragments:
            if not isinstance(fragment, dict):
                raise UpstreamMalformed
            self._add(fragment)
        return True

    def _add(self, fragment: dict[str, Any]) -> None:
        index, id_ = fragment.get("index"), fragment.get("id")
        if type(index) is not int:  # a new id begins another call
            index = f"id {id_}" if isinstance(id_, str) and id_ else self._last
        self._last = index
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        if len(self._calls) > limits.TOOL_CALLS_MAX:
            raise TooManyToolCalls(part="toolCalls", max=limits.TOOL_CALLS_MAX)
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(id_, str) and not call["id"]:
            call["id"] = id_[: limits.TOOL_CALL_ID_MAX_CHARS]
        if isinstance(name, str) and not call["name"]:
            call["name"] = name[: limits.NAME_MAX_CHARS]
        if isinstance(arguments, str):
            call["arguments"] += arguments
            self.size += len(arguments)
        if self.size > limits.TOOL_ARGUMENTS_MAX_CHARS:
            raise AnswerTooLong(part="toolCalls")

    def whole(self) -> list[dict[str, str]]:
        """`[{id, name, arguments}]`, each with an id of its own. Raises UpstreamMalformed."""
        made: dict[str, dict[str, str]] = {}
        for at, call in enumerate(self._calls.values()):
            if not call["name"]:
                raise UpstreamMalformed
            id_ = call["id"] if call["id"] and call["id"] not in made else f"call_{at}"
            made[id_] = {name: clean(text) for name, text in {**call, "id": id_}.items()}
        return list(made.values())
