"""Firestore's commits, as every store of ours makes them."""

from __future__ import annotations

from typing import Final, Protocol

from google.api_core import exceptions
from google.api_core.retry import AsyncRetry, if_exception_type
from google.cloud.firestore_v1.types import WriteResult

from .errors import Conflict, FirestoreError, NotStorable, mapped

_PASSING: Final = if_exception_type(exceptions.ServiceUnavailable, exceptions.Aborted)
FIRST_PAUSE_S: Final = 0.1
PAUSE_MAX_S: Final = 1.0


class Batch(Protocol):
    """Firestore's AsyncWriteBatch."""

    async def commit(
        self, retry: AsyncRetry | None = ..., timeout: float | None = ...
    ) -> list[WriteResult]: ...


async def commit(batch: Batch, within_s: float, *, retried: bool = True) -> list[WriteResult]:
    """Commit all writes of a batch, or none of them, and return their results.

    It may be sent again by the client, and so be applied twice: guard what moves a counter, or
    have it not `retried`.

    Raises:
        Conflict: A write's guard failed. Also where the commit itself was applied before.
        NotStorable, Unavailable, Forbidden: See `errors`.
    """
    retry = AsyncRetry(
        predicate=_PASSING, initial=FIRST_PAUSE_S, maximum=PAUSE_MAX_S, timeout=within_s
    )
    with mapped():
        return await batch.commit(retry=retry if retried else None, timeout=within_s)


# Still caught by stores that do not use `errors` yet. These go when the last of them does.
AWAY: Final = (TimeoutError, exceptions.GoogleAPIError, FirestoreError)
GUARD_FAILED: Final = (
    exceptions.FailedPrecondition,
    exceptions.NotFound,
    exceptions.AlreadyExists,
    Conflict,
)
NOT_STORABLE: Final = (exceptions.InvalidArgument, ValueError, TypeError, NotStorable)
