"""What settings ask for that a model ignores, and what is billed besides the model."""

from typing import Any

import pytest

from firerouter.features.abilities import (
    SAMPLING,
    paid_extras,
    unsupported_fields,
    unsupported_image_options,
    unsupported_settings,
)
from firerouter.features.settings import FeatureSettings
from firerouter.models.model import Model

SET: dict[str, Any] = {
    **dict.fromkeys(("temperature", "topP", "minP", "topA", "repetitionPenalty"), 1.0),
    **dict.fromkeys(("topK", "seed", "presencePenalty", "frequencyPenalty", "maxTokens"), 1),
    "stop": ["x"],
    "reasoning": {"effort": "low"},
}


def settings(**fields: Any) -> FeatureSettings:
    return FeatureSettings.model_validate(fields, by_alias=True, by_name=False)


def model(*parameters: str, images: tuple[str, ...] = ()) -> Model:
    return Model(
        id="a/a",
        name="A",
        provider="a",
        supported_parameters=parameters,
        image_parameters=images,
    )


@pytest.mark.parametrize("name", SAMPLING)
def test_a_sampling_setting_is_unsupported_unless_one_of_its_names_is_listed(name: str) -> None:
    one = settings(**{name: SET[name]})
    assert unsupported_settings(one, model("other")) == [name]
    for parameter in SAMPLING[name]:
        assert unsupported_settings(one, model(parameter)) == []


def test_what_is_not_set_or_not_known_is_not_unsupported() -> None:
    assert unsupported_settings(settings(), model("other")) == []
    assert unsupported_settings(settings(**SET), None) == []
    assert unsupported_settings(settings(**SET), model()) == []


def test_a_field_that_says_no_is_not_unsupported() -> None:
    assert unsupported_fields({"temperature": False, "tools": []}, model("other")) == []
    assert unsupported_fields({"responseFormat": "text"}, model("other")) == []


def test_of_the_image_api_every_option_is_compared_with_its_list() -> None:
    drawing = settings(
        kind="image",
        imageApi="images",
        imageOptions={"aspectRatio": "1:1", "size": "1K", "n": 2, "seed": 7},
    )
    options = drawing.image_options
    known = model(images=("resolution", "n"))
    assert unsupported_image_options(options, drawing, known) == [
        "imageOptions.aspectRatio",
        "imageOptions.seed",
    ]
    assert unsupported_image_options(options, drawing, model()) == []


def test_one_image_is_what_every_model_makes() -> None:
    drawing = settings(kind="image", imageApi="images", imageOptions={"n": 1})
    assert unsupported_image_options(drawing.image_options, drawing, model(images=("x",))) == []


def test_what_is_billed_besides_the_model_is_named_by_its_field() -> None:
    extras = settings(
        tools=[{"type": "openrouter:datetime"}, {"type": "openrouter:web_search"}],
        plugins=[{"id": "response-healing"}, {"id": "web"}, {"id": "pdf", "enabled": False}],
        parameters={"web_search_options": {}, "logit_bias": {}},
    )
    assert list(paid_extras(extras)) == [
        ("tools[1]", "The tool openrouter:web_search"),
        ("plugins[1]", "The plugin web"),
        ("parameters.web_search_options", "The parameter web_search_options"),
    ]


@pytest.mark.parametrize(
    ("pdf", "paid"),
    [
        ({"engine": "pdf-text"}, False),
        ({"engine": "cloudflare-ai"}, False),
        ({"engine": "mistral-ocr"}, True),
        ({"engine": "native"}, True),
        ({}, True),
        ("cloudflare-ai", True),
    ],
)
def test_the_free_pdf_parser_is_not_billed(pdf: Any, paid: bool) -> None:
    settings = FeatureSettings(plugins=[{"id": "file-parser", "pdf": pdf}])
    assert bool([*paid_extras(settings)]) is paid
