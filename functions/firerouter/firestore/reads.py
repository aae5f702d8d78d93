"""Firestore's reads: one deadline, no retry by the client, and our errors.

The client's own retries would go on past our deadline, so each read states `retry=None`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias

from google.cloud.firestore import (
    AsyncClient,
    AsyncCollectionReference,
    AsyncDocumentReference,
    AsyncQuery,
    DocumentSnapshot,
)

from .errors import mapped

Snapshot: TypeAlias = DocumentSnapshot[AsyncDocumentReference]
READ_S: Final = 5.0  # one read of a document or of a page of them


async def get(reference: AsyncDocumentReference, *, within_s: float = READ_S) -> Snapshot:
    """Return a document's snapshot; one that does not exist has `exists` False.

    Raises:
        FirestoreError: See `errors`.
    """
    with mapped():
        return await reference.get(retry=None, timeout=within_s)


async def get_all(
    firestore: AsyncClient,
    references: Sequence[AsyncDocumentReference],
    *,
    within_s: float = READ_S,
) -> list[Snapshot]:
    """Return the snapshots of several documents, read in one call, in the order of `references`."""
    with mapped():
        async with asyncio.timeout(within_s):
            found = firestore.get_all(list(references), retry=None, timeout=within_s)
            by_path = {snapshot.reference.path: snapshot async for snapshot in found}
    return [by_path[reference.path] for reference in references]


async def query(
    query_: AsyncQuery | AsyncCollectionReference, *, within_s: float = READ_S
) -> list[Snapshot]:
    """Return all snapshots of a query that the caller has bounded."""
    with mapped():
        async with asyncio.timeout(within_s):
            return [found async for found in query_.stream(retry=None, timeout=within_s)]
