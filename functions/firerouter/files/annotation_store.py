"""The annotations of files in Firestore, so that no PDF is parsed, and paid for, twice.

They go back to OpenRouter with the answer that they came with, so that it does not parse the file
again. If they are lost, it does, and nothing else happens.
"""

from __future__ import annotations

import asyncio
import json

from google.cloud.firestore import AsyncDocumentReference

from .. import log
from ..contract import Json, StoredAnnotations
from ..firestore import FirestoreError, get


async def fetch_annotations(
    conversation: AsyncDocumentReference, stored: StoredAnnotations
) -> tuple[Json, ...]:
    """Return annotations as OpenRouter gave them, or none if they cannot be read."""
    transcript = conversation.collection("transcript")
    try:
        snapshots = await asyncio.gather(
            *(get(transcript.document(name)) for name in stored.documents)
        )
        pieces = [(snapshot.to_dict() or {}).get("reading", "") for snapshot in snapshots]
        # some megabytes: not on the event loop
        annotations = await asyncio.to_thread(json.loads, "".join(map(str, pieces)))
    except (FirestoreError, ValueError) as error:
        cause = error.cause if isinstance(error, FirestoreError) else type(error).__name__
        log.warning("reading_not_found", type=cause)
        return ()
    return tuple(annotations)
