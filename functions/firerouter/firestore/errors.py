"""Firestore's failures: Google's exceptions, translated once, into four kinds.

The kinds exclude each other:

    FirestoreError
      Unavailable    Firestore did not answer, or not in time; a retry may help
      Conflict       a write's guard failed: it was applied before, or the document has changed
      NotStorable    too large, too deep, or of a type that no document holds; a retry never helps
      Forbidden      the database is not set up for the functions; an admin has to act

They stay below the stores: each store says, by `translated`, which error its callers get.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.api_core import exceptions

from .. import log
from ..callable import CallableError
from ..errors import FirestoreForbidden


class FirestoreError(Exception):
    """A call to Firestore that failed.

    Attributes:
        cause: The name of Google's exception.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Unavailable(FirestoreError):
    """Firestore did not answer, or not in time. Whether a write was applied is not known."""


class Conflict(FirestoreError):
    """A write's guard failed: the document exists, is gone, or has another version."""


class AlreadyExists(Conflict):
    """The document to create already exists."""


class Missing(Conflict):
    """The document to update does not exist."""


class NotStorable(FirestoreError):
    """Firestore will never take this write: a document too large, or a value it cannot hold."""


class Forbidden(FirestoreError):
    """The functions cannot use this database: a role, the database or an index is missing."""


@contextmanager
def mapped(*, reading: bool = False) -> Iterator[None]:
    """Raise the client's exceptions as FirestoreErrors.

    Args:
        reading: The call is a read. It has no guard that could fail: what is said to be missing
            then is the database, or an index.
    """
    try:
        yield
    except Exception as error:
        kind = kind_of(error, reading=reading)
        if kind is None:
            raise
        raise kind(type(error).__name__) from None


# In this order: the first that fits. ValueError and TypeError are the client's own refusals.
_KINDS: Final[tuple[tuple[type[Exception], type[FirestoreError]], ...]] = (
    (exceptions.AlreadyExists, AlreadyExists),
    (exceptions.NotFound, Missing),
    (exceptions.FailedPrecondition, Conflict),
    (exceptions.Forbidden, Forbidden),
    (exceptions.Unauthorized, Forbidden),
    (exceptions.BadRequest, NotStorable),
    (ValueError, NotStorable),
    (TypeError, NotStorable),
    (TimeoutError, Unavailable),
    (exceptions.GoogleAPIError, Unavailable),
)


def kind_of(error: Exception, *, reading: bool = False) -> type[FirestoreError] | None:
    """Return what an exception of the client means; None if it is not one of the client's."""
    kind = next((kind for google, kind in _KINDS if isinstance(error, google)), None)
    return Forbidden if reading and kind in (Missing, Conflict) else kind


@contextmanager
def translated(unavailable: type[CallableError], event: str, **fields: str) -> Iterator[None]:
    """Raise the caller's error for a failure of Firestore that nothing inside has handled.

    Args:
        unavailable: The error that callers get if Firestore did not answer.
        event: The log event, which also holds the name of Google's exception.
        fields: More fields of the log event.

    Raises:
        FirestoreForbidden: The database is not set up; a retry does not help.
        Conflict, NotStorable: Unchanged: they are our own mistake, unless the store handles them.
    """
    try:
        yield
    except Unavailable as error:
        log.error(event, type=error.cause, **fields)
        raise unavailable from None
    except Forbidden as error:
        log.error(event, type=error.cause, **fields)
        raise FirestoreForbidden from None
