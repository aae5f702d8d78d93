"""OpenRouter's annotations: what it extracted from files, collected from an answer's chunks. Pure.

If an annotation is sent back with a later request, the file is not parsed and billed again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from .. import limits
from .json_fields import as_list


class FileAnnotations:
    """Annotations of files, unchanged, as OpenRouter wants them back."""

    def __init__(self, max_bytes: int = limits.READINGS_MAX_BYTES) -> None:
        self._all: dict[str, str] = {}  # JSON by the file's hash
        self._size_bytes = 0
        self._max_bytes = max_bytes

    @property
    def all(self) -> Mapping[str, str]:
        """The JSON of each annotation by its file's hash; empty if they are too long to store."""
        return self._all if self._size_bytes <= self._max_bytes else {}

    def add(self, annotations: object) -> None:
        """Add the annotations of files among a chunk's `annotations`, each file once."""
        for annotation in as_list(annotations):
            match annotation:
                case {"type": "file", "file": {"hash": str(hash_), "content": list()}}:
                    if hash_ in self._all or self._size_bytes > self._max_bytes:
                        continue
                    self._all[hash_] = json.dumps(annotation)
                    self._size_bytes += len(self._all[hash_]) + 2
