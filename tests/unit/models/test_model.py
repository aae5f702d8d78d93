"""OpenRouter's models, read tolerantly; ids, found as people write them."""

import json
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.contract.models import Capability
from firerouter.models.limits import CatalogLimits
from firerouter.models.model import (
    CAPABILITIES,
    Model,
    ModelList,
    dump_models,
    load_models,
    read_model,
    read_models,
)
from firerouter.models.pricing import ExtraPrice, PriceTier
from tests.support.recordings import LISTINGS, ModelListing

MANY = 421  # models: what OpenRouter lists
NOW = datetime(2026, 8, 24, tzinfo=UTC)


def entry(id_: str = "author/name", **changes: Any) -> dict[str, Any]:
    """One of OpenRouter's objects, with some of it changed."""
    return {
        "id": id_,
        "canonical_slug": "author/name-20260805",
        "name": "Author: Name",
        "created": 1_787_336_476,
        "description": "Reads  pictures.\nCalls tools.",
        "context_length": 131_072,
        "architecture": {
            "modality": "text+image->text",
            "input_modalities": ["text", "image", "file"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": "0.0000001", "completion": "0.000015", "web_search": "0.0025"},
        "top_provider": {
            "context_length": 131_072,
            "max_completion_tokens": 16_384,
            "is_moderated": True,
        },
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "temperature", "tools", "reasoning"],
        "expiration_date": "2026-12-31",
        **changes,
    }


def read(**changes: Any) -> Model:
    model = read_model(entry(**changes))
    assert model is not None
    return model


def models_of(*entries: dict[str, Any]) -> ModelList:
    return ModelList(1, NOW, read_models(entries)[0])


def test_a_model_is_read_whole() -> None:
    assert read() == Model(
        id="author/name",
        name="Author: Name",
        provider="author",
        provider_name="Author",
        description="Reads pictures. Calls tools.",
        canonical_slug="author/name-20260805",
        created=1_787_336_476,
        expiration_date=date(2026, 12, 31),
        context_length=131_072,
        max_completion_tokens=16_384,
        input_modalities=("text", "image", "file"),
        output_modalities=("text",),
        capabilities=("tools", "reasoning", "temperature", "vision", "files"),
        supported_parameters=("max_tokens", "temperature", "tools", "reasoning"),
        moderated=True,
        prompt_price=Decimal("0.1"),
        completion_price=Decimal(15),
        prices=(ExtraPrice("webSearch", Decimal("0.0025"), "search"),),
    )


def test_a_client_gets_numbers_and_nothing_that_is_not_known() -> None:
    wire = read(expiration_date=None, canonical_slug=None).to_wire()
    assert wire["promptPrice"] == 0.1
    assert wire["completionPrice"] == 15.0
    assert wire["contextLength"] == 131_072
    assert wire["free"] is False
    assert not {"expirationDate", "canonicalSlug", "variant", "aliasTarget"} & wire.keys()
    json.dumps(wire, allow_nan=False)


def test_a_client_gets_every_field_that_is_known_by_its_camel_case_name() -> None:
    model = Model(
        id="~a/latest",
        name="Latest",
        provider="a",
        provider_name="A",
        description="Text.",
        canonical_slug="a/slug",
        created=1,
        expiration_date=date(2026, 12, 31),
        context_length=2,
        max_completion_tokens=3,
        input_modalities=("text",),
        output_modalities=("text", "image"),
        capabilities=("tools",),
        supported_parameters=("tools",),
        moderated=True,
        prompt_price=Decimal("0.1"),
        completion_price="dynamic",
        long_prompt_tokens=5,
        long_prompt_price=Decimal("0.2"),
        long_completion_price=Decimal("0.3"),
        prices=(ExtraPrice("webSearch", Decimal("0.01"), "search"),),
        price_tiers=(PriceTier(min_prompt_tokens=9, prompt_price=Decimal("0.2")),),
        free=True,
        variant="free",
        alias_target="a/b",
        reasoning_required=True,
        reasoning_efforts=("low",),
        image_parameters=("n",),
    )
    wire = model.to_wire()
    assert wire == {
        "id": "~a/latest",
        "name": "Latest",
        "provider": "a",
        "providerName": "A",
        "description": "Text.",
        "canonicalSlug": "a/slug",
        "created": 1,
        "expirationDate": "2026-12-31",
        "contextLength": 2,
        "maxCompletionTokens": 3,
        "inputModalities": ["text"],
        "outputModalities": ["text", "image"],
        "capabilities": ["tools"],
        "supportedParameters": ["tools"],
        "moderated": True,
        "promptPrice": 0.1,
        "completionPrice": "dynamic",
        "longPromptTokens": 5,
        "longPromptPrice": 0.2,
        "longCompletionPrice": 0.3,
        "prices": [{"name": "webSearch", "usd": 0.01, "per": "search"}],
        "priceTiers": [{"minPromptTokens": 9, "promptPrice": 0.2}],
        "free": True,
        "variant": "free",
        "aliasTarget": "a/b",
        "reasoningRequired": True,
        "reasoningEfforts": ["low"],
        "imageParameters": ["n"],
    }
    assert len(wire) == len(fields(Model))


def test_a_client_always_gets_the_lists_and_the_two_flags() -> None:
    assert Model(id="a/b", name="B", provider="a").to_wire() == {
        "id": "a/b",
        "name": "B",
        "provider": "a",
        "inputModalities": [],
        "outputModalities": [],
        "capabilities": [],
        "supportedParameters": [],
        "moderated": False,
        "free": False,
    }


def test_stored_text_is_ascii_and_leaves_out_what_is_not_known() -> None:
    models = (Model(id="a/b", name="\u00fc", provider="a", prompt_price=Decimal("1E+2")),)
    text = dump_models(models)
    assert text == '[{"id":"a/b","name":"\\u00fc","provider":"a","promptPrice":"100"}]'
    assert load_models(text) == models


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '[{"id":"a/b","name":"B"}]',
        '[{"id":"a/b","name":"B","provider":"a","unknown":1}]',
        '[{"id":"a/b","name":"B","provider":"a","promptPrice":"cheap"}]',
        '[{"id":"a/b","name":"B","provider":"a"}',
    ],
)
def test_text_that_was_not_stored_by_us_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # pydantic's error is one
        load_models(text)


