"""The app's settings with some of them replaced."""

import math
from typing import Any

import pytest

from firerouter.admin.app_settings import merged, named_settings
from firerouter.errors import SettingsRefused
from firerouter.features.app_settings import AppSettings
from firerouter.features.feature import Draft, Feature
from firerouter.features.settings import FeatureSettings
from firerouter.ledger.caps import UserLimits

BEFORE = AppSettings(app_name="Mine", limits=UserLimits(concurrent=2, usd_per_day=3.0))


def test_what_is_not_given_stays() -> None:
    after = merged(BEFORE, {"freeModelsOnly": False, "limits": {"concurrent": 4}})
    assert after == AppSettings(
        app_name="Mine",
        free_models_only=False,
        limits=UserLimits(concurrent=4, usd_per_day=3.0),
    )
    assert merged(BEFORE, {}) == BEFORE


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"appName": 7}, "appName"),
        ({"app_name": "by its Python name"}, "app_name"),
        ({"limits": {"concurrent": 0}}, "limits.concurrent"),
        ({"limits": 7}, "limits"),
        ({"limits": {"usdPerDay": -1}}, "limits.usdPerDay"),
        ({"limits": {"usdPerDay": 1e9}}, "limits.usdPerDay"),
        ({"limits": {"usdPerMonth": math.nan}}, "limits.usdPerMonth"),
        ({"limits": {"reserveUsd": 0}}, "limits.reserveUsd"),
        ({"limits": {"tokensPerDay": 10**18}}, "limits.tokensPerDay"),
        ({"ceiling": {"usdPerDay": -1}}, "ceiling.usdPerDay"),
        ({"ceiling": {"usdPerDay": 300}}, "ceiling.usdPerDay"),
        ({"anonymousLimits": {"concurrent": -1}}, "anonymousLimits.concurrent"),
        ({"tiers": {"pro": {"usdPerDay": math.inf}}}, "tiers.pro.usdPerDay"),
        ({"referer": "javascript:alert(1)"}, "referer"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        merged(BEFORE, given)
    assert refused.value.details["field"] == field


def test_a_feature_and_its_draft_have_names_for_a_sentence() -> None:
    one, other = FeatureSettings(model="a/a"), FeatureSettings(model="b/b")
    feature = Feature("chat", True, 1, one, Draft(2, other, 5.0))
    assert list(named_settings(feature)) == [
        ("the feature chat", one),
        ("the draft of the feature chat", other),
    ]
