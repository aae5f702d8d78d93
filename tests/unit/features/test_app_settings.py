"""The app's own settings, read from whatever the document holds."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import limits
from firerouter.features.app_settings import AppSettings, ReadAppSettings, read_app_settings
from firerouter.ledger.caps import Ceiling, LimitsOverride, UserLimits

ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = ("appName", "referer", "limits", "freeModelsOnly", "replaceGoneModels", "revision", "x")
LIMITS = st.dictionaries(st.sampled_from(["concurrent", "usdPerDay", "usdPerMonth", "x"]), ANY)
WHATEVER = {
    **dict.fromkeys(NAMES, ANY),
    **dict.fromkeys(("limits", "anonymousLimits", "ceiling"), LIMITS | ANY),
    "tiers": st.dictionaries(st.sampled_from(["pro", "free", "not a name"]), LIMITS | ANY) | ANY,
}


def test_an_empty_document_holds_the_defaults() -> None:
    assert read_app_settings({}) == ReadAppSettings(AppSettings(), 0)


def test_what_was_saved_is_read() -> None:
    settings = AppSettings(
        app_name="Mine",
        referer="https://mine.test",
        limits=UserLimits(concurrent=3),
        free_models_only=False,
        replace_gone_models=True,
    )
    document = {**settings.to_json(), "revision": 4, "keys": {}, "catalog": {}}
    assert read_app_settings(document) == ReadAppSettings(settings, 4)


def test_a_malformed_field_falls_back_and_is_named() -> None:
    found = read_app_settings(
        {"appName": 7, "freeModelsOnly": "no", "limits": {"concurrent": "many", "usdPerDay": 2.0}}
    )
    assert found.settings == AppSettings(limits=UserLimits(usd_per_day=2.0))
    assert found.malformed == ("limits.concurrent", "appName", "freeModelsOnly")


@pytest.mark.parametrize("odd", [-1, 1e9, 10**30, math.nan, math.inf, "5", True, []])
@pytest.mark.parametrize("part", ["limits", "anonymousLimits", "tiers.pro"])
def test_a_limit_that_makes_no_sense_takes_no_other_along(part: str, odd: Any) -> None:
    typed = {"usdPerDay": odd, "concurrent": 1}
    document = (
        {part: typed}
        if part != "tiers.pro"
        else {"tiers": {"pro": typed, "free": {"usdPerDay": 0.5}, "odd": 7}}
    )
    found = read_app_settings(document)
    settings = found.settings
    if part == "limits":
        assert settings.limits == UserLimits(concurrent=1)
        assert found.malformed == ("limits.usdPerDay",)
    elif part == "anonymousLimits":
        assert settings.anonymous_limits == LimitsOverride(concurrent=1)
        assert found.malformed == ("anonymousLimits.usdPerDay",)
    else:
        free = LimitsOverride(usd_per_day=0.5)
        assert settings.tiers == {"pro": LimitsOverride(concurrent=1), "free": free}
        assert found.malformed == ("tiers.odd", "tiers.pro.usdPerDay")


@pytest.mark.parametrize("odd", ["gold plan", "2nd", "a.b", "`x`", "\U0001f600", "x" * 65, "x\n"])
def test_a_tier_whose_name_makes_no_sense_takes_no_other_along(odd: str) -> None:
    found = read_app_settings({"tiers": {odd: {"usdPerDay": 9}, "pro": {"usdPerDay": 2}}})
    assert found.settings.tiers == {"pro": LimitsOverride(usd_per_day=2.0)}
    assert found.malformed == (f"tiers.{odd[:64]}",)


def test_a_tier_too_many_takes_no_other_along() -> None:
    tiers = {f"tier{number:02}": {"concurrent": 1} for number in range(limits.TIERS_MAX + 2)}
    found = read_app_settings({"tiers": tiers})
    assert [*found.settings.tiers] == [*tiers][: limits.TIERS_MAX]
    assert found.malformed == ("tiers.tier20", "tiers.tier21")


@pytest.mark.parametrize(
    ("ceiling", "read"),
    [
        ({"usdPerDay": -1, "usdPerMonth": 50}, Ceiling(usd_per_month=50)),
        ({"usdPerDay": 3, "usdPerMonth": "many"}, Ceiling(usd_per_day=3)),
        ({"usdPerDay": 500}, Ceiling()),  # more than the default of a month
        ({"usdPerDay": 9, "usdPerMonth": 5}, Ceiling()),
        ({"usdPerDay": "x", "usdPerMonth": 5}, Ceiling()),  # the default of a day is more
        (7, Ceiling()),
    ],
)
def test_a_ceiling_that_makes_no_sense_is_as_far_as_it_can_be_the_default(
    ceiling: Any, read: Ceiling
) -> None:
    found = read_app_settings({"ceiling": ceiling})
    assert found.settings.ceiling == read
    assert found.malformed


@pytest.mark.parametrize("revision", [None, -1, 2**53, True, "4", 4.0])
def test_a_malformed_revision_is_none(revision: Any) -> None:
    assert read_app_settings({"revision": revision}).revision == 0


@given(st.fixed_dictionaries({}, optional=WHATEVER))
def test_whatever_a_document_holds_are_settings(document: dict[str, object]) -> None:
    settings = read_app_settings(document).settings
    assert AppSettings.model_validate(settings.to_json(), by_alias=True, by_name=False) == settings
