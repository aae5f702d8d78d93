"""Our encoder against the client's: the same writes, byte for byte, and the same refusals."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any

import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    AsyncClient,
    Increment,
    LastUpdateOption,
)
from google.cloud.firestore_v1.types import CommitRequest, CommitResponse, WriteResult
from hypothesis import given, settings
from hypothesis import strategies as st

from firerouter.firestore import Batch, NotStorable, generated_client

INT64_MAX = 2**63 - 1
NOW = datetime(2026, 11, 28, 12, 30, 15, 123456, tzinfo=UTC)
VALUE = DatetimeWithNanoseconds(2026, 11, 28, nanosecond=123456789, tzinfo=UTC)  # type: ignore[no-untyped-call]


class Colour(StrEnum):
    RED = "red"


@cache
def client() -> AsyncClient:
    return AsyncClient(project="demo-batch", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]


async def sent(write: Callable[[AsyncClient, Any], None], batch: str) -> bytes:
    """Return the commit that our batch, or the client's, sends for these writes."""
    firestore = client()
    requests: list[Any] = []

    async def commit(request: Any, **_: Any) -> CommitResponse:
        requests.append(request if isinstance(request, CommitRequest) else CommitRequest(request))
        return CommitResponse()

    generated_client(firestore).commit = commit  # type: ignore[method-assign, assignment]
    writes: Any = Batch(firestore) if batch == "ours" else firestore.batch()
    write(firestore, writes)
    await writes.commit(retry=None, timeout=1)
    (request,) = requests
    return bytes(CommitRequest.pb(request).SerializeToString(deterministic=True))


async def same(
    ours: Callable[[AsyncClient, Any], None], clients: Callable[[AsyncClient, Any], None]
) -> None:
    """Check that both batches send the same, or both refuse to."""
    try:
        expected = await sent(clients, "the client's")
    except (ValueError, TypeError, AttributeError):
        with pytest.raises(NotStorable):
            await sent(ours, "ours")
    else:
        assert await sent(ours, "ours") == expected


def written(kind: str, document: Any) -> Callable[[AsyncClient, Any], None]:
    """Return what writes a document in one way, into either batch."""

    def write(firestore: AsyncClient, batch: Any) -> None:
        reference = firestore.document("things", "a thing", "in", "it")
        if kind == "merge":
            batch.set(reference, document, merge=True)
        else:
            getattr(batch, kind)(reference, document)

    return write