def test_every_capability_that_a_caller_may_ask_for_is_derived() -> None:
    assert set(CAPABILITIES) == set(get_args(Capability))


@pytest.mark.parametrize(
    ("given_", "price"),
    [
        ("0.0000001", Decimal("0.1")),
        ("0.000000895056", Decimal("0.895056")),
        ("1e-6", Decimal(1)),
        ("0", Decimal(0)),
        ("-0", Decimal(0)),
        (0, Decimal(0)),
        (1e-06, Decimal(1)),
        ("-1", "dynamic"),
        (-1, "dynamic"),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999999", None),
        ("9" * 5_000, None),
        (10**4_000, None),
        (float("nan"), None),
        (True, None),
        (None, None),
        (["0"], None),
    ],
)
def test_a_price_is_exact_or_dynamic_or_not_known(given_: Any, price: Any) -> None:
    model = read(pricing={"prompt": given_, "completion": "0.000015"})
    assert model.prompt_price == price
    assert model.completion_price == Decimal(15)
    assert load_models(dump_models([model])) == (model,)


PRICED = {"prompt": "0.000001", "completion": "0.000002"}
FROM_32K = {"min_prompt_tokens": 32_000, "prompt": "0.000004", "completion": "0.000003"}
FROM_256K = {"min_prompt_tokens": 256_000, "prompt": "0.000003", "completion": "0.000009"}


@pytest.mark.parametrize(
    ("overrides", "tokens", "prices"),
    [
        ([FROM_32K], 32_000, (Decimal(4), Decimal(3))),
        ([FROM_256K, FROM_32K], 32_000, (Decimal(4), Decimal(9))),
        ([{**FROM_32K, "prompt": "0.0000005"}], 32_000, (Decimal(1), Decimal(3))),
        ([{"min_prompt_tokens": 9, "prompt": "0.000005"}], 9, (Decimal(5), Decimal(2))),
        ([{"utc_start": 100, "utc_end": 400, "prompt": "0.000008"}], 1, (Decimal(8), Decimal(2))),
        ([{"min_prompt_tokens": "x", "prompt": "0.000008"}], 1, (Decimal(8), Decimal(2))),
        ([{"min_prompt_tokens": 9, "prompt": "0.0000001"}], None, None),
        ([{"min_prompt_tokens": 9, "prompt": "-1", "completion": "NaN"}], None, None),
        ([], None, None),
        (["x", None, 5, {}], None, None),
        ("x", None, None),
    ],
)
def test_a_long_prompt_has_the_highest_of_its_prices(
    overrides: Any, tokens: int | None, prices: Any
) -> None:
    model = read(pricing={**PRICED, "overrides": overrides})
    base = (Decimal(1), Decimal(2))
    assert (model.prompt_price, model.completion_price) == base
    assert model.long_prompt_tokens == tokens
    assert model.prices_at(10**9) == (prices or base)
    assert model.prices_at((tokens or 1) - 1) == base
    assert load_models(dump_models([model])) == (model,)


