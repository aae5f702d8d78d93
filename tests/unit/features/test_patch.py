"""A patch of settings keeps what it does not give, whatever it gives."""

import typing
from typing import Any

import pytest

from firerouter.contract import Record
from firerouter.errors import InvalidArgument
from firerouter.features.patch import GROUPS, patched
from firerouter.features.settings import FeatureSettings

# whose parts depend on one another: a patch gives all of them
WHOLE = {"responseFormat"}


def settings(**fields: Any) -> FeatureSettings:
    return FeatureSettings.model_validate(fields, by_alias=True, by_name=False)


def after(given: dict[str, Any], remove: Any = (), **before: Any) -> dict[str, Any]:
    values = patched(settings(**before), given, remove)
    return FeatureSettings.model_validate(values, by_alias=True, by_name=False).to_json()


def test_what_is_not_given_stays() -> None:
    before = {"systemPrompt": "Be kind.", "temperature": 0.5, "stop": ["x"], "stream": False}
    assert after({"topP": 0.5}, **before) == settings(**before, topP=0.5).to_json()
    assert after({}, **before) == settings(**before).to_json()


def test_null_is_not_given() -> None:
    before = {"temperature": 0.5, "reasoning": {"effort": "low"}}
    given = {"temperature": None, "reasoning": {"effort": None, "exclude": None}, "limits": None}
    assert after(given, **before) == settings(**before).to_json()


def test_what_is_removed_returns_to_its_default() -> None:
    before = {
        "temperature": 0.5,
        "systemPrompt": "x",
        "reasoning": {"effort": "low"},
        "limits": {"usdPerDay": 1, "requestsPerDay": 5},
    }
    removed = ("temperature", "systemPrompt", "reasoning", "limits.usdPerDay", "seed")
    assert after({}, removed, **before) == settings(limits={"requestsPerDay": 5}).to_json()
    assert after({"temperature": 1}, ("temperature",), **before)["temperature"] == 1
    assert after({}, ("provider.maxPrice.prompt",), **before) == settings(**before).to_json()


@pytest.mark.parametrize("path", ["", "nope", "parameters.x", "caps", "a.b.c"])
def test_only_settings_are_removed(path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        patched(settings(), {}, ["seed", path])
    assert refused.value.details["field"] == "remove[1]"


def test_the_parts_of_a_group_stay_as_well() -> None:
    before = {
        "limits": {"requestsPerDay": 5, "usdPerDay": 0.5},
        "provider": {"zdr": True, "maxPrice": {"prompt": 1, "completion": 2}},
        "reasoning": {"effort": "low"},
    }
    given = {
        "limits": {"requestsPerDay": 9},
        "provider": {"sort": "price", "maxPrice": {"completion": 3}},
        "reasoning": {"exclude": True},
    }
    found = after(given, **before)
    assert found["limits"] == {"requestsPerDay": 9, "usdPerDay": 0.5}
    assert found["provider"] == {
        "zdr": True,
        "sort": "price",
        "maxPrice": {"prompt": 1, "completion": 3},
    }
    assert found["reasoning"] == {"effort": "low", "exclude": True}


def test_lists_and_json_of_an_admins_own_are_replaced_as_a_whole() -> None:
    before = {"fallbackModels": ["a/b", "c/d"], "parameters": {"x": {"y": 1}}}
    found = after({"fallbackModels": ["e/f"], "parameters": {"x": {"z": 2}}}, **before)
    assert found["fallbackModels"] == ["e/f"]
    assert found["parameters"] == {"x": {"z": 2}}


@pytest.mark.parametrize("value", [7, "high", [], True])
def test_a_value_of_the_wrong_type_is_left_for_the_validation(value: Any) -> None:
    assert patched(settings(), {"reasoning": value})["reasoning"] == value


def test_a_feature_that_does_not_exist_is_patched_from_nothing() -> None:
    assert patched(None, {"temperature": 0.5}) == {"temperature": 0.5}


def records(model: type[Record], within: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        parts = typing.get_args(field.annotation)
        parts = () if typing.get_origin(field.annotation) in (list, dict) else parts
        for part in (field.annotation, *parts):
            if isinstance(part, type) and issubclass(part, Record):
                path = f"{within}{field.alias or name}"
                found |= {path} | (set() if path in WHOLE else records(part, f"{path}."))
    return found


def test_every_setting_with_parts_is_a_group_or_a_whole() -> None:
    """A new one has to be decided upon."""
    assert records(FeatureSettings) == GROUPS | WHOLE
