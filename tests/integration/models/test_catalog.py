"""The catalog: through the wire, against Firestore, and while OpenRouter misbehaves."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient

from firerouter.callable import CallableError
from firerouter.errors import (
    CatalogIncomplete,
    CatalogUnavailable,
    KeyInvalid,
    KeyMissing,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRejected,
    UpstreamUnreachable,
)
from firerouter.keys.secret import Secret
from firerouter.models.catalog import FORMAT, Catalog
from firerouter.models.limits import CatalogLimits
from firerouter.models.model import read_models
from firerouter.openrouter import OpenRouter, OpenRouterLimits
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support.eventually import until
from tests.support.openrouter_standin import serving
from tests.support.recordings import LISTINGS, ModelListing
from tests.support.serve import Serve

LIMITS = CatalogLimits()
LIST = "get_available_models"
REFRESH = "refresh_catalog"
NOBODY = "http://127.0.0.1:9/api/v1"  # the port of `discard`, where nobody listens


# -- through the wire ------------------------------------------------------------------------------


async def test_an_admin_fetches_the_list_and_a_user_pages_through_it(
    suite: Suite, admin: str, app_check: str, client: CallableClient
) -> None:
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        refreshed = await as_admin.call(REFRESH, {})
        again = await as_admin.call(REFRESH, {})
    assert refreshed["count"] > 20
    assert again == {**refreshed, "added": [], "removed": []}
    seen: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"pageSize": 10}
    while True:
        page = await client.call(LIST, asked)
        assert len(page["models"]) <= 10
        assert page["generation"] == refreshed["generation"]
        assert page["stale"] is False
        assert 0 <= page["ageSeconds"] < 600
        seen += page["models"]
        if "nextPageToken" not in page:
            break
        asked = {"pageSize": 10, "pageToken": page["nextPageToken"]}
    assert len(seen) == page["total"] > 20
    assert len({model["id"] for model in seen}) == len(seen)
    assert not [model for model in seen if model["id"].endswith(":batch")]
    outputs = {name for model in seen for name in model["outputModalities"]}
    assert outputs >= {"text", "image", "embeddings"}


async def test_a_user_searches_filters_and_sorts(client: CallableClient) -> None:
    free = await client.call(LIST, {"free": True, "ids": ["z-ai/glm-4.5-air"]})
    assert [model["id"] for model in free["models"]] == ["z-ai/glm-4.5-air:free"]
    (model,) = free["models"]
    assert (model["promptPrice"], model["completionPrice"]) == (0, 0)
    assert {"tools", "reasoning", "temperature"} <= set(model["capabilities"])
    assert model["contextLength"] == 131_072
    found = await client.call(LIST, {"search": "auto router"})
    assert found["models"][0]["promptPrice"] == "dynamic"
    cheap = await client.call(LIST, {"sort": "price", "maxPromptPrice": 3, "free": False})
    prices = [model["promptPrice"] + model["completionPrice"] for model in cheap["models"]]
    assert prices == sorted(prices)
    vectors = await client.call(LIST, {"outputModality": "embeddings", "minContext": 1})
    assert vectors["models"]
    assert all("embeddings" in model["capabilities"] for model in vectors["models"])


async def test_the_api_callable_reaches_the_list_and_never_the_refresh(
    client: CallableClient,
) -> None:
    page = await client.call("api", {"endpoint": LIST, "pageSize": 1})
    assert len(page["models"]) == 1
    with pytest.raises(CallableFailure) as refused:
        await client.call("api", {"endpoint": REFRESH})
    assert refused.value.details["field"] == "endpoint"


async def test_a_plain_user_may_not_refresh(client: CallableClient) -> None:
    for data in ({}, {"admin": True}, None):
        with pytest.raises(CallableFailure) as refused:
            await client.call(REFRESH, data)
        assert refused.value.status == "PERMISSION_DENIED"
        assert refused.value.details["reason"] == "not_admin"


async def test_a_bad_field_is_refused_by_name(
    suite: Suite, admin: str, app_check: str, client: CallableClient
) -> None:
    for data, field in (
        ({"pageSize": 201}, "pageSize"),
        ({"pageToken": "x"}, "pageToken"),
        ({"capabilities": ["flies"]}, "capabilities[0]"),
        ({"model": "a/b"}, "model"),
    ):
        with pytest.raises(CallableFailure) as refused:
            await client.call(LIST, data)
        assert refused.value.status == "INVALID_ARGUMENT"
        assert refused.value.details["field"] == field
        assert field in refused.value.message
    async with CallableClient(suite.functions_url, admin, app_check) as as_admin:
        with pytest.raises(CallableFailure) as refused:
            await as_admin.call(REFRESH, {"force": True})
    assert refused.value.details["field"] == "force"


async def test_an_outage_serves_the_old_list_and_says_its_age(
    suite: Suite, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a project that has no key either, for the list asks for none."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
    project = f"demo-outage-{secrets.token_hex(4)}"
    firestore = AsyncClient(project=project)
    ask = await asking(suite, serve(LIST, env=away(project)).url, project)
    with pytest.raises(CallableFailure) as refused:
        await ask({})
    assert refused.value.status == "UNAVAILABLE"
    assert refused.value.details["reason"] == "upstream_unreachable"
    assert refused.value.details["retryable"] is True

    with serving() as openrouter:
        client = OpenRouter(base_url=openrouter.api)
        live = Catalog(firestore, openrouter=lambda: client, keys=NoKey())
        known = await live.get()
    two_days_ago = datetime.now(UTC) - timedelta(days=2)
    await firestore.document("catalog/head").update({"fetchedAt": two_days_ago})
    page = await ask({"pageSize": 200})  # the same instance, once there is something
    assert page["stale"] is True
    assert 172_800 <= page["ageSeconds"] < 172_800 + 600
    assert page["generation"] == known.generation == 1
    assert page["total"] > 20


def away(project: str) -> Mapping[str, str]:
    """The environment of a function of that project, for which OpenRouter is not there."""
    return {"GCLOUD_PROJECT": project, "OPENROUTER_BASE_URL": NOBODY}


async def asking(suite: Suite, url: str, project: str) -> Callable[[Any], Any]:
    """Calls the function as a user of another project than the suite's."""
    async with httpx.AsyncClient(trust_env=False) as http:
        token = {"projectId": project, "audience": [f"projects/{project}"]}
        issued = await http.post(f"http://{suite.app_check_host}/token", json=token)

    async def ask(data: Any) -> Any:
        app_check = issued.json()["token"]
        async with CallableClient(url, id_token(project, "somebody"), app_check) as client:
            return await client.call("", data)

    return ask


