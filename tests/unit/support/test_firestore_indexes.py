"""Which queries the indexes of a project serve, after Firestore's documentation."""

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient, AsyncQuery, FieldFilter

from tests.support.firestore_indexes import Indexes, Query

UP, DOWN = "ASCENDING", "DESCENDING"
INDEXES = Indexes(
    {
        "indexes": [
            {
                "collectionGroup": "books",
                "queryScope": "COLLECTION",
                "fields": [
                    {"fieldPath": "shelf", "order": UP},
                    {"fieldPath": "owner", "order": UP},
                    {"fieldPath": "year", "order": DOWN},
                ],
            },
            *(
                {
                    "collectionGroup": "films",
                    "queryScope": "COLLECTION",
                    "fields": [
                        {"fieldPath": path, "order": UP},
                        {"fieldPath": "year", "order": DOWN},
                    ],
                }
                for path in ("genre", "land")
            ),
        ],
        "fieldOverrides": [
            {"collectionGroup": "books", "fieldPath": "text", "indexes": []},
            {"collectionGroup": "books", "fieldPath": "place", "indexes": [{"order": UP}]},
        ],
    }
)


def query(collection: str, *equal: str, order: tuple[tuple[str, str], ...] = ()) -> Query:
    return Query(collection, frozenset(equal), order)


@pytest.mark.parametrize(
    "served",
    [
        query("books"),
        query("books", "year"),
        query("books", "year", "shelf", "place"),
        query("books", order=(("year", UP),)),
        query("books", order=(("year", DOWN),)),
        query("books", "owner", "shelf", order=(("year", DOWN),)),
        query("films", "genre", order=(("year", DOWN),)),
        query("films", "genre", "land", order=(("year", DOWN),)),
        query("others", "text"),
    ],
)
def test_what_is_served(served: Query) -> None:
    assert INDEXES.missing(served) is None


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (query("books", "text"), "books.text is exempt from its index"),
        (query("books", "text.first"), "books.text.first is exempt from its index"),
        (query("books", "year", "text"), "books.text is exempt from its index"),
        (query("books", "shelf", order=(("year", DOWN),)), "books needs an index of shelf, year D"),
        (query("books", "owner", "shelf", order=(("year", UP),)), "owner, shelf, year ASCENDING"),
        (
            query("films", "genre", "title", order=(("year", DOWN),)),
            "films needs an index of genre",
        ),
        (query("films", "genre", order=(("year", UP),)), "films needs an index of genre, year ASC"),
        (query("films", order=(("year", DOWN), ("genre", UP))), "index of year DESCENDING, genre"),
        (query("others", "a", order=(("b", UP),)), "others needs an index of a, b ASCENDING"),
    ],
)
def test_what_is_not_served_says_what_is_missing(refused: Query, why: str) -> None:
    assert why in (INDEXES.missing(refused) or "")


def test_a_query_is_read_as_it_is_sent() -> None:
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    books = AsyncClient(project="demo", credentials=nobody).collection("books")
    old = books.where(filter=FieldFilter("shelf", "==", "a")).where(
        filter=FieldFilter("year", "<", 1900)
    )
    assert sent(old) == query("books", "shelf", order=(("year", UP),))
    newest = old.order_by("year", direction=AsyncQuery.DESCENDING)
    assert sent(newest) == query("books", "shelf", order=(("year", DOWN),))


def sent(built: AsyncQuery) -> Query:
    """There is no public way to a query's message: the library's own send it."""
    return Query.of(built._to_protobuf())
