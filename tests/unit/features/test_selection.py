"""Which models answer, and what of a request they support, without the catalog or Firestore."""

from typing import Any

import pytest

from firerouter import limits
from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import ModelNotAllowed
from firerouter.features.selection import (
    models_in_order,
    optional_features,
    preference_notice,
    unsupported,
    unsupported_notice,
    without,
)
from firerouter.features.settings import FeatureSettings
from firerouter.models.model import Model

TOOL = {"name": "look_up", "parameters": {"type": "object"}}
ALL_OF_IT: dict[str, Any] = {
    "temperature": 0.0,
    "tools": [TOOL],
    "toolChoice": "required",
    "parallelToolCalls": False,
    "responseFormat": {"type": "json_object"},
    "imageOptions": {"seed": 7, "aspectRatio": "1:1"},
}
FIELDS = ["temperature", "tools", "toolChoice", "parallelToolCalls", "responseFormat"]


def request(**fields: Any) -> ExecutePrompt:
    return parse(ExecutePrompt, {"feature": "chat", "prompt": "Hi", **fields})


def model(*parameters: str, images: tuple[str, ...] = ()) -> Model:
    return Model(
        id="a/a",
        name="A",
        provider="a",
        supported_parameters=parameters,
        image_parameters=images,
    )


SETTINGS = FeatureSettings(model="a/a", fallback_models=["b/b", "a/a"], allowed_models=["c/c"])


@pytest.mark.parametrize(
    ("requested", "models"),
    [
        (None, ("a/a", "b/b")),
        ("a/a", ("a/a", "b/b")),
        ("c/c", ("c/c", "b/b", "a/a")),
    ],
)
def test_the_requested_model_comes_before_the_fallbacks(
    requested: str | None, models: tuple[str, ...]
) -> None:
    assert models_in_order(SETTINGS, requested) == models


def test_a_fallback_may_not_be_requested() -> None:
    with pytest.raises(ModelNotAllowed) as refused:
        models_in_order(SETTINGS, "b/b")
    assert refused.value.details["field"] == "model"
    assert "b/b" in refused.value.message


def test_a_plain_request_asks_for_nothing_optional() -> None:
    assert not any(optional_features(request()).values())
    assert not any(optional_features(request(parallelToolCalls=True)).values())


def test_a_model_that_lists_no_parameters_supports_everything() -> None:
    for known in (None, model()):
        assert unsupported(request(**ALL_OF_IT), SETTINGS, known) == []


def test_a_model_that_lists_little_supports_little() -> None:
    fields = unsupported(request(**ALL_OF_IT), SETTINGS, model("max_tokens"))
    assert fields == [*FIELDS, "imageOptions.seed"]


def test_what_is_listed_is_supported() -> None:
    known = model("temperature", "tools", "tool_choice", "parallel_tool_calls", "response_format")
    assert unsupported(request(**ALL_OF_IT), SETTINGS, known) == ["imageOptions.seed"]


def test_a_json_schema_needs_more_than_json() -> None:
    schema = {"type": "json_schema", "name": "x", "schema": {"type": "object"}}
    fields = unsupported(request(responseFormat=schema), SETTINGS, model("response_format"))
    assert fields == ["responseFormat"]


def test_without_an_unsupported_field_the_rest_of_a_request_stays() -> None:
    whole = request(**ALL_OF_IT)
    assert without(whole, []) == whole
    assert without(whole, ["temperature"]) == request(
        **{name: value for name, value in ALL_OF_IT.items() if name != "temperature"}
    )


def test_without_tools_nothing_is_said_of_their_use() -> None:
    left = without(request(**ALL_OF_IT), ["tools"])
    assert (left.tools, left.tool_choice, left.parallel_tool_calls) == ([], None, None)


def test_without_a_single_image_option_the_others_stay() -> None:
    left = without(request(**ALL_OF_IT), ["imageOptions.seed"])
    assert left.image_options is not None
    assert (left.image_options.seed, left.image_options.aspect_ratio) == (None, "1:1")


@pytest.mark.parametrize("field", [*FIELDS, "imageOptions.seed"])
def test_what_was_left_out_is_not_unsupported_any_more(field: str) -> None:
    known = model("max_tokens")
    left = without(request(**ALL_OF_IT), [field])
    assert field not in unsupported(left, SETTINGS, known)


def test_a_notice_is_a_sentence_with_its_reason() -> None:
    dropped = unsupported_notice("a/a", "temperature")
    assert (dropped["reason"], dropped["field"]) == ("parameter_dropped", "temperature")
    assert dropped["message"] == "a/a doesn't support temperature, so it was left out."
    gone = preference_notice("a/" + "b" * 1_000)
    assert gone["reason"] == "preference_dropped"
    assert len(gone["message"]) < limits.MODEL_ID_MAX_CHARS + 60
