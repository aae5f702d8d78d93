"""Reasoning details, collected from an answer's chunks so that they can be sent back. Pure.

Some providers have none, only the text of the reasoning, and refuse the results of tools without
it. That text is a detail of our own kind, which is sent back as the field that it came in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .json_fields import Json, as_list

_TEXTS: Final = {"reasoning.text": "text", "reasoning.summary": "summary"}
_PLAIN: Final = "plain"  # the type of our own detail
_GROWING: Final = frozenset({"text", "summary", "signature"})


class ReasoningCollector:
    """`reasoning_details` as providers want them back: unchanged and in order.

    The pieces of one text share an index, and the last of them has its signature. Encrypted
    reasoning arrives in one piece.
    """

    def __init__(self, max_bytes: int) -> None:
        self._all: list[Json] = []
        self._size_bytes = 0
        self._max_bytes = max_bytes

    @property
    def any(self) -> bool:
        """Whether there are any, too long or not."""
        return bool(self._all) or self.too_long

    @property
    def too_long(self) -> bool:
        """Whether they are too long to be sent back."""
        return self._size_bytes > self._max_bytes

    @property
    def all(self) -> list[Json]:
        """The details; none if they are too long, because providers refuse incomplete ones."""
        return [] if self.too_long else self._all

    def add(self, details: object, *, whole: bool) -> None:
        """Add a chunk's `reasoning_details`.

        Args:
            details: The field, which may be malformed.
            whole: Whether each detail is complete, as in an answer that was not streamed.
        """
        for piece in as_list(details):
            if not isinstance(piece, dict) or self.too_long:
                continue
            if not whole and self._all and _continues(self._all[-1], piece):
                _join(self._all[-1], piece)
                grown = (len(json.dumps(piece[name])) for name in _GROWING & piece.keys())
                self._size_bytes += sum(grown)
            else:
                self._size_bytes += len(json.dumps(piece))
                self._all.append(dict(piece))


def _continues(last: Json, piece: Json) -> bool:
    """Whether this is the next piece of the same text."""
    same = last.get("type") == piece.get("type") and last.get("index") == piece.get("index")
    ids = {last.get("id"), piece.get("id")} - {None}
    return same and len(ids) < 2 and piece.get("type") in _TEXTS


def _join(last: Json, piece: Json) -> None:
    """Append a piece, in place, to the detail that it continues: there may be thousands."""
    name = _TEXTS[str(piece["type"])]
    texts = [text for text in (last.get(name), piece.get(name)) if isinstance(text, str)]
    last |= {key: value for key, value in piece.items() if value not in (None, "")}
    if texts:
        last[name] = "".join(texts)


def plain_detail(text: str) -> Json:
    """Return the detail that stands for reasoning that came as text alone."""
    return {"type": _PLAIN, "text": text}


def reasoning_fields(details: Sequence[Mapping[str, object]]) -> Json:
    """Return the fields in which an assistant's message gives its reasoning back."""
    theirs = [detail for detail in details if detail.get("type") != _PLAIN]
    texts = [detail.get("text") for detail in details if detail.get("type") == _PLAIN]
    plain = "".join(text for text in texts if isinstance(text, str))
    return {
        **({"reasoning": plain} if plain else {}),
        **({"reasoning_details": theirs} if theirs else {}),
    }


def texts_of(details: object) -> Iterator[str]:
    """Yield the texts of a chunk's `reasoning_details`, for a provider that sends them alone."""
    for piece in as_list(details):
        if isinstance(piece, dict):
            text = piece.get(_TEXTS.get(str(piece.get("type")), ""))
            if isinstance(text, str) and text:
                yield text
