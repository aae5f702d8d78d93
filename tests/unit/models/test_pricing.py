"""Everything that OpenRouter charges for reaches the catalog, whatever the list holds."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.models.model import Model, dump_models, load_models, read_model
from firerouter.models.pricing import (
    ExtraPrice,
    PriceTier,
    read_extra_prices,
    read_price_tiers,
)

DRAWS = {
    "prompt": "0.0000003",
    "completion": "0.0000025",
    "image": "0.0000003",
    "image_output": "0.00003",
    "web_search": "0.014",
    "request": "0.005",
    "internal_reasoning": "0",
    "discount": 0,
    "audio": "cheap",
}
TIER = {
    "min_prompt_tokens": 200_000,
    "prompt": "0.000004",
    "completion": "0.000012",
    "input_cache_read": "0.000001",
}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
NAMES = st.sampled_from([*DRAWS, "overrides", "__x", "a b", "x" * 99]) | st.text(max_size=5)


def model(pricing: Any) -> Model:
    found = read_model({"id": "a/b", "name": "Acme: B", "pricing": pricing})
    assert found is not None
    return found


def test_what_is_billed_by_the_token_is_for_a_million_of_them_and_the_rest_by_the_piece() -> None:
    assert read_extra_prices(DRAWS) == (
        ExtraPrice("image", Decimal("0.3")),
        ExtraPrice("imageOutput", Decimal(30)),
        ExtraPrice("request", Decimal("0.005"), "request"),
        ExtraPrice("webSearch", Decimal("0.014"), "search"),
    )


def test_a_price_that_depends_on_the_request_is_dynamic() -> None:
    assert read_extra_prices({"image_output": "-1"}) == (ExtraPrice("imageOutput", "dynamic"),)


def test_prices_for_long_prompts_and_certain_hours_are_tiers() -> None:
    night = {"utc_start": 1000, "utc_end": 100, "prompt": "0.00000022"}
    assert read_price_tiers({"overrides": [TIER, night, "x", None]}) == (
        PriceTier(
            min_prompt_tokens=200_000,
            prompt_price=Decimal(4),
            completion_price=Decimal(12),
            prices=(ExtraPrice("inputCacheRead", Decimal(1)),),
        ),
        PriceTier(utc_start=1000, utc_end=100, prompt_price=Decimal("0.22")),
    )


def test_a_client_gets_them_all() -> None:
    wire = model({**DRAWS, "overrides": [TIER]}).to_wire()
    assert {price["name"]: price["usd"] for price in wire["prices"]}["imageOutput"] == 30.0  # type: ignore[attr-defined]
    assert wire["priceTiers"] == [
        {
            "minPromptTokens": 200_000,
            "promptPrice": 4.0,
            "completionPrice": 12.0,
            "prices": [{"name": "inputCacheRead", "usd": 1.0, "per": "million tokens"}],
        }
    ]
    assert wire["providerName"] == "Acme"


@pytest.mark.parametrize("name", ["B", "", None, 7, ": B"])
def test_without_an_authors_name_there_is_none(name: Any) -> None:
    found = read_model({"id": "a/b", "name": name})
    assert found is not None
    assert "providerName" not in found.to_wire()


@given(st.dictionaries(NAMES, ANY, max_size=6) | ANY)
def test_whatever_is_listed_can_be_stored_and_read_again(pricing: Any) -> None:
    found = model(pricing)
    assert load_models(dump_models([found])) == (found,)
