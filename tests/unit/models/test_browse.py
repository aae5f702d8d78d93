"""Which models a caller's filters let through, in which order, on which page."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.callable import Call, CallableError, encode
from firerouter.contract.base import parse
from firerouter.contract.models import GetAvailableModels
from firerouter.errors import InvalidArgument
from firerouter.models.model import Model, ModelList, read_models
from firerouter.models.search import ModelSearch, matching, ordered
from firerouter.users.identity import Caller
from tests.support.recordings import LISTINGS, ModelListing

NOW = datetime(2026, 8, 24, tzinfo=UTC)
MANY = 421  # models: what OpenRouter lists


def entry(
    id_: str, name: str = "", prompt: str = "0.000001", completion: str = "0.000002", **more: Any
) -> dict[str, Any]:
    modalities = {"input_modalities": ["text"], "output_modalities": ["text"]}
    pricing = {"prompt": prompt, "completion": completion}
    return {"id": id_, "name": name, "pricing": pricing, "architecture": modalities, **more}


ENTRIES = [
    entry("acme/big", "Zeta Big", "0.00001", "0.00002", context_length=1_000_000, created=30),
    entry("acme/small", "alpha Small", context_length=8_000, created=20),
    entry("acme/small:batch", "Alpha Small (batch)", "0.0000005", "0.000001"),
    entry("acme/small:free", "Alpha Small (free)", "0", "0", context_length=8_000, created=20),
    entry("other/tools", "Beta", supported_parameters=["tools", "temperature"], created=40),
    entry("other/draws", "Delta", architecture={"output_modalities": ["text", "image"]}),
    entry("other/vectors", architecture={"output_modalities": ["embeddings"]}, pricing={}),
    entry("openrouter/auto", "Auto", "-1", "-1", description="Picks a MODEL for you"),
]
MODELS = read_models(ENTRIES)[0]


def found(**data: Any) -> list[str]:
    asked = parse(GetAvailableModels, data)
    return [model.id for model in ordered(matching(MODELS, asked), asked.sort)]


def test_models_are_looked_up_by_their_ids_and_by_what_a_result_carries() -> None:
    models = read_models(
        [
            entry("acme/big", "Acme: Big", canonical_slug="acme/big-20251001"),
            entry(
                "acme/big:free", "Acme: Big (free)", "0", "0", canonical_slug="acme/big-20251001"
            ),
            entry("acme/small", "Acme: Small"),
        ]
    )[0]

    def ids(**data: Any) -> list[str]:
        return [model.id for model in matching(models, parse(GetAvailableModels, data))]

    assert ids(ids=["acme/small", "no/such"]) == ["acme/small"]
    assert ids(ids=["acme/big-20251001"]) == ["acme/big", "acme/big:free"]
    assert ids(ids=["acme/big-20251001"], free=False) == ["acme/big"]
    assert ids(ids=["no/such"]) == []
    assert ids(search="20251001") == ["acme/big", "acme/big:free"]
    assert ids(provider="ACME") == [model.id for model in models]


def test_everything_but_the_batch_api_is_shown_by_name() -> None:
    assert found() == [
        "acme/small",
        "acme/small:free",
        "openrouter/auto",
        "other/tools",
        "other/draws",
        "other/vectors",
        "acme/big",
    ]


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        ({"search": "SMALL free"}, {"acme/small:free"}),
        ({"search": "picks  model"}, {"openrouter/auto"}),
        ({"search": "batch"}, set()),
        ({"search": "nothing like it"}, set()),
        ({"capabilities": ["tools"]}, {"other/tools"}),
        ({"capabilities": ["tools", "temperature"]}, {"other/tools"}),
        ({"capabilities": ["tools", "vision"]}, set()),
        ({"capabilities": ["imageOutput"]}, {"other/draws"}),
        ({"outputModality": "embeddings"}, {"other/vectors"}),
        ({"provider": "Other"}, {"other/tools", "other/draws", "other/vectors"}),
        ({"provider": "oth"}, set()),
        ({"minContext": 8_001}, {"acme/big"}),
        ({"free": True}, {"acme/small:free"}),
        ({"free": False, "provider": "acme"}, {"acme/big", "acme/small"}),
        ({"maxPromptPrice": 0}, {"acme/small:free"}),
        ({"maxPromptPrice": 1, "provider": "acme"}, {"acme/small", "acme/small:free"}),
        ({"maxCompletionPrice": 1.99, "provider": "acme"}, {"acme/small:free"}),
        ({"maxCompletionPrice": 2, "provider": "acme"}, {"acme/small", "acme/small:free"}),
        ({"maxPromptPrice": 1_000_000, "provider": "openrouter"}, set()),
        ({"maxPromptPrice": 1_000_000, "outputModality": "embeddings"}, set()),
    ],
)
def test_a_filter_lets_through(data: dict[str, Any], ids: set[str]) -> None:
    assert set(found(**data)) == ids


def test_a_price_is_compared_as_it_is_written() -> None:
    model = read_models([entry("a/b", prompt="0.0000001")])[0]
    asked = parse(GetAvailableModels, {"maxPromptPrice": 0.1})  # which no binary fraction is
    assert matching(model, asked)


def test_the_cheapest_come_first_and_what_has_no_price_last() -> None:
    assert found(sort="price") == [
        "acme/small:free",
        "acme/small",
        "other/draws",
        "other/tools",
        "acme/big",
        "openrouter/auto",
        "other/vectors",
    ]


def test_the_longest_or_the_newest_come_first() -> None:
    assert found(sort="context")[:3] == ["acme/big", "acme/small", "acme/small:free"]
    assert found(sort="newest")[:2] == ["other/tools", "acme/big"]


class Shelf:
    """A catalog whose list a test sets."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self.models = ModelList(1, NOW, models)

    async def get(self) -> ModelList:
        return self.models

    def age_seconds(self, _: ModelList) -> int:
        return 7

    def is_stale(self, _: ModelList) -> bool:
        return False


