"""Fetches annotations of files from Firestore, so that no PDF is parsed, and billed, twice.

They are sent back to OpenRouter with the answer that they arrived with. If they are lost,
OpenRouter parses the file again, with no other consequence.
"""

from __future__ import annotations

import asyncio

from google.cloud.firestore import AsyncDocumentReference

from .. import log
from ..contract import Json, StoredAnnotations, parse_json
from ..firestore import FirestoreError, get


async def fetch_annotations(
    conversation: AsyncDocumentReference, stored: StoredAnnotations
) -> tuple[Json, ...]:
    """Return annotations as OpenRouter sent them, or none if they can't be read."""
    transcript = conversation.collection("transcript")
    try:
        snapshots = await asyncio.gather(
            *(get(transcript.document(name)) for name in stored.documents)
        )
        pieces = [(snapshot.to_dict() or {}).get("reading", "") for snapshot in snapshots]
        # some megabytes: not on the event loop
        annotations = await asyncio.to_thread(parse_json, "".join(map(str, pieces)))
    except (FirestoreError, ValueError, RecursionError) as error:
        cause = error.cause if isinstance(error, FirestoreError) else type(error).__name__
        log.warning("reading_not_found", type=cause)
        return ()
    known = annotations if isinstance(annotations, list) else []
    return tuple(annotation for annotation in known if isinstance(annotation, dict))
