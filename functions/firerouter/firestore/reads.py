"""Firestore reads, each with a deadline, without the client's retries, and with our errors.

The client's retries would continue past our deadline, so each read passes `retry=None`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
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
Document: TypeAlias = dict[str, object]
READ_S: Final = 5.0  # one read of a document or of a page of them


async def get(
    reference: AsyncDocumentReference,
    *,
    fields: Iterable[str] | None = None,
    within_s: float = READ_S,
) -> Snapshot:
    """Return a document's snapshot; if there is no document, its `exists` is False.

    Args:
        reference: Where the document is.
        fields: The fields to read; all of them by default.
        within_s: The deadline, in seconds.

    Raises:
        FirestoreError: See `errors`.
    """
    with mapped(reading=True):
        return await reference.get(fields, retry=None, timeout=within_s)


async def get_all(
    firestore: AsyncClient,
    references: Sequence[AsyncDocumentReference],
    *,
    fields: Iterable[str] | None = None,
    within_s: float = READ_S,
) -> list[Snapshot]:
    """Return the snapshots of several documents, read in one call, in the order of `references`."""
    with mapped(reading=True):
        async with asyncio.timeout(within_s):
            found = firestore.get_all(list(references), fields, retry=None, timeout=within_s)
            by_path = {snapshot.reference.path: snapshot async for snapshot in found}
    return [by_path[reference.path] for reference in references]


async def query(
    query_: AsyncQuery | AsyncCollectionReference, *, within_s: float = READ_S
) -> list[Snapshot]:
    """Return all snapshots of a query. The caller limits how many there are."""
    with mapped(reading=True):
        async with asyncio.timeout(within_s):
            return [found async for found in query_.stream(retry=None, timeout=within_s)]


async def pages(
    query_: AsyncQuery | AsyncCollectionReference, size: int, *, within_s: float = READ_S
) -> AsyncIterator[list[Snapshot]]:
    """Yield all snapshots of a query, one page at a time.

    A page begins after the last document of the page before, even if that has been deleted.
    """
    page = await query(query_.limit(size), within_s=within_s)
    while page:
        yield page
        if len(page) < size:
            return
        page = await query(query_.limit(size).start_after(page[-1]), within_s=within_s)


async def count(query_: AsyncQuery, *, within_s: float = READ_S) -> int:
    """Return how many documents match a query."""
    with mapped(reading=True):
        async with asyncio.timeout(within_s):
            counting = query_.count()
            # the library annotates `count` as if it returned a class
            ((counted,),) = await counting.get(retry=None, timeout=within_s)  # type: ignore[call-arg]
    return int(counted.value)


def content(snapshot: Snapshot) -> Document:
    """Return a document's fields, or {} if there is no document."""
    return snapshot.to_dict() or {}
