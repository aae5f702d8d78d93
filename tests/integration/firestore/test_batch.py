"""Our batch against Firestore: what it writes is read back, and its guards hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud.firestore import DELETE_FIELD, SERVER_TIMESTAMP, AsyncClient, Increment

from firerouter.firestore import AlreadyExists, Batch, Conflict, Missing, commit, content, get
from tests.support.in_process import World

WITHIN_S = 5.0
DOCUMENT: dict[str, Any] = {
    "none": None,
    "bool": True,
    "int": -(2**63),
    "float": 0.1,
    "str": "é\n",
    "bytes": b"\x00\xff",
    "at": DatetimeWithNanoseconds(2026, 11, 28, nanosecond=123456000, tzinfo=UTC),  # type: ignore[no-untyped-call]
    "map": {"a.b": {"`": [1, {"c": []}]}, "empty": {}},
}


@pytest.fixture
def firestore(world: World) -> AsyncClient:
    return world.firestore


async def read(firestore: AsyncClient, path: str) -> Any:
    return content(await get(firestore.document(path)))


async def test_a_document_is_read_back_as_it_was_written(firestore: AsyncClient) -> None:
    batch = Batch(firestore)
    batch.create(firestore.document("things/a"), DOCUMENT)
    (result,) = await commit(batch, WITHIN_S)
    snapshot = await get(firestore.document("things/a"))
    assert content(snapshot) == DOCUMENT
    assert snapshot.update_time == result.update_time


async def test_a_merge_leaves_what_it_does_not_name(firestore: AsyncClient) -> None:
    first, second = Batch(firestore), Batch(firestore)
    first.set(firestore.document("things/a"), {"a": {"b": 1, "c": 2}, "d": 3})
    second.set(firestore.document("things/a"), {"a": {"b": DELETE_FIELD, "`e": [4]}}, merge=True)
    await commit(first, WITHIN_S)
    await commit(second, WITHIN_S)
    assert await read(firestore, "things/a") == {"a": {"c": 2, "`e": [4]}, "d": 3}


async def test_an_update_replaces_what_is_at_its_paths(firestore: AsyncClient) -> None:
    first, second = Batch(firestore), Batch(firestore)
    first.set(firestore.document("things/a"), {"a": {"b": 1, "c": {"d": 2}}, "n": 1})
    fields = {
        "a.c": {"e": 3},
        "a.b": DELETE_FIELD,
        "n": Increment(4),
        "s": {"at": SERVER_TIMESTAMP},
    }
    second.update(firestore.document("things/a"), fields)
    await commit(first, WITHIN_S)
    (result,) = await commit(second, WITHIN_S)
    document = await read(firestore, "things/a")
    assert abs(datetime.now(UTC) - document.pop("s")["at"]) < timedelta(minutes=5)
    assert document == {"a": {"c": {"e": 3}}, "n": 5}
    assert result.transform_results[0].integer_value == 5


async def test_increments_return_the_new_totals_in_their_order(firestore: AsyncClient) -> None:
    for times in (1, 2):
        batch = Batch(firestore)
        batch.increment(
            firestore.document("things/counted"),
            {("days", "28", "usd"): 7, ("count",): -1},
            {"expireAt": None},
        )
        (result,) = await commit(batch, WITHIN_S)
        assert [one.integer_value for one in result.transform_results] == [7 * times, -times]
    counted = {"days": {"28": {"usd": 14}}, "count": -2, "expireAt": None}
    assert await read(firestore, "things/counted") == counted


async def test_guards_hold_and_nothing_is_written(firestore: AsyncClient) -> None:
    there, gone = firestore.document("things/there"), firestore.document("things/gone")
    batch = Batch(firestore)
    batch.set(there, {"n": 1})
    (first,) = await commit(batch, WITHIN_S)
    batch = Batch(firestore)
    batch.update(there, {"n": 2}, version=first.update_time)
    await commit(batch, WITHIN_S)

    outdated = Batch(firestore)
    outdated.set(gone, {"n": 3})
    outdated.update(there, {"n": 3}, version=first.update_time)
    with pytest.raises(Conflict):
        await commit(outdated, WITHIN_S)
    deleting = Batch(firestore)
    deleting.delete(there, version=first.update_time)
    with pytest.raises(Conflict):
        await commit(deleting, WITHIN_S)
    again = Batch(firestore)
    again.create(there, {"n": 3})
    with pytest.raises(AlreadyExists):
        await commit(again, WITHIN_S)
    missing = Batch(firestore)
    missing.update(gone, {"n": 3})
    with pytest.raises(Missing):
        await commit(missing, WITHIN_S)
    assert await read(firestore, "things/there") == {"n": 2}

    last = Batch(firestore)
    last.delete(there, version=(await get(there)).update_time)
    last.delete(gone)
    await commit(last, WITHIN_S)
    assert not (await get(there)).exists
