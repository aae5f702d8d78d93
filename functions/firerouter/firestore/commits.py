"""Writes to Firestore, which all stores use: commits, and single writes that are sent once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from google.api_core import exceptions
from google.api_core.retry import AsyncRetry, if_exception_type
from google.cloud.firestore import AsyncDocumentReference
from google.cloud.firestore_v1.types import WriteResult

from .batch import Batch
from .errors import mapped
from .raw import client_of

_PASSING: Final = if_exception_type(exceptions.ServiceUnavailable, exceptions.Aborted)
FIRST_PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 1.0


class Writes(Protocol):
    """Our own Batch, or the client's AsyncWriteBatch."""

    async def commit(
        self, retry: AsyncRetry | None = ..., timeout: float | None = ...
    ) -> list[WriteResult]: ...


async def commit(batch: Writes, within_s: float) -> list[WriteResult]:
    """Commit all writes of a batch, or none of them, and return their results.

    The client may send a commit twice, and both may be applied, so guard writes to counters.

    Raises:
        Conflict: A write's guard failed, perhaps because this commit was already applied.
        NotStorable, Unavailable, Forbidden: See `errors`.
    """
    retry = AsyncRetry(
        predicate=_PASSING, initial=FIRST_PAUSE_S, maximum=PAUSE_MAX_S, timeout=within_s
    )
    with mapped():
        return await batch.commit(retry=retry, timeout=within_s)


async def put(
    reference: AsyncDocumentReference,
    document: Mapping[str, object],
    *,
    merge: bool = False,
    within_s: float,
) -> WriteResult:
    """Write one document. It is sent only once, so it needs no guard.

    Args:
        reference: Where the document is.
        document: Its fields.
        merge: Whether fields that are not given stay as they are.
        within_s: The deadline, in seconds.

    Raises:
        FirestoreError: See `errors`.
    """
    batch = Batch(client_of(reference))
    batch.set(reference, document, merge=merge)
    with mapped():
        (result,) = await batch.commit(timeout=within_s)
    return result


async def create(
    reference: AsyncDocumentReference, document: Mapping[str, object], *, within_s: float
) -> WriteResult:
    """Write a document that must not exist yet. It is sent only once.

    Raises:
        AlreadyExists: It exists. Other FirestoreErrors: see `errors`.
    """
    batch = Batch(client_of(reference))
    batch.create(reference, document)
    with mapped():
        (result,) = await batch.commit(timeout=within_s)
    return result