def asking(data: Any) -> Call[Caller]:
    return Call(data, {}, Caller("user"), streaming=False, trace_id="0" * 32)


async def page(shelf: Shelf, **data: Any) -> dict[str, Any]:
    return await ModelSearch(shelf).get_available_models(asking(data))  # type: ignore[arg-type]


async def pages(shelf: Shelf, **data: Any) -> list[dict[str, Any]]:
    found = [await page(shelf, **data)]
    while token := found[-1].get("nextPageToken"):
        found.append(await page(shelf, **data, pageToken=token))
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("sort", ["name", "price", "context", "newest"])
async def test_the_pages_together_are_the_list(size: int, sort: str) -> None:
    seen = await pages(Shelf(MODELS), pageSize=size, sort=sort)
    ids = [model["id"] for page in seen for model in page["models"]]
    assert ids == found(sort=sort)
    assert {page["total"] for page in seen} == {7}
    assert all(len(page["models"]) == size for page in seen[:-1])
    assert seen[-1]["models"]


async def test_a_page_of_nothing_is_the_last() -> None:
    assert await page(Shelf(MODELS), search="nothing like it") == {
        "models": [],
        "total": 0,
        "generation": 1,
        "ageSeconds": 7,
        "stale": False,
    }


async def test_no_data_at_all_asks_for_everything() -> None:
    shelf: Any = Shelf(MODELS)
    assert (await ModelSearch(shelf).get_available_models(asking(None)))["total"] == 7


async def test_a_list_that_changes_between_two_pages_repeats_and_skips_nothing() -> None:
    shelf = Shelf(MODELS)
    first = await page(shelf, pageSize=3)
    more = [entry("new/first", "Aaa"), entry("new/later", "Beta B")]
    shelf.models = ModelList(2, NOW, read_models([*ENTRIES, *more])[0])
    second = await page(shelf, pageSize=3, pageToken=first["nextPageToken"])
    assert [m["id"] for m in second["models"]] == ["other/tools", "new/later", "other/draws"]


async def test_a_page_goes_on_when_the_model_before_it_is_gone() -> None:
    shelf = Shelf(MODELS)
    first = await page(shelf, pageSize=3)
    last = first["models"][-1]["id"]
    shelf.models = ModelList(2, NOW, tuple(model for model in MODELS if model.id != last))
    second = await page(shelf, pageSize=3, pageToken=first["nextPageToken"])
    assert second["models"]


async def test_a_token_is_good_for_its_own_filters_and_any_size_of_page() -> None:
    token = (await page(Shelf(MODELS), pageSize=2))["nextPageToken"]
    assert len((await page(Shelf(MODELS), pageSize=3, pageToken=token))["models"]) == 3
    with pytest.raises(InvalidArgument, match="different filters") as refused:
        await page(Shelf(MODELS), pageSize=2, pageToken=token, free=True)
    assert refused.value.details["field"] == "pageToken"


@given(st.text(max_size=40) | st.binary(max_size=30).map(bytes.hex))
async def test_a_made_up_token_is_refused_by_name(token: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await page(Shelf(MODELS), pageToken=token)
    assert refused.value.details["field"] == "pageToken"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (5, ""),
        ([], ""),
        ({"limit": 5}, "limit"),
        ({"page_size": 5}, "page_size"),
        ({"search": 5}, "search"),
        ({"search": "x" * 201}, "search"),
        ({"capabilities": "tools"}, "capabilities"),
        ({"capabilities": ["flies"]}, "capabilities[0]"),
        ({"maxPromptPrice": "1"}, "maxPromptPrice"),
        ({"maxPromptPrice": -1}, "maxPromptPrice"),
        ({"maxCompletionPrice": float("nan")}, "maxCompletionPrice"),
        ({"maxCompletionPrice": float("inf")}, "maxCompletionPrice"),
        ({"minContext": 1.5}, "minContext"),
        ({"minContext": -1}, "minContext"),
        ({"provider": ["a"]}, "provider"),
        ({"free": "yes"}, "free"),
        ({"outputModality": 1}, "outputModality"),
        ({"sort": "random"}, "sort"),
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 201}, "pageSize"),
        ({"pageSize": True}, "pageSize"),
        ({"pageToken": 7}, "pageToken"),
        ({"pageToken": "x" * 513}, "pageToken"),
    ],
)
async def test_a_bad_field_is_refused_by_name(data: Any, field: str) -> None:
    shelf: Any = Shelf(MODELS)
    with pytest.raises(CallableError) as refused:
        await ModelSearch(shelf).get_available_models(asking(data))
    assert refused.value.details["field"] == field


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_page_of_a_long_list_costs_little(
    listing: ModelListing, record_property: Callable[[str, object], None]
) -> None:
    shelf = Shelf(read_models(listing.enlarged(MANY))[0])
    took = []
    for _ in range(20):
        began = time.process_time()
        encode({"result": await page(shelf, search="a", free=False, maxPromptPrice=100.0)})
        took.append((time.process_time() - began) * 1_000)
    record_property("page_ms", min(took))
    assert min(took) < 50, "5 ms is meant, of a machine that does nothing else"
