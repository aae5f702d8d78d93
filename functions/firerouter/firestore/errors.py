"""Firestore's failures: Google's exceptions, translated once, into four kinds.

The kinds exclude each other:

    FirestoreError
      Unavailable    it did not answer, or not in time; trying again is worth it
      Conflict       a write's guard failed: it was applied before, or the document has moved on
      NotStorable    too large, too deep, or of a type that no document holds; never worth a retry
      Forbidden      the functions' service account lacks a role; an admin has to act

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
    """A call of Firestore that failed. Its `cause` is the name of Google's exception."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Unavailable(FirestoreError):
    """Firestore did not answer, or not in time. Whether a write was applied is not known."""


class Conflict(FirestoreError):
    """A write's guard failed: the document exists, is gone, or is of another version."""


class AlreadyExists(Conflict):
    """A document that was to be created is there already."""


class Missing(Conflict):
    """A document that was to be updated is not there."""


class NotStorable(FirestoreError):
    """Firestore will never take this write: a document too large, or a value it cannot hold."""


class Forbidden(FirestoreError):
    """The functions' service account may not use this database."""


@contextmanager
def mapped() -> Iterator[None]:
    """Raise the client's exceptions as ours."""
    try:
        yield
    except Exception as error:
        kind = kind_of(error)
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


def kind_of(error: Exception) -> type[FirestoreError] | None:
    """Return what an exception of the client means; None for one that is not the client's."""
    return next((kind for google, kind in _KINDS if isinstance(error, google)), None)


@contextmanager
def translated(unavailable: type[CallableError], event: str, **fields: str) -> Iterator[None]:
    """Raise the caller's error for a failure of Firestore that nothing inside has handled.

    Args:
        unavailable: What a caller is told where Firestore did not answer.
        event: What the log is told, with the name of Google's exception.
        fields: What else the log is told.

    Raises:
        FirestoreForbidden: A role is missing; trying again does not help.
        Conflict, NotStorable: As they are: our own mistake, unless the store handles them.
    """
    try:
        yield
    except Unavailable as error:
        log.error(event, type=error.cause, **fields)
        raise unavailable from None
    except Forbidden as error:
        log.error(event, type=error.cause, **fields)
        raise FirestoreForbidden from None
