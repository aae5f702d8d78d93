"""Which index Firestore needs for a query. Its emulator needs none, so we refuse in its place.

Of one collection, Firestore has an index of each field by itself unless `fieldOverrides` exempts
the field, and joins those for filters that are all equalities. Whatever else involves several
fields needs a composite index: the equalities' fields in any order, then the order of the results.
Indexes that end with that order are joined as well, if together they have the equalities' fields.
https://firebase.google.com/docs/firestore/query-data/index-overview
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from google.api_core.exceptions import FailedPrecondition
from google.cloud.firestore_v1.services.firestore.async_client import FirestoreAsyncClient
from google.cloud.firestore_v1.types import ListenRequest, StructuredQuery

from tests.support.repository import ROOT

FILE: Final = ROOT / "firestore.indexes.json"
_OPERATORS = StructuredQuery.FieldFilter.Operator
_UNARY = StructuredQuery.UnaryFilter.Operator
_EQUAL: Final = {_OPERATORS.EQUAL, _OPERATORS.IN, _UNARY.IS_NULL, _UNARY.IS_NAN}
_UNEQUAL: Final = {
    _OPERATORS.LESS_THAN,
    _OPERATORS.LESS_THAN_OR_EQUAL,
    _OPERATORS.GREATER_THAN,
    _OPERATORS.GREATER_THAN_OR_EQUAL,
}


@dataclass(frozen=True)
class Query:
    """What a query asks of an index: `order` is (field, "ASCENDING" or "DESCENDING") each."""

    collection: str
    equal: frozenset[str] = frozenset()
    order: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, query: StructuredQuery) -> "Query":
        """Read a query as it is sent. Raises NotImplementedError for what the code has none of."""
        (source,) = query.from_
        if source.all_descendants:
            raise NotImplementedError("a query of a collection group")
        equal, unequal = set(), set()
        for path, operator in _filters(query.where):
            if operator in _EQUAL:
                equal.add(path)
            elif operator in _UNEQUAL:
                unequal.add(path)
            else:
                raise NotImplementedError(f"a filter by {operator.name}")
        order = [(by.field.field_path, by.direction.name) for by in query.order_by]
        order = [(path, direction) for path, direction in order if path != "__name__"]
        ordered = {path for path, _ in order}
        order = [(path, "ASCENDING") for path in sorted(unequal - ordered)] + order
        return cls(
            source.collection_id,
            frozenset(equal - {"__name__"}),
            tuple(by for by in order if by[0] not in equal | {"__name__"}),
        )

    @property
    def fields(self) -> frozenset[str]:
        return self.equal | {path for path, _ in self.order}


class Indexes:
    """The indexes of a firestore.indexes.json."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self._composite = [
            (one["collectionGroup"], [(f["fieldPath"], f.get("order")) for f in one["fields"]])
            for one in definition["indexes"]
            if one["queryScope"] == "COLLECTION"
        ]
        self._exempt = {
            (one["collectionGroup"], one["fieldPath"])
            for one in definition["fieldOverrides"]
            if not one["indexes"]
        }

    @classmethod
    def load(cls, file: Path = FILE) -> "Indexes":
        return cls(json.loads(file.read_text("utf-8")))

    def missing(self, query: Query) -> str | None:
        """Return what is missing for this query; None if it can be served."""
        if not query.order or len(query.fields) == 1:
            exempt = sorted(f for f in query.fields if self._is_exempt(query.collection, f))
            return f"{query.collection}.{exempt[0]} is exempt from its index" if exempt else None
        joined = [
            equal
            for collection, fields in self._composite
            if collection == query.collection
            and (equal := _served_equalities(fields, query)) is not None
        ]
        wanted = [*sorted(query.equal), *(f"{path} {way}" for path, way in query.order)]
        if joined and query.equal == frozenset().union(*joined):
            return None
        return f"{query.collection} needs an index of {', '.join(wanted)}"

    def _is_exempt(self, collection: str, path: str) -> bool:
        """An exemption goes for what is inside the field as well."""
        parts = path.split(".")
        above = [".".join(parts[: at + 1]) for at in range(len(parts))]
        return any((collection, one) in self._exempt for one in above)


def refuse_queries_without_index(
    monkeypatch: pytest.MonkeyPatch, seen: Callable[[Query], None] = lambda _: None
) -> None:
    """Have every client in this process fail as Firestore does where an index is missing.

    Args:
        monkeypatch: Undoes it.
        seen: Is told of each query.
    """
    indexes = Indexes.load()

    def check(structured: Any) -> None:
        query = Query.of(StructuredQuery.wrap(StructuredQuery.pb(structured)))
        seen(query)
        if missing := indexes.missing(query):
            raise FailedPrecondition(missing)  # type: ignore[no-untyped-call]

    async def checked(requests: AsyncIterator[ListenRequest]) -> AsyncIterator[ListenRequest]:
        async for request in requests:
            if request.add_target.query:
                check(request.add_target.query.structured_query)
            yield request

    run, aggregate, listen = (
        FirestoreAsyncClient.run_query,
        FirestoreAsyncClient.run_aggregation_query,
        FirestoreAsyncClient.listen,
    )

    def run_query(self: Any, request: Any, **options: Any) -> Any:
        check(request["structured_query"])
        return run(self, request=request, **options)

    def run_aggregation_query(self: Any, request: Any, **options: Any) -> Any:
        check(request["structured_aggregation_query"].structured_query)
        return aggregate(self, request=request, **options)

    def listen_to(self: Any, requests: AsyncIterator[ListenRequest], **options: Any) -> Any:
        return listen(self, requests=checked(requests), **options)

    monkeypatch.setattr(FirestoreAsyncClient, "run_query", run_query)
    monkeypatch.setattr(FirestoreAsyncClient, "run_aggregation_query", run_aggregation_query)
    monkeypatch.setattr(FirestoreAsyncClient, "listen", listen_to)


def _filters(where: Any) -> Iterable[tuple[str, Any]]:
    kind = StructuredQuery.Filter.pb(where).WhichOneof("filter_type")
    if kind == "composite_filter":
        if where.composite_filter.op != StructuredQuery.CompositeFilter.Operator.AND:
            raise NotImplementedError("a filter by OR")
        for one in where.composite_filter.filters:
            yield from _filters(one)
    elif kind is not None:
        one = getattr(where, kind)
        yield one.field.field_path, one.op


def _served_equalities(fields: list[tuple[str, str | None]], query: Query) -> set[str] | None:
    """Return the fields of the query's equalities that this index is for; None if it is no help."""
    count = len(fields) - len(query.order)
    equal = {path for path, _ in fields[:count]}
    return equal if fields[count:] == list(query.order) and equal <= query.equal else None