def test_a_model_without_a_price_has_none_for_long_prompts() -> None:
    model = read(pricing={"prompt": "-1", "completion": "0.000002", "overrides": [FROM_32K]})
    assert model.prices_at(10**9) == ("dynamic", Decimal(2))


ZERO = {"prompt": "0", "completion": "0"}
SONG = {"input_modalities": ["text"], "output_modalities": ["text", "audio"]}


@pytest.mark.parametrize(
    ("id_", "changes", "free"),
    [
        ("a/b:free", {"pricing": ZERO}, True),
        ("openrouter/free", {"pricing": ZERO}, True),
        ("a/b", {"pricing": {**ZERO, "image": "0", "discount": 0}}, True),
        ("a/b", {"pricing": {**ZERO, "image": "0.01"}}, False),
        ("a/b", {"pricing": {**ZERO, "request": "some"}}, False),
        ("a/b", {"pricing": {**ZERO, "overrides": [{"utc_end": 100, "prompt": "0.1"}]}}, False),
        ("a/b", {"pricing": {**ZERO, "overrides": [{"utc_end": 100, "prompt": "0"}]}}, True),
        ("a/b", {"pricing": {"prompt": "0"}}, False),
        ("openrouter/auto", {"pricing": {"prompt": "-1", "completion": "-1"}}, False),
        ("a/b:free", {"pricing": {"prompt": "0.1", "completion": "0"}}, False),
        # its description says: $0.08 per song
        ("google/lyria", {"pricing": ZERO, "architecture": SONG}, False),
    ],
)
def test_a_model_is_free_when_nothing_of_it_is_billed(
    id_: str, changes: dict[str, Any], free: bool
) -> None:
    assert read(id_=id_, **changes).free is free


def test_outputs_make_capabilities() -> None:
    architecture = {"input_modalities": ["audio"], "output_modalities": ["image", "embeddings"]}
    assert read(architecture=architecture, supported_parameters=None).capabilities == (
        "audio",
        "imageOutput",
        "embeddings",
    )


@pytest.mark.parametrize(
    "odd",
    [
        None,
        5,
        [],
        {},
        entry(id=None),
        entry(""),
        entry("no-author"),
        entry("a/b c"),
        entry("a/b\n"),
        entry("a/" + "b" * limits.MODEL_ID_MAX_CHARS),
    ],
)
def test_an_odd_entry_is_left_out_and_counted(odd: Any) -> None:
    models, skipped = read_models([entry("b/b"), odd, entry("a/a"), entry("b/b", name="Again")])
    assert [model.id for model in models] == ["a/a", "b/b"]
    assert models[1].name == "Author: Name"
    assert skipped == 2


def test_an_odd_field_is_as_good_as_absent() -> None:
    names = [name for name in entry() if name != "id"]
    odds: list[Any] = [None, 5, -1, 1e308, "x" * 10_000, [None, {}], {"a": []}, True]
    for odd in odds:
        model = read(**dict.fromkeys(names, odd))
        assert model.id == "author/name"
        assert len(model.description) <= CatalogLimits().description_max_chars
        json.dumps(model.to_wire(), allow_nan=False)


def test_signs_that_do_not_print_are_dropped() -> None:
    assert read(name="A\x00\u202eB \ud800 C").name == "AB C"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)
GARBLED = st.fixed_dictionaries(
    {"id": st.just("a/b") | JSON},
    optional={
        **dict.fromkeys([name for name in entry() if name != "id"], JSON),
        "pricing": st.dictionaries(
            st.sampled_from(["prompt", "completion", "image", "overrides", "discount"]), JSON
        ),
        "architecture": st.dictionaries(
            st.sampled_from(["input_modalities", "output_modalities"]), JSON
        ),
        "alias_target": st.fixed_dictionaries({"slug": JSON}),
    },
)


@given(st.lists(JSON | GARBLED, max_size=4))
def test_no_answer_of_openrouters_raises(entries: list[Any]) -> None:
    models, skipped = read_models(entries)
    assert len(models) + skipped == len(entries)
    for model in models:
        json.dumps(model.to_wire(), allow_nan=False)
    assert load_models(dump_models(models)) == models


# -- ids as people write them ----------------------------------------------------------------------


KNOWN = models_of(
    entry("a/b"),
    entry("a/b:free"),
    entry("a/b:thinking"),
    entry("~a/latest", alias_target={"name": "B", "slug": "a/b"}),
    entry("~a/gone-latest", alias_target={"slug": "a/gone"}),
    entry("openrouter/auto"),
)


