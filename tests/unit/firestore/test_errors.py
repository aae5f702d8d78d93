"""Firestore's failures: each of Google's exceptions has one kind, and each kind one meaning."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions

from firerouter.errors import FirestoreForbidden, LedgerUnavailable
from firerouter.firestore import (
    AlreadyExists,
    Conflict,
    FirestoreError,
    Forbidden,
    Missing,
    NotStorable,
    Unavailable,
    translated,
)
from firerouter.firestore.errors import kind_of, mapped

# Every exception that is not an outage. All others of google.api_core are.
MEANT: dict[type[Exception], type[FirestoreError]] = {
    exceptions.AlreadyExists: AlreadyExists,
    exceptions.NotFound: Missing,
    exceptions.FailedPrecondition: Conflict,
    exceptions.Forbidden: Forbidden,
    exceptions.PermissionDenied: Forbidden,
    exceptions.Unauthorized: Forbidden,
    exceptions.Unauthenticated: Forbidden,
    exceptions.BadRequest: NotStorable,
    exceptions.InvalidArgument: NotStorable,
    exceptions.OutOfRange: NotStorable,
    ValueError: NotStorable,
    TypeError: NotStorable,
    UnicodeEncodeError: NotStorable,
    TimeoutError: Unavailable,
}
KINDS = (Unavailable, Conflict, NotStorable, Forbidden)


def subclasses(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from subclasses(child)


GOOGLES = sorted(
    {found for found in subclasses(exceptions.GoogleAPIError) if "google" in found.__module__},
    key=lambda found: found.__name__,
)


def made(class_: type[Exception]) -> Exception:
    """An exception of this class, without its constructor: some take arguments of their own."""
    return class_.__new__(class_)


@pytest.mark.parametrize("class_", [*MEANT, *GOOGLES], ids=lambda class_: class_.__name__)
def test_every_exception_of_googles_has_one_kind(class_: type[Exception]) -> None:
    kind = kind_of(made(class_))
    assert kind is MEANT.get(class_, Unavailable)
    assert kind is not None
    assert sum(issubclass(kind, one) for one in KINDS) == 1, "the kinds exclude each other"


def test_there_are_as_many_exceptions_as_ever() -> None:
    assert len(GOOGLES) > 30


@pytest.mark.parametrize("class_", [*MEANT, *GOOGLES], ids=lambda class_: class_.__name__)
def test_a_read_has_no_guard_that_could_fail(class_: type[Exception]) -> None:
    kind = kind_of(made(class_), reading=True)
    missing = class_ in (exceptions.NotFound, exceptions.FailedPrecondition)
    assert kind is (Forbidden if missing else MEANT.get(class_, Unavailable))


@pytest.mark.parametrize("error", [KeyError("x"), AssertionError(), OSError()])
def test_an_exception_of_anybody_elses_passes_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, mapped():
        raise error
    assert raised.value is error


def test_of_googles_exception_its_name_alone_is_kept() -> None:
    with pytest.raises(Unavailable) as raised, mapped():
        raise exceptions.ServiceUnavailable("a canary")  # type: ignore[no-untyped-call]
    assert raised.value.cause == "ServiceUnavailable"
    assert "canary" not in str(raised.value)
    assert raised.value.__suppress_context__


TOLD: list[tuple[FirestoreError, type[Exception]]] = [
    (Unavailable("X"), LedgerUnavailable),
    (Forbidden("X"), FirestoreForbidden),
    (Conflict("X"), Conflict),
    (AlreadyExists("X"), AlreadyExists),
    (Missing("X"), Missing),
    (NotStorable("X"), NotStorable),
]


@pytest.mark.parametrize(("error", "told"), TOLD, ids=lambda value: type(value).__name__)
def test_only_an_outage_is_told_as_one(
    error: FirestoreError, told: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(told) as raised, translated(LedgerUnavailable, "x_failed", action="y"):
        raise error
    assert type(raised.value) is told
    lines: list[Any] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    if isinstance(raised.value, FirestoreError):
        assert lines == [], "whoever foresaw it logs it"
    else:
        assert [line["message"] for line in lines] == ["x_failed"]
        assert (lines[0]["type"], lines[0]["action"]) == ("X", "y")


def test_a_missing_role_is_never_retryable() -> None:
    assert not FirestoreForbidden.retryable
    assert LedgerUnavailable.retryable