# -- against Firestore, with an OpenRouter that says what a test wants -----------------------------


class NoKey:
    """No admin has stored a key."""

    async def get(self) -> Secret:
        raise KeyMissing

    async def next_after_refusal(self, refused: Sequence[Secret], reason: str) -> Secret | None:
        return None


class OneKey(NoKey):
    async def get(self) -> Secret:
        return Secret("sk-or-v1-test")


class Upstream:
    """Answers GET /models with `answer`, or as it says of the query; remembers what was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str | None, dict[str, str]]] = []
        self.pause_s = 0.0
        self.drawing: Any = {"data": []}

    async def get(
        self, path: str, key: Secret | None, timeout_s: float, *, query: Mapping[str, str]
    ) -> Any:
        assert path in ("/models", "/images/models")
        if path == "/images/models":
            if isinstance(self.drawing, Exception):
                raise self.drawing
            return self.drawing
        assert timeout_s <= LIMITS.fetch_s
        self.asked.append((key.reveal() if key else None, dict(query)))
        await asyncio.sleep(self.pause_s)
        answer = self.answer(key, query) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer


def listing(*ids: str, **more: Any) -> dict[str, Any]:
    models = [{"id": id_, "pricing": {"prompt": "0.000001", "completion": "0"}} for id_ in ids]
    return {"data": models, "total_count": len(models), "links": {"next": None}, **more}


def numbered(count: int, author: str = "a") -> dict[str, Any]:
    return listing(*(f"{author}/m{number:03}" for number in range(count)))


class Shelf:
    """A Firestore of its own, and catalogs over it, each as of another instance."""

    def __init__(self, firestore: AsyncClient) -> None:
        self.firestore = firestore
        self.upstream = Upstream(numbered(10))
        self.now = datetime.now(UTC)

    def catalog(self, keys: NoKey | None = None, **options: Any) -> Catalog:
        return Catalog(
            self.firestore,
            openrouter=lambda: self.upstream,
            keys=keys or NoKey(),
            now=lambda: self.now,
            **options,
        )

    async def documents(self) -> dict[str, dict[str, Any]]:
        found = [snapshot async for snapshot in self.firestore.collection("catalog").stream()]
        return {snapshot.id: snapshot.to_dict() or {} for snapshot in found}


@pytest.fixture
def shelf(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
    return Shelf(AsyncClient(project=f"demo-catalog-{secrets.token_hex(4)}"))


async def test_the_first_call_fetches_and_every_other_instance_reads(shelf: Shelf) -> None:
    first = await shelf.catalog().get()
    assert (first.generation, len(first.models)) == (1, 10)
    second = await shelf.catalog().get()
    assert second == first
    assert len(shelf.upstream.asked) == 1


async def test_memory_answers_without_a_look(shelf: Shelf) -> None:
    catalog = shelf.catalog()
    first = await catalog.get()
    await shelf.firestore.document("catalog/head").delete()
    assert await catalog.get() is first
    assert (await catalog.resolve("a/m001:nitro")).model is first.get("a/m001")


async def test_a_model_that_another_instance_has_just_added_is_known_at_once(shelf: Shelf) -> None:
    saves, refreshes = shelf.catalog(), shelf.catalog()
    await saves.get()
    await refreshes.get()
    shelf.upstream.answer = listing(*[f"a/m{number:03}" for number in range(10)], "x/new")
    assert (await refreshes.refresh()).added == ("x/new",)
    assert (await saves.get("a/m001")).get("x/new") is None  # what is known is not looked up
    assert (await saves.get("a/m001", "x/new:nitro")).get("x/new")
    assert len(shelf.upstream.asked) == 2  # and none of it at OpenRouter


async def test_a_model_that_is_none_has_the_list_looked_at_once_in_a_while(shelf: Shelf) -> None:
    catalog = shelf.catalog()
    known = await catalog.get()
    looks = 0

    async def read_head() -> Any:
        nonlocal looks
        looks += 1
        return await original()

    original, catalog._read_head = catalog._read_head, read_head  # type: ignore[method-assign]
    for _ in range(5):
        assert (await catalog.resolve("x/none")).model is None
    assert looks == 1
    shelf.now += timedelta(seconds=LIMITS.look_again_s)
    assert (await catalog.get("x/none", "@preset/mine", "openrouter/auto")) == known
    assert looks == 2
    shelf.now += timedelta(seconds=LIMITS.look_again_s)
    await catalog.get("@preset/mine", "openrouter/auto", "a/m001@preset/mine")
    assert looks == 2


async def test_calls_at_once_fetch_once(shelf: Shelf) -> None:
    shelf.upstream.pause_s = 0.2
    catalog = shelf.catalog()
    lists = await asyncio.gather(*(catalog.get() for _ in range(20)), catalog.refresh())
    assert len(shelf.upstream.asked) == 1
    assert {id(list_) for list_ in lists[:20]} == {id(lists[0])}
    await asyncio.gather(catalog.refresh(), catalog.refresh())
    assert len(shelf.upstream.asked) == 2


async def test_the_generation_grows_when_the_list_changes_and_only_then(shelf: Shelf) -> None:
    catalog = shelf.catalog()
    await catalog.refresh()
    shelf.now += timedelta(hours=1)
    same = await catalog.refresh()
    assert (same.models.generation, same.added, same.removed) == (1, (), ())
    assert same.models.fetched_at == shelf.now
    shelf.upstream.answer["data"].reverse()  # another order is no other list
    assert (await catalog.refresh()).models.generation == 1
    shelf.upstream.answer = listing(*[f"a/m{number:03}" for number in range(2, 10)], "b/new")
    changed = await catalog.refresh()
    assert changed.models.generation == 2
    assert (changed.added, changed.removed) == (("b/new",), ("a/m000", "a/m001"))
    assert (await catalog.get()).get("b/new")
    assert (await shelf.catalog().get()).models == changed.models.models


async def test_a_long_list_is_kept_in_shards_and_the_old_ones_are_deleted(shelf: Shelf) -> None:
    shelf.upstream.answer = numbered(200)
    catalog = shelf.catalog(limits=CatalogLimits(shard_max_chars=3_000))
    await catalog.refresh()
    documents = await shelf.documents()
    head = documents.pop("head")
    assert len(documents) == len(head["shards"]) > 5
    assert all(len(shard["models"]) <= 3_000 for shard in documents.values())
    assert head["count"] == 200
    assert (await shelf.catalog().get()).models == (await catalog.get()).models
    shelf.upstream.answer = numbered(201)
    await catalog.refresh()
    after = await shelf.documents()
    assert not documents.keys() & after.keys()
    assert len(after) == len(after["head"]["shards"]) + 1
    assert len((await shelf.catalog().get()).models) == 201


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize(
    "options", [{}, {"limits": CatalogLimits(shard_max_chars=10_000)}], ids=["one shard", "several"]
)
async def test_a_list_comes_back_from_firestore_as_it_went(
    shelf: Shelf, options: dict[str, Any], listing: ModelListing
) -> None:
    shelf.upstream.answer = listing.body
    fetched = await shelf.catalog(**options).get()
    asked = len(shelf.upstream.asked)
    read = await shelf.catalog(**options).get()
    assert len(shelf.upstream.asked) == asked, "from Firestore"
    assert read.models == fetched.models == read_models(listing.entries)[0]
    assert len(read.models) == listing.count
    shards = (await shelf.documents())["head"]["shards"]
    assert len(shards) > (1 if options else 0)


BAD_LISTS: dict[str, Any] = {
    "half of it": numbered(4),
    "none of it": numbered(0),
    "half of what it says itself": {**numbered(10, "b"), "total_count": 21},
    "mostly nonsense": {**numbered(10), "data": [*numbered(10)["data"], *([None] * 11)]},
    "no list": {"data": {"id": "a/b"}},
    "no object": [1, 2],
    "nothing": None,
    "an endless one": {**numbered(10), "links": {"next": "https://x.test/models?offset=1"}},
    "a huge one": {**numbered(10), "data": [{}] * (LIMITS.models_max + 1)},
    "out of reach": UpstreamUnreachable(),
}


@pytest.mark.parametrize("bad", BAD_LISTS.values(), ids=BAD_LISTS)
async def test_a_bad_list_is_refused_and_the_old_one_stays(shelf: Shelf, bad: Any) -> None:
    catalog = shelf.catalog()
    before = await catalog.get()
    documents = await shelf.documents()
    shelf.upstream.answer = bad
    with pytest.raises((CatalogIncomplete, UpstreamError)) as refused:
        await catalog.refresh()
    assert refused.value.retryable
    assert await catalog.get() is before
    assert await shelf.documents() == documents


async def test_a_refused_list_is_logged_and_says_how_short_it_was(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = shelf.catalog()
    await catalog.get()
    shelf.upstream.answer = numbered(4)
    with pytest.raises(CatalogIncomplete) as refused:
        await catalog.refresh()
    assert refused.value.details == {"count": 4, "expected": 10}
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in logged if line["message"] == "catalog_refused"]
    assert line["severity"] == "ERROR"


async def test_five_of_ten_are_enough(shelf: Shelf) -> None:
    catalog = shelf.catalog()
    await catalog.get()
    shelf.upstream.answer = numbered(5)
    assert len((await catalog.refresh()).models.models) == 5


async def test_an_old_list_is_fetched_anew_or_served_as_stale(shelf: Shelf) -> None:
    await shelf.catalog().get()
    shelf.now += timedelta(seconds=LIMITS.old_s + 60)
    for bad in (UpstreamUnreachable(), numbered(1)):
        shelf.upstream.answer = bad
        catalog = shelf.catalog()
        served = await catalog.get()
        assert len(served.models) == 10
        assert catalog.is_stale(served)
        assert catalog.age_seconds(served) == LIMITS.old_s + 60
    shelf.upstream.answer = numbered(12)
    catalog = shelf.catalog()
    served = await catalog.get()
    assert len(served.models) == 12
    assert not catalog.is_stale(served)


async def test_where_openrouter_hangs_callers_wait_a_moment_and_once_a_minute(
    shelf: Shelf,
    capfd: pytest.CaptureFixture[str],
) -> None:
    patience = CatalogLimits(callers_wait_s=0.3, fetch_s=1.5)
    catalog = shelf.catalog(limits=patience)
    shelf.upstream.pause_s = 3600.0
    waits = [await seconds_without_a_list(catalog) for _ in range(3)]
    assert waits[0] >= 0.3
    assert max(waits[1:]) < 0.3
    assert len(shelf.upstream.asked) == 1
    await asyncio.sleep(patience.fetch_s)
    assert await seconds_without_a_list(catalog) < 0.3, "the failure is remembered"
    assert len(shelf.upstream.asked) == 1

    shelf.now += timedelta(seconds=LIMITS.fetch_again_s + 1)
    shelf.upstream.pause_s = 0.6  # longer than callers wait: it is fetched all the same
    assert await seconds_without_a_list(catalog) >= 0.3
    await asyncio.sleep(0.6)
    await until(lambda: catalog._last is not None)
    assert len((await catalog.get()).models) == 10
    assert len(shelf.upstream.asked) == 2
    assert "catalog_slow" in capfd.readouterr().out


async def seconds_without_a_list(catalog: Catalog) -> float:
    begins = time.monotonic()
    with pytest.raises(CatalogUnavailable):
        await catalog.get()
    return time.monotonic() - begins


async def test_where_openrouter_hangs_a_list_that_is_too_old_is_served(shelf: Shelf) -> None:
    await shelf.catalog().get()
    shelf.now += timedelta(seconds=LIMITS.old_s + 60)
    shelf.upstream.pause_s = 3600.0
    catalog = shelf.catalog(limits=CatalogLimits(callers_wait_s=0.3))
    begins = time.monotonic()
    for _ in range(3):
        assert len((await catalog.get()).models) == 10
    assert time.monotonic() - begins < LIMITS.callers_wait_s


async def test_what_was_typed_by_hand_is_not_served_but_fetched_anew(
    shelf: Shelf, subtests: pytest.Subtests
) -> None:
    async def shard(change: Any) -> None:
        (named,) = (await shelf.documents())["head"]["shards"]
        await shelf.firestore.document(f"catalog/{named['id']}").set(change)

    async def head(change: Any) -> None:
        await shelf.firestore.document("catalog/head").set(change)

    cases = [
        (shard, {"models": "[]"}),
        (shard, {"models": [{"id": "evil/model"}]}),
        (shard, {}),
        (head, {}),
        (head, {"format": FORMAT, "generation": "1", "fetchedAt": shelf.now, "shards": []}),
        (
            head,
            {"format": FORMAT, "generation": 7, "fetchedAt": shelf.now, "shards": [{"id": "a/b"}]},
        ),
        (head, {"format": FORMAT + 1, "generation": 7, "fetchedAt": shelf.now, "shards": []}),
    ]
    await shelf.catalog().get()
    for write, change in cases:
        with subtests.test(str(change)):
            await write(change)
            asked = len(shelf.upstream.asked)
            assert len((await shelf.catalog().get()).models) == 10
            assert len(shelf.upstream.asked) == asked + 1
            assert len((await shelf.catalog().get()).models) == 10
            assert len(shelf.upstream.asked) == asked + 1, "and it was stored whole again"


async def test_shards_that_no_head_names_do_no_harm_and_are_swept_later(shelf: Shelf) -> None:
    """An instance that dies between its shards and its head leaves those."""
    catalog = shelf.catalog()
    before = await catalog.get()
    await catalog._write_shards(before.models[:2], 2)
    assert (await shelf.catalog().get()).models == before.models
    for count in (11, 12):
        shelf.upstream.answer = numbered(count)
        await catalog.refresh()
    after = await shelf.documents()
    assert len(after) == 2
    assert after["head"]["generation"] == 3


async def test_instances_that_refresh_at_once_end_with_one_whole_list(shelf: Shelf) -> None:
    await shelf.catalog().get()
    shelf.upstream.answer = numbered(15)
    catalogs = [shelf.catalog(limits=CatalogLimits(shard_max_chars=300)) for _ in range(6)]
    results = await asyncio.gather(
        *(catalog.refresh() for catalog in catalogs), return_exceptions=True
    )
    assert {type(result).__name__ for result in results} == {"Refreshed"}
    assert len((await shelf.catalog().get()).models) == 15
    assert (await shelf.documents())["head"]["generation"] <= 1 + len(catalogs)


async def test_a_list_deleted_while_it_is_read_is_read_anew(shelf: Shelf) -> None:
    writer, reader = shelf.catalog(), shelf.catalog()
    await writer.get()
    head = await reader._read_head()
    shelf.upstream.answer = numbered(11)
    await writer.refresh()
    stored = await reader._read_list(head)
    assert stored is not None
    assert (stored.generation, len(stored.models)) == (2, 11)


async def test_every_page_is_read_and_only_from_openrouter(shelf: Shelf) -> None:
    def page(_: Secret | None, query: Mapping[str, str]) -> Any:
        offset = int(query.get("offset", 0))
        following = f"https://evil.test/models?output_modalities=all&offset={offset + 1}"
        models = listing(f"a/m{offset}", total_count=3)
        return {**models, "links": {"next": following if offset < 2 else None}}

    shelf.upstream.answer = page
    assert len((await shelf.catalog().get()).models) == 3
    assert [query.get("offset") for _, query in shelf.upstream.asked] == [None, "1", "2"]
    assert {query["output_modalities"] for _, query in shelf.upstream.asked} == {"all"}


async def test_what_images_are_drawn_by_is_listed_apart_and_outlives_an_outage(
    shelf: Shelf,
) -> None:
    takes = {"seed": {"type": "boolean"}, "n": {"type": "range", "min": 1, "max": 4}}
    shelf.upstream.drawing = {"data": [{"id": "a/m001", "supported_parameters": takes}, 7]}
    catalog = shelf.catalog()
    first = await catalog.get()
    known = [(model.id, model.image_parameters) for model in first.models[:2]]
    assert known == [("a/m000", ()), ("a/m001", ("seed", "n"))]
    read = await shelf.catalog().get()
    assert read.models == first.models
    shelf.upstream.drawing = UpstreamUnreachable()
    assert (await catalog.refresh()).models.models == first.models


async def test_where_all_kinds_are_refused_the_default_list_is_taken(shelf: Shelf) -> None:
    shelf.upstream.answer = lambda _, query: UpstreamRejected() if query else numbered(3)
    assert len((await shelf.catalog().get()).models) == 3
    assert [query for _, query in shelf.upstream.asked] == [{"output_modalities": "all"}, {}]


async def test_a_key_is_used_and_none_or_a_bad_one_is_no_matter(shelf: Shelf) -> None:
    await shelf.catalog(OneKey()).refresh()
    await shelf.catalog(NoKey()).refresh()
    shelf.upstream.answer = lambda key, _: KeyInvalid() if key else numbered(10)
    await shelf.catalog(OneKey()).refresh()
    assert [key for key, _ in shelf.upstream.asked] == [
        "sk-or-v1-test",
        None,
        "sk-or-v1-test",
        None,
    ]


async def test_without_firestore_there_is_what_memory_has(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    cut_off = Shelf(AsyncClient(project="demo-nobody"))
    with pytest.raises(CatalogUnavailable):
        await cut_off.catalog().get()
    with pytest.raises(CatalogUnavailable):
        await cut_off.catalog().refresh()
    catalog = shelf.catalog()
    known = await catalog.get()
    monkeypatch.setattr(catalog, "_documents", cut_off.firestore.collection("catalog"))
    assert await catalog._load() is known


async def test_the_real_client_reads_the_list_with_a_key_and_without(shelf: Shelf) -> None:
    with serving() as server:
        openrouter = OpenRouter(base_url=server.api)
        for keys in (NoKey(), OneKey(), NoKey()):
            catalog = Catalog(shelf.firestore, openrouter=lambda: openrouter, keys=keys)
            assert len((await catalog.refresh()).models.models) > 20
    with pytest.raises(UpstreamUnreachable):
        await catalog.refresh()
    assert len((await catalog.get()).models) > 20


async def test_an_answer_without_an_end_is_cut_off(shelf: Shelf) -> None:
    with serving() as server:
        limits = OpenRouterLimits(document_max_bytes=1_000)
        openrouter = OpenRouter(base_url=server.api, limits=limits)
        catalog = Catalog(shelf.firestore, openrouter=lambda: openrouter, keys=NoKey())
        with pytest.raises(UpstreamMalformed):
            await catalog.refresh()
    with pytest.raises(CallableError):
        await catalog.get()
