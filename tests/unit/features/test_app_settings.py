"""The app's own settings, read from whatever the document holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.features.app_settings import AppSettings, ReadAppSettings, read_app_settings
from firerouter.ledger.caps import UserLimits

ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = ("appName", "referer", "limits", "freeModelsOnly", "replaceGoneModels", "revision", "x")
LIMITS = st.dictionaries(st.sampled_from(["concurrent", "usdPerDay", "x"]), ANY)


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
    assert found.malformed == ("concurrent", "appName", "freeModelsOnly")


@pytest.mark.parametrize("revision", [None, -1, 2**53, True, "4", 4.0])
def test_a_malformed_revision_is_none(revision: Any) -> None:
    assert read_app_settings({"revision": revision}).revision == 0


@given(st.fixed_dictionaries({}, optional={**dict.fromkeys(NAMES, ANY), "limits": LIMITS | ANY}))
def test_whatever_a_document_holds_are_settings(document: dict[str, object]) -> None:
    settings = read_app_settings(document).settings
    assert AppSettings.model_validate(settings.to_json(), by_alias=True, by_name=False) == settings
