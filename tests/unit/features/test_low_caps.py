"""Budgets that leave no room for a single call are warned of, and no others."""

from datetime import UTC, datetime
from typing import Any

import pytest

from firerouter.features.app_settings import AppSettings
from firerouter.features.low_caps import low_caps_of_app, low_caps_of_feature
from firerouter.features.settings import FeatureSettings
from firerouter.models.model import ModelList, read_models


def entry(id_: str, price: str, output: str = "text") -> dict[str, Any]:
    """One of OpenRouter's objects."""
    return {
        "id": id_,
        "name": id_,
        "context_length": 32_000,
        "architecture": {"input_modalities": ["text"], "output_modalities": [output]},
        "pricing": {"prompt": price, "completion": price},
    }


MODELS = ModelList(
    1,
    datetime(2026, 8, 24, tzinfo=UTC),
    read_models(
        [
            entry("a/all", "0.000002"),
            entry("a/all:free", "0"),
            entry("a/brush", "0.000002", "image"),
            entry("openrouter/auto", "-1"),
        ]
    )[0],
)
# a/all writes a million tokens for two dollars, so 256 of them for $0.000512


def of_app(**fields: Any) -> dict[str, str]:
    settings = AppSettings.model_validate(fields, by_alias=True)
    return {finding.field: finding.message for finding in low_caps_of_app(settings)}


def of_feature(**fields: Any) -> dict[str, str]:
    settings = FeatureSettings.model_validate({"model": "a/all", **fields}, by_alias=True)
    found = low_caps_of_feature(settings, MODELS, 0.02)
    assert all(finding.reason == "cap_below_reserve" for finding in found)
    return {f.field: f.message for f in low_caps_of_feature(settings, MODELS, 0.02)}


def test_the_defaults_leave_room() -> None:
    assert of_app() == of_feature() == {}


def test_each_budget_of_the_app_is_held_against_the_reserve() -> None:
    low = {"usdPerDay": 0.01, "usdPerMonth": 0.019}
    found = of_app(limits=low, anonymousLimits=low, tiers={"pro": low}, ceiling=low)
    parts = ("limits", "anonymousLimits", "tiers.pro", "ceiling")
    assert {*found} == {f"{part}.{name}" for part in parts for name in low}
    assert found["limits.usdPerDay"] == (
        "An answer, an image or a tool whose price isn't known reserves $0.02, more than "
        "limits.usdPerDay allows, so it is refused."
    )


@pytest.mark.parametrize("usd", [0, 0.02, 5])
def test_a_budget_of_nothing_is_meant_and_one_with_room_is_no_problem(usd: float) -> None:
    assert of_app(limits={"usdPerDay": usd}) == {}


def test_a_feature_is_held_against_the_shortest_answer_of_its_model() -> None:
    low, enough = {"usdPerDay": 0.0005}, {"usdPerDay": 0.00052}
    assert [*of_feature(limits=low)] == ["limits.usdPerDay"]
    assert of_feature(limits=enough) == {}
    assert of_feature(limits=low, maxTokens=10) == {}, "which reserves less"
    assert of_feature(limits=low, model="a/all:free") == {}
    assert "$0.02" in of_feature(limits=enough, model="openrouter/auto")["limits.usdPerDay"]
    assert "$0.02" in of_feature(limits=enough, model="a/brush", kind="image")["limits.usdPerDay"]


def test_without_a_list_of_models_nothing_is_said_of_a_feature() -> None:
    settings = FeatureSettings.model_validate({"limits": {"usdPerDay": 0.0001}}, by_alias=True)
    assert [*low_caps_of_feature(settings, None, 0.02)] == []
