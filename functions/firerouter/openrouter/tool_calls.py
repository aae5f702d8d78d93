"""Tool calls, collected from the chunks of an answer. Pure.

Fragments of a call share an `index`. The id and the name come first, then the arguments in pieces.
Providers deviate from that in every way. They send complete calls in one chunk, omit the index, use
one index for several calls, interleave the pieces of several calls, repeat the id and the name in
each piece, or write the arguments as an object. So a fragment continues the call whose index or id
it has, unless its name shows that another one begins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import orjson

from .. import limits as bounds
from ..errors import AnswerTooLong, TooManyToolCalls, UpstreamMalformed
from .json_fields import Json, without_half_characters
from .limits import OpenRouterLimits

Place = int | str | float  # an `index`; it should be a whole number


@dataclass(slots=True)
class _Call:
    """One call so far."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)  # in pieces, of which there may be thousands

    def is_complete(self) -> bool:
        """Return whether its arguments are an object, which nothing can follow."""
        if not (self.arguments and self.arguments[-1].rstrip().endswith("}")):
            return False
        try:
            return isinstance(orjson.loads("".join(self.arguments)), dict)
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class _Fragment:
    """A piece of a call. What it lacks is None or empty."""

    place: Place | None
    id: str
    name: str
    arguments: str

    def continues(self, call: _Call) -> bool:
        """Return whether this is a piece of a call whose place or id it has."""
        if not (self.name and call.name):  # the name comes with the first piece
            return True
        if self.name != call.name or (self.id and call.id and self.id != call.id):
            return False
        return not self.arguments or not call.is_complete()

    def repeats(self, call: _Call) -> bool:
        """Return whether this is the whole of a call that is complete, once more."""
        same = self.id in ("", call.id) and self.name in ("", call.name)
        return same and call.is_complete() and self.arguments == "".join(call.arguments)


class ToolCallCollector:
    """Collects the calls of one answer, in the order in which they began."""

    def __init__(self, limits: OpenRouterLimits) -> None:
        self._calls: list[_Call] = []
        self._by_place: dict[Place, _Call] = {}  # the newest of each
        self._by_id: dict[tuple[Place | None, str], _Call] = {}  # at a place, and anywhere
        self._last: _Call | None = None
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
        if isinstance(fragments, dict):
            fragments = [fragments] if fragments else []
        if not isinstance(fragments, list) or not fragments:
            return False
        for fragment in fragments:
            if not isinstance(fragment, dict):
                raise UpstreamMalformed
            self._add(_read_fragment(fragment))
        return True

    def _add(self, fragment: _Fragment) -> None:
        call = self._find(fragment)
        if call is not None and fragment.repeats(call):
            return
        if call is None or not fragment.continues(call):
            call = _Call()
            self._calls.append(call)
            if len(self._calls) > self._limits.tool_calls_max:
                raise TooManyToolCalls(part="toolCalls", max=self._limits.tool_calls_max)
        call.id = call.id or fragment.id
        call.name = call.name or fragment.name
        if fragment.arguments:
            call.arguments.append(fragment.arguments)
            self._arguments_chars += len(fragment.arguments)
        if self._arguments_chars > self._limits.tool_arguments_max_chars:
            raise AnswerTooLong(part="toolCalls")
        self._last = call
        if fragment.place is not None:
            self._by_place[fragment.place] = call
        if fragment.id:
            self._by_id[fragment.place, fragment.id] = self._by_id[None, fragment.id] = call

    def _find(self, fragment: _Fragment) -> _Call | None:
        """Return the call that a fragment may continue: the one at its place with its id, the last
        one at its place, or without a place the one with its id, or without either the last one."""
        place, id_ = fragment.place, fragment.id
        if place is None:
            return self._by_id.get((None, id_)) if id_ else self._last
        return self._by_id.get((place, id_)) or self._by_place.get(place)

    def finish(self) -> list[dict[str, str]]:
        """Return `[{id, name, arguments}]`, each with a distinct id. Raises UpstreamMalformed."""
        finished: dict[str, dict[str, str]] = {}
        for at, call in enumerate(self._calls):
            if not call.name:
                raise UpstreamMalformed
            id_ = call.id
            while not id_ or id_ in finished:  # two calls may have the same, or one of these
                id_, at = f"call_{at}", at + 1  # noqa: PLW2901
            fields = {"id": id_, "name": call.name, "arguments": "".join(call.arguments)}
            finished[id_] = {name: without_half_characters(text) for name, text in fields.items()}
        return list(finished.values())


def _read_fragment(value: Json) -> _Fragment:
    """Read a fragment. Its name and its arguments may be in `function`, or beside it."""
    nested = value.get("function")
    function = nested if isinstance(nested, dict) else value
    place, id_, name = value.get("index"), value.get("id"), function.get("name")
    return _Fragment(
        place=place if isinstance(place, Place) and not isinstance(place, bool) else None,
        id=str(id_)[: bounds.TOOL_CALL_ID_MAX_CHARS] if isinstance(id_, (str, int)) else "",
        name=name[: bounds.NAME_MAX_CHARS] if isinstance(name, str) else "",
        arguments=_read_arguments(function.get("arguments")),
    )


def _read_arguments(arguments: object) -> str:
    """Return the JSON text of arguments; some providers send the object itself."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments)
