"""Reasoning details, collected from the chunks of an answer to be sent back."""

from __future__ import annotations

import json
from typing import Any, Final

from .. import limits


class ReasoningCollector:
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
