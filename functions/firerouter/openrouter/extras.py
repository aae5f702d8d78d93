"""What an answer holds besides its text: calls, thoughts, citations, what was read of files.

Fragments of a call share an `index`; its id and name come first, its arguments in pieces. A
provider may send whole calls in one chunk, none of the indexes, or the pieces of several by turns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from .. import limits
from ..errors import AnswerTooLong, TooManyToolCalls, UpstreamMalformed


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
            made[id_] = {name: _clean(text) for name, text in {**call, "id": id_}.items()}
        return list(made.values())


class Thoughts:
    """`reasoning_details` as providers want them back: unchanged and in order.

    Pieces of one text share an index; its signature comes in the last of them. What is encrypted
    comes whole.
    """

    def __init__(self) -> None:
        self._all: list[dict[str, Any]] = []
        self._size = 0

    @property
    def too_long(self) -> bool:
        return self._size > limits.REASONING_DETAILS_MAX_BYTES

    @property
    def all(self) -> list[dict[str, Any]]:
        """None of them where they are too long to be kept: a part of them would be refused."""
        return [] if self.too_long else self._all

    def add(self, details: Any, *, whole: bool) -> None:
        for piece in details if isinstance(details, list) else ():
            if not isinstance(piece, dict) or self.too_long:
                continue
            if not whole and self._all and _goes_on(self._all[-1], piece):
                _join(self._all[-1], piece)
                self._size += sum(len(json.dumps(piece[name])) for name in _GROWING & piece.keys())
            else:
                self._size += len(json.dumps(piece))
                self._all.append(dict(piece))


_TEXTS: Final = {"reasoning.text": "text", "reasoning.summary": "summary"}
_GROWING: Final = frozenset({"text", "summary", "signature"})


def _goes_on(last: dict[str, Any], piece: dict[str, Any]) -> bool:
    """Whether it is the next piece of the same text."""
    same = last.get("type") == piece.get("type") and last.get("index") == piece.get("index")
    ids = {last.get("id"), piece.get("id")} - {None}
    return same and len(ids) < 2 and piece.get("type") in _TEXTS


def _join(last: dict[str, Any], piece: dict[str, Any]) -> None:
    name = _TEXTS[piece["type"]]
    texts = [text for text in (last.get(name), piece.get(name)) if isinstance(text, str)]
    last |= {key: value for key, value in piece.items() if value not in (None, "")}
    if texts:
        last[name] = "".join(texts)


class Citations:
    """The pages that an answer cites, each once."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def add(self, annotations: Any) -> list[dict[str, Any]]:
        """Those of a chunk's `annotations` that are new."""
        made: list[dict[str, Any]] = []
        for annotation in annotations if isinstance(annotations, list) else ():
            citation = _citation(annotation)
            if citation is None or citation in self.all or len(self.all) >= limits.CITATIONS_MAX:
                continue
            self.all.append(citation)
            made.append(citation)
        return made


class Files:
    """What OpenRouter read of the files that it was sent, as it wants it back: unchanged."""

    def __init__(self) -> None:
        self._all: dict[str, str] = {}  # JSON by the file's hash
        self._size = 0

    @property
    def all(self) -> Mapping[str, str]:
        """None of them where they are too long to be kept."""
        return self._all if self._size <= limits.READINGS_MAX_BYTES else {}

    def add(self, annotations: Any) -> None:
        for annotation in annotations if isinstance(annotations, list) else ():
            match annotation:
                case {"type": "file", "file": {"hash": str(hash_), "content": list()}}:
                    if hash_ in self._all or self._size > limits.READINGS_MAX_BYTES:
                        continue
                    self._all[hash_] = json.dumps(annotation)
                    self._size += len(self._all[hash_]) + 2


def _clean(text: str) -> str:
    """Without the half of a character, which no document holds."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _citation(annotation: Any) -> dict[str, Any] | None:
    """`{url, title?, content?, startIndex?, endIndex?}` of a `url_citation`."""
    if not isinstance(annotation, dict) or annotation.get("type") != "url_citation":
        return None
    told = annotation.get("url_citation")
    told = told if isinstance(told, dict) else annotation
    url = told.get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None  # what a client would make a link of
    if len(url) > limits.URL_MAX_CHARS:
        return None
    citation: dict[str, Any] = {"url": _clean(url)}
    for name in ("title", "content"):
        if isinstance(text := told.get(name), str) and text:
            citation[name] = _clean(text[: limits.CITATION_MAX_CHARS])
    begin, end = told.get("start_index"), told.get("end_index")
    if type(begin) is int and type(end) is int and 0 <= begin < end < limits.ANSWER_MAX_CHARS:
        citation |= {"startIndex": begin, "endIndex": end}  # 0, 0 stands for nowhere
    return citation
