"""OpenRouter's annotations of files, as Firestore documents store them. Pure.

    users/{uid}/conversations/{id}/transcript/{message}.{n}   {reading}: a piece of their JSON text

The answer's message names those documents and their size, in a field `reading` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract import Json, StoredAnnotations
from ..firestore import cut
from .limits import FileLimits


@dataclass(frozen=True, slots=True)
class AnnotationPieces:
    """The annotations of one answer, ready to be stored: pieces of JSON text by document id."""

    pieces: Mapping[str, str]

    def to_document(self) -> Json:
        """Return the answer's field that refers to them."""
        size = sum(map(len, self.pieces.values()))
        return {"documents": list(self.pieces), "bytes": size}


def split_annotations(
    message_id: str, annotations: Sequence[str], limits: FileLimits
) -> AnnotationPieces | None:
    """Return annotations in pieces, or None if there are none, or too many of them to store.

    Args:
        message_id: The id of the answer that they arrived with.
        annotations: The JSON of each, in ASCII.
        limits: How many bytes are stored, and the size of a piece.
    """
    text = f"[{','.join(annotations)}]"
    if not annotations or len(text) > limits.annotations_max_bytes:
        return None
    pieces = cut(text, limits.annotation_piece_chars)
    return AnnotationPieces(
        {f"{message_id}.{number}": piece for number, piece in enumerate(pieces)}
    )


def stored_annotations_of(document: object) -> StoredAnnotations | None:
    """Return where a message says that its annotations are; None if missing or malformed."""
    match document:
        case {"documents": [*ids], "bytes": int() as size} if size > 0:
            if all(isinstance(id_, str) and id_ and "/" not in id_ for id_ in ids):
                return StoredAnnotations(tuple(ids), size)
    return None
