"""What an answer holds besides its text: calls, thoughts, citations, what was read of files.

Fragments of a call share an `index`; its id and name come first, its arguments in pieces. A
provider may send whole calls in one chunk, none of the indexes, or the pieces of several by turns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .. import limits


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


def clean(text: str) -> str:
    """Without the half of a character, which no document holds."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
