"""Firestore's failures: Google's exceptions, mapped in one place to four kinds.

The kinds are mutually exclusive:

    FirestoreError
      Unavailable    Firestore did not answer, or not in time; a retry may help
      Conflict       a write's guard failed: already applied, or the document has changed
      NotStorable    too large, too deep, or of an unsupported type; a retry never helps
      Forbidden      the database is not set up for the functions; an admin has to act

They stay inside the stores: each uses `translated` to choose the error that its callers get.
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
    """Firestore did not answer, or not in time. It is not known whether a write was applied."""


class Conflict(FirestoreError):
    """A write's guard failed: the document exists, does not exist, or has another version."""


class AlreadyExists(Conflict):
    """The document to create already exists."""


class Missing(Conflict):
    """The document to update does not exist."""


class NotStorable(FirestoreError):
    """Firestore will never accept this write: a document is too large, or a value unsupported."""


class Forbidden(FirestoreError):
    """The functions cannot use this database: a role, the database or an index is missing."""


@contextmanager
def mapped(*, reading: bool = False) -> Iterator[None]:
    """Raise the client's exceptions as FirestoreErrors.

    Args:
        reading: Whether the call is a read. A read has no guard, so if something is missing, it is
            the database or an index.
    """
    try:
        yield
    except Exception as error:
        kind = kind_of(error, reading=reading)
        if kind is None:
            raise
        raise kind(type(error).__name__) from None


# The first match counts. The client itself raises ValueError and TypeError to refuse a value.
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
    """Return the kind of one of the client's exceptions; None for any other exception."""
    kind = next((kind for google, kind in _KINDS if isinstance(error, google)), None)
    return Forbidden if reading and kind in (Missing, Conflict) else kind


@contextmanager
def translated(unavailable: type[CallableError], event: str, **fields: str) -> Iterator[None]:
    """Raise the caller's error for a failure of Firestore that the body has not handled.

    Args:
        unavailable: The error that callers get if Firestore did not answer.
        event: The log event, which also has the name of Google's exception.
        fields: More fields of the log event.

    Raises:
        FirestoreForbidden: The database is not set up; a retry does not help.
        Conflict, NotStorable: These pass through: unless the store handles them, they are bugs.
    """
    try:
        yield
    except Unavailable as error:
        log.error(event, type=error.cause, **fields)
        raise unavailable from None
    except Forbidden as error:
        log.error(event, type=error.cause, **fields)
        raise FirestoreForbidden from None
