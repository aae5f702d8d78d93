"""Firestore's commits and their failures, as every store of ours takes them."""

from __future__ import annotations

from typing import Any, Final, Protocol

from google.api_core import exceptions
from google.api_core.retry import AsyncRetry, if_exception_type

# Firestore did not answer, or would not: nobody's mistake that we could put right
AWAY: Final = (TimeoutError, exceptions.GoogleAPIError)
# what a write was guarded by has failed: it was applied before, or the document has moved on.
# These are AWAY as well, so they are caught first.
GUARD_FAILED: Final = (
    exceptions.FailedPrecondition,
    exceptions.NotFound,
    exceptions.AlreadyExists,
)
# what Firestore will not hold: too large a document, a value that its client can not write
NOT_STORABLE: Final = (exceptions.InvalidArgument, ValueError, TypeError)
_PASSING: Final = if_exception_type(exceptions.ServiceUnavailable, exceptions.Aborted)


class Batch(Protocol):
    """Firestore's AsyncWriteBatch."""

    async def commit(self, retry: Any = ..., timeout: float | None = ...) -> list[Any]: ...


async def commit(batch: Batch, within_s: float) -> list[Any]:
    """The write results. It may be sent, and so applied, twice: guard what moves a counter."""
    retry = AsyncRetry(predicate=_PASSING, initial=0.1, maximum=1.0, timeout=within_s)
    return await batch.commit(retry=retry, timeout=within_s)