def stable(value: object) -> str:
    """Return a value's text without addresses, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


KINDS = pytest.mark.parametrize("kind", ["create", "set", "merge", "update"])

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-INT64_MAX - 1, INT64_MAX)
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-7))))
)
plain = st.text(min_size=1).filter(lambda name: name == name.strip())  # see a path given twice
names = plain | st.sampled_from(["a", "b", "_c9", "9", "a.b", "`", "\\", "a\nb", "é"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(names, inner),
    max_leaves=8,
)
special = st.sampled_from([DELETE_FIELD, SERVER_TIMESTAMP]) | st.integers(-9, 9).map(Increment)
documents = st.dictionaries(
    names,
    values | special | st.dictionaries(names, values | special | st.dictionaries(names, special)),
)
paths = st.lists(st.sampled_from(["a", "b", "_c9", "`a.b`", "`\\``", "é"]), min_size=1, max_size=3)
updates = st.dictionaries(
    paths.map(".".join), values | special | st.dictionaries(names, values | special), max_size=5
)


@KINDS
@given(document=documents)
@settings(max_examples=200, deadline=None)
async def test_documents_are_sent_as_the_client_sends_them(kind: str, document: Any) -> None:
    await same(written(kind, document), written(kind, document))


@given(fields=updates)
@settings(max_examples=200, deadline=None)
async def test_updates_by_path_are_sent_as_the_client_sends_them(fields: Any) -> None:
    await same(written("update", fields), written("update", fields))


@KINDS
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"a": {}},
        {"a": []},
        {"a": {"b": {}}},
        {"a": {"b": {"c": Increment(1)}}},
        {"a": {"b": SERVER_TIMESTAMP, "c": 1}},
        {"a": {"b": DELETE_FIELD}},
        {"a": DELETE_FIELD, "b": 1},
        {"b": Increment(1), "a": Increment(2.5), "c": {"d": Increment(-3)}, "at": SERVER_TIMESTAMP},
        {"a": [{"b": {"c": None}}, [1], ()]},
        {"a": VALUE, "b": NOW, "c": NOW.replace(tzinfo=None)},
        {"a": datetime(1, 1, 1, tzinfo=UTC), "b": datetime.max.replace(tzinfo=UTC)},
        {"a": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)},
        {Colour.RED: Colour.RED},
        {"a": True, "b": 1, "c": 1.0, "d": "1", "e": b"1", "f": None},
        # refused
        {"": 1},
        {"a": {"": 1}},
        {1: 2},
        {"a": {1: 2}},
        {"a": INT64_MAX + 1},
        {"a": [-INT64_MAX - 2]},
        {"a": object()},
        {"a": [object()]},
        {"a": [DELETE_FIELD]},
        {"a": [SERVER_TIMESTAMP]},
        {"a": [Increment(1)]},
        {"a": [{"b": DELETE_FIELD}]},
        {"a": bytearray(b"1")},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": [{1: 2}]},
    ],
    ids=stable,
)
async def test_the_same_is_sent_and_the_same_is_refused(kind: str, document: Any) -> None:
    await same(written(kind, document), written(kind, document))


@pytest.mark.parametrize(
    "fields",
    [
        {"a.b": 1, "a.c": {"d": 2}, "b": 3},
        {"a.b": DELETE_FIELD},
        {"a.b.c": Increment(1), "a.b.d": 1},
        {"a": 1, "a.b": 2},
        {"a.b.c": 1, "a": {}},
        {"a.`b.c`.d": 1},
        {"a.b": {"c.d": 1}},
        {"a..b": 1},
        {".a": 1},
        {"a*b": 1},
        {"9.a-b": 1},
        {" a": 1},
    ],
    ids=stable,
)
async def test_the_paths_of_an_update_are_the_clients(fields: Any) -> None:
    await same(written("update", fields), written("update", fields))


def read_version() -> datetime:
    """Return the time of a document as the client reads it, with its nanoseconds."""
    result = WriteResult.pb()()
    result.update_time.FromNanoseconds(1_795_867_200_123_456_789)
    version: datetime = WriteResult.wrap(result).update_time
    return version


@pytest.mark.parametrize("version", [read_version(), NOW])
async def test_guards_are_the_clients(version: datetime) -> None:
    def ours(firestore: AsyncClient, batch: Any) -> None:
        batch.update(firestore.document("a", "b"), {"c": 1}, version=version)
        batch.delete(firestore.document("a", "b"), version=version)
        batch.delete(firestore.document("a", "c"))

    def clients(firestore: AsyncClient, batch: Any) -> None:
        batch.update(firestore.document("a", "b"), {"c": 1}, option=LastUpdateOption(version))
        batch.delete(firestore.document("a", "b"), option=LastUpdateOption(version))
        batch.delete(firestore.document("a", "c"))

    await same(ours, clients)


async def test_increments_are_in_the_given_order() -> None:
    def ours(firestore: AsyncClient, batch: Any) -> None:
        by = {("days", "28", "nanoUsd"): 7, ("count",): 1}
        batch.increment(firestore.document("a", "b"), by, {"expireAt": NOW})

    request = CommitRequest.deserialize(await sent(ours, "ours"))
    (write,) = request.writes
    moved = [(one.field_path, one.increment.integer_value) for one in write.update_transforms]
    assert moved == [("days.`28`.nanoUsd", 7), ("count", 1)]
    assert list(write.update_mask.field_paths) == ["expireAt"]
    assert list(write.update.fields) == ["expireAt"]


async def test_increments_alone_set_no_field() -> None:
    def ours(firestore: AsyncClient, batch: Any) -> None:
        batch.increment(firestore.document("a", "b"), {("count",): 1})

    await same(ours, written_at("a/b", {"count": Increment(1)}))


def written_at(path: str, document: Any) -> Callable[[AsyncClient, Any], None]:
    return lambda firestore, batch: batch.set(firestore.document(path), document, merge=True)


async def test_a_mapping_of_any_kind_is_a_mapping() -> None:
    frozen = MappingProxyType({"b": MappingProxyType({"c": 1}), "d": [MappingProxyType({})]})
    plain = {"b": {"c": 1}, "d": [{}]}
    await same(written("set", {"a": frozen}), written("set", {"a": plain}))


async def test_a_path_that_is_given_twice_is_refused() -> None:
    with pytest.raises(NotStorable):  # the client sends one of the values, and the path twice
        await sent(written("update", {"a": 1, "`a`": 2}), "ours")


async def test_what_is_nested_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(NotStorable):
        await sent(written("set", endless), "ours")


async def test_a_refused_write_leaves_the_batch_as_it_was() -> None:
    def ours(firestore: AsyncClient, batch: Any) -> None:
        batch.set(firestore.document("a", "b"), {"c": 1})
        with pytest.raises(NotStorable):
            batch.set(firestore.document("a", "c"), {"c": 1, "d": object()})
        assert len(batch) == 1

    def clients(firestore: AsyncClient, batch: Any) -> None:
        batch.set(firestore.document("a", "b"), {"c": 1})

    await same(ours, clients)