@pytest.mark.parametrize(
    ("asked", "listed", "suffixes"),
    [
        ("a/b", "a/b", ()),
        ("a/b:free", "a/b:free", ()),
        ("a/b:nitro", "a/b", ("nitro",)),
        ("a/b:free:online", "a/b:free", ("online",)),
        ("a/b:floor:online", "a/b", ("floor", "online")),
        ("a/b:thinking", "a/b:thinking", ()),
        ("a/b:extended", "a/b", ("extended",)),
        ("a/b:nope", None, ()),
        ("a/b:batch", None, ()),
        ("a/nope:nitro", None, ("nitro",)),
        ("nitro", None, ()),
        (":nitro", None, ()),
        ("", None, ()),
        ("A/B", None, ()),
    ],
)
def test_virtual_suffixes_are_taken_off(
    asked: str, listed: str | None, suffixes: tuple[str, ...]
) -> None:
    found = KNOWN.resolve(asked)
    assert (found.model.id if found.model else None) == listed
    assert found.suffixes == suffixes
    assert found.preset is None


def test_an_alias_leads_to_its_target() -> None:
    found = KNOWN.resolve("~a/latest:online")
    assert found.model is KNOWN.get("~a/latest")
    assert found.target is KNOWN.get("a/b")
    assert KNOWN.resolve("~a/gone-latest").target is None
    unknown = KNOWN.resolve("~a/nope-latest")
    assert unknown.model is None


def test_a_preset_is_told_with_or_without_its_model() -> None:
    alone = KNOWN.resolve("@preset/support")
    assert (alone.model, alone.preset) == (None, "support")
    beside = KNOWN.resolve("a/b:nitro@preset/support")
    assert beside.model is KNOWN.get("a/b")
    assert (beside.preset, beside.suffixes) == ("support", ("nitro",))


def test_a_router_is_told_from_a_model() -> None:
    assert KNOWN.resolve("openrouter/auto").is_router
    assert KNOWN.resolve("openrouter/auto:nitro").model is KNOWN.get("openrouter/auto")
    assert KNOWN.resolve("openrouter/new").is_router
    assert not KNOWN.resolve("a/b").is_router


@given(st.text() | st.text(alphabet="a/b:~@presetnitro", max_size=30))
def test_nothing_that_is_typed_raises(asked: str) -> None:
    assert KNOWN.resolve(asked).requested == asked


# -- whole lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize("listing", LISTINGS)
def test_every_model_of_a_list_is_read(listing: ModelListing) -> None:
    models, skipped = read_models(listing.entries)
    assert skipped == 0
    assert len(models) == len(listing.entries) == listing.count
    for model in models:
        assert model.created
        assert model.context_length
        assert model.prompt_price is not None
        assert model.completion_price is not None
        assert model.description
        assert "text" in model.input_modalities
    by_price = {model.id for model in models if model.prompt_price == "dynamic"}
    assert by_price == listing.priced_dynamically
    assert sum(model.variant == "batch" for model in models) == listing.batches
    assert sum(model.alias_target is not None for model in models) == listing.aliases
    others = {model.id for model in models if model.free and model.variant != "free"}
    assert others == listing.free_by_price
    assert all(model.free for model in models if model.variant == "free")


@pytest.mark.parametrize("listing", LISTINGS)
def test_the_aliases_of_a_list_lead_to_listed_models(listing: ModelListing) -> None:
    known = models_of(*listing.entries)
    aliases = [model for model in known.models if model.id.startswith("~")]
    assert len(aliases) == listing.aliases
    assert all(known.resolve(model.id).target for model in aliases)


@pytest.mark.parametrize("listing", LISTINGS)
def test_a_long_list_is_read_in_a_moment(
    listing: ModelListing, record_property: Callable[[str, object], None]
) -> None:
    def best_ms(work: Callable[[], object]) -> float:
        took = []
        for _ in range(5):
            began = time.process_time()
            work()
            took.append((time.process_time() - began) * 1_000)
        return min(took)

    entries = listing.enlarged(MANY)
    models, _ = read_models(entries)
    assert len(models) >= MANY
    text = dump_models(models)
    from_openrouter = best_ms(lambda: read_models(entries))
    from_documents = best_ms(lambda: load_models(text))
    record_property("from_openrouter_ms", from_openrouter)
    record_property("from_documents_ms", from_documents)
    assert from_openrouter < 250, "50 ms is meant, of a machine that does nothing else"
