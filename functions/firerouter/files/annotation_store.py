"""What OpenRouter read of a PDF, kept beside the answer, so that it is not read again for money.

    users/{uid}/conversations/{id}/transcript/{message}.{n}   {reading}: JSON text, a piece of it

The answer's message says which documents those are. Sent back with it, OpenRouter takes them in
place of another look at the file. One that is gone costs that look, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import limits, log
from ..firestore import AWAY


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one answer. pieces: JSON text by document."""

    pieces: Mapping[str, str]

    def to_document(self) -> dict[str, Any]:
        """As the message keeps it."""
        size = sum(map(len, self.pieces.values()))
        return {"documents": list(self.pieces), "bytes": size}


def reading_of(message: str, files: list[str]) -> Reading | None:
    """files: the JSON of each annotation, in ASCII."""
    text, most = f"[{','.join(files)}]", limits.READING_PART_CHARS
    if not files or len(text) > limits.READINGS_MAX_BYTES:
        return None
    pieces = [text[begin : begin + most] for begin in range(0, len(text), most)]
    return Reading({f"{message}.{number}": piece for number, piece in enumerate(pieces)})


def size_of(document: object) -> int | None:
    """In bytes; None where a message keeps none that can be read."""
    match document:
        case {"documents": [*_], "bytes": int() as size} if 0 < size <= limits.READINGS_MAX_BYTES:
            return size
    return None


async def fetch(conversation: Any, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The annotations, as OpenRouter gave them; none where they can not be had.

    conversation: Firestore's reference.
    """
    references = [conversation.collection("transcript").document(n) for n in document["documents"]]
    try:
        found = await asyncio.gather(
            *(reference.get(retry=None, timeout=limits.READ_S) for reference in references)
        )
        text = "".join((snapshot.to_dict() or {}).get("reading", "") for snapshot in found)
        # some megabytes: not on the loop
        annotations: list[dict[str, Any]] = await asyncio.to_thread(json.loads, text)
    except (*AWAY, ValueError) as error:
        log.warning("reading_not_found", type=type(error).__name__)
        return []
    return annotations
