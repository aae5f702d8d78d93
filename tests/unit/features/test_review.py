"""What an admin sets, held against what the models can do: each thing that is said, and of what."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from firerouter.features.abilities import FREE_PLUGINS, FREE_TOOLS, SAMPLING, paid_extras
from firerouter.features.defaults import DEFAULTS
from firerouter.features.review import Review, review_settings
from firerouter.features.settings import FREE_FALLBACK, FREE_MODEL, FeatureSettings
from firerouter.models.ids import is_free
from firerouter.models.model import ModelList, read_models
from tests.support.recordings import LISTINGS, ModelListing

TODAY = date(2026, 8, 24)
FREE = {"prompt": "0", "completion": "0"}
PAID = {"prompt": "0.000001", "completion": "0.000002"}
ALL = [
    *("max_tokens", "temperature", "top_p", "top_k", "min_p", "top_a", "seed", "stop", "tools"),
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "structured_outputs"),
    *("response_format", "reasoning", "logit_bias"),
]


def entry(
    id_: str,
    *,
    pricing: dict[str, str] = PAID,
    takes: list[str] = ALL,
    outputs: tuple[str, ...] = ("text",),
    most: int | None = 8_000,
    context: int = 32_000,
    **more: Any,
) -> dict[str, Any]:
    """One of OpenRouter's objects."""
    return {
        "id": id_,
        "canonical_slug": f"{id_}-20260805",
        "name": id_,
        "context_length": context,
        "architecture": {"input_modalities": ["text"], "output_modalities": list(outputs)},
        "pricing": pricing,
        "top_provider": {"context_length": context, "max_completion_tokens": most},
        "supported_parameters": takes,
        **more,
    }


MODELS = ModelList(
    1,
    datetime(2026, 8, 24, tzinfo=UTC),
    read_models(
        [
            entry("a/all"),
            entry("a/all:free", pricing=FREE),
            entry("a/all:batch"),
            entry("a/gratis", pricing=FREE),  # free, though its name does not say so
            entry("a/plain", takes=["max_tokens"]),
            entry("a/newer", takes=["max_completion_tokens"], most=None),
            entry("a/silent", takes=[]),
            entry("a/ends", expiration_date="2026-09-07"),
            entry("a/ended", expiration_date="2026-08-01"),
            entry("a/later", expiration_date="2026-09-08"),
            entry("a/painter", outputs=("image", "text")),
            entry("a/brush", outputs=("image",)),
            entry("a/vectors", outputs=("embeddings",), takes=[]),
            entry("~a/all-latest", alias_target={"slug": "a/plain"}),
            entry("~a/free-latest", pricing=FREE, alias_target={"slug": "a/all"}),
            entry("~a/lost-latest", alias_target={"slug": "a/nowhere"}),
            entry("openrouter/auto", pricing={"prompt": "-1", "completion": "-1"}, most=None),
            entry("openrouter/free", pricing=FREE, most=None, context=200_000),
        ]
    )[0],
)


def look(
    values: dict[str, Any] | FeatureSettings,
    *,
    models: ModelList | None = MODELS,
    free_only: bool = False,
    known: tuple[str, ...] = (),
) -> Review:
    if isinstance(values, dict):
        values = FeatureSettings.model_validate(
            {"model": "a/all", **values}, by_alias=True, by_name=False
        )
    return review_settings(values, models, free_only=free_only, known=frozenset(known), today=TODAY)


def said(found: Review) -> tuple[list[str], list[str]]:
    """(errors, warnings), each as "field: reason"."""
    for finding in (*found.errors, *found.warnings):
        assert finding.message.endswith(".")
        assert finding.to_wire().keys() == {"field", "reason", "message"}
    return tuple(  # type: ignore[return-value]
        [f"{finding.field}: {finding.reason}" for finding in findings]
        for findings in (found.errors, found.warnings)
    )


SCHEMA = {"responseFormat": {"type": "json_schema", "name": "x", "schema": {}}}
OBJECT = {"responseFormat": {"type": "json_object"}}
SEARCH = {"tools": [{"type": "openrouter:web_search"}]}

# what is set: errors, warnings
SAID: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "a kind that Firerouter does not make": ({"kind": "video"}, [], ["kind: not_used"]),
    "a kind of an admin's own": ({"kind": "haiku"}, [], []),
    "images of a chat": (
        {"imageApi": "images", "imageOptions": {"n": 2}},
        [],
        ["imageApi: not_used", "imageOptions: not_used"],
    ),
    "sharing what is not cached": ({"cacheShared": True}, [], ["cacheShared: not_used"]),
    "sharing what is cached": ({"cacheShared": True, "cacheSeconds": 9}, [], []),
    "repairs without a format": ({"repairJson": True}, [], ["repairJson: not_used"]),
    "repairs with a format": ({"repairJson": True, **OBJECT}, [], []),
    "a schema that is not used": (
        {"responseFormat": {"type": "json_object", "schema": {}, "name": "x"}},
        [],
        ["responseFormat.schema: not_used", "responseFormat.name: not_used"],
    ),
    "an end before the others": ({"totalS": 10}, [], ["totalS: not_used"]),
    "an end before one of them": ({"totalS": 40}, [], ["totalS: not_used"]),
    "an end after them": ({"totalS": 60}, [], []),
    "the model as its own fallback": (
        {"fallbackModels": ["a/all", "a/plain", "a/plain"], "allowedModels": ["a/all"]},
        [],
        [
            "fallbackModels[0]: not_used",
            "fallbackModels[2]: not_used",
        ],
    ),
    "nothing to say": ({}, [], []),
    "everything that it can": (
        {
            **SCHEMA,
            **SEARCH,
            **dict.fromkeys(("temperature", "topP", "minP", "topA", "repetitionPenalty"), 1),
            **dict.fromkeys(("topK", "seed", "presencePenalty", "frequencyPenalty"), 1),
            "maxTokens": 8_000,
            "stop": ["x"],
            "reasoning": {"effort": "low"},
            "parameters": {"logit_bias": {}},
        },
        [],
        [],
    ),
    # -- is there such a model
    "not in the list": ({"model": "a/nope"}, ["model: model_unknown"], []),
    "an unknown suffix": ({"model": "a/all:turbo"}, ["model: model_unknown"], []),
    "a fallback": ({"fallbackModels": ["a/nope"]}, ["fallbackModels[0]: model_unknown"], []),
    "an allowed one": (
        {"allowedModels": ["a/all", "a/nope"]},
        ["allowedModels[1]: model_unknown"],
        [],
    ),
    "each of them": (
        {"model": "a/x", "fallbackModels": ["a/y"], "allowedModels": ["a/z"]},
        [f"{at}: model_unknown" for at in ("model", "fallbackModels[0]", "allowedModels[0]")],
        [],
    ),
    "the default, gone": ({"model": FREE_MODEL}, [], ["model: model_gone"]),
    "the default as a fallback": (
        {"fallbackModels": [FREE_MODEL]},
        [],
        ["fallbackModels[0]: model_gone"],
    ),
    "suffixes": ({"model": "a/all:nitro:online"}, [], []),
    "a suffix of a variant": ({"model": "a/all:free:floor"}, [], []),
    "a preset": ({"model": "@preset/mine"}, [], ["model: preset_unchecked"]),
    "a model's preset": ({"model": "a/all@preset/mine"}, [], ["model: preset_unchecked"]),
    "a preset of none": ({"model": "a/nope@preset/mine"}, [], ["model: preset_unchecked"]),
    "a preset may do anything": (
        {**SEARCH, "model": "a/plain@preset/mine"},
        [],
        ["model: preset_unchecked"],
    ),
    "an alias": ({"model": "~a/all-latest"}, [], []),
    "an alias of nothing": ({"model": "~a/none-latest"}, ["model: model_unknown"], []),
    "an alias whose model is not listed": ({"model": "~a/lost-latest"}, [], []),
    "what its model does not take": ({**SEARCH, "model": "~a/all-latest"}, ["tools: no_tools"], []),
    "a router": ({"model": "openrouter/free"}, [], []),
    "a router that is not listed": (
        {"model": "openrouter/bodybuilder"},
        [],
        ["model: router_unlisted"],
    ),
    "a router whose price depends": ({"model": "openrouter/auto"}, [], ["model: dynamic_price"]),
    "the same as a fallback": ({"fallbackModels": ["openrouter/auto"]}, [], []),
    "a batch": ({"model": "a/all:batch"}, ["model: batch_only"], []),
    "a batch as a fallback": (
        {"fallbackModels": ["a/all:batch"]},
        ["fallbackModels[0]: batch_only"],
        [],
    ),
    "about to go": ({"model": "a/ends"}, [], ["model: model_expires"]),
    "should have gone": ({"model": "a/ended"}, [], ["model: model_expires"]),
    "about to go, with a suffix": ({"model": "a/ends:nitro"}, [], ["model: model_expires"]),
    "a while yet": ({"model": "a/later"}, [], []),
    # -- can it do that
    "no text": ({"model": "a/brush"}, ["model: no_text_output"], []),
    "vectors for text": ({"model": "a/vectors"}, ["model: no_text_output"], []),
    "no images": ({"kind": "image"}, ["model: no_image_output"], []),
    "images": ({"kind": "image", "model": "a/brush"}, [], []),
    "several images of a chat": (
        {"kind": "image", "model": "a/brush", "imageOptions": {"n": 2}},
        [],
        ["imageOptions.n: not_used"],
    ),
    "images and text": ({"kind": "image", "model": "a/painter"}, [], []),
    "text of a painter": ({"model": "a/painter"}, [], []),
    "no vectors": ({"kind": "embedding"}, ["model: no_embeddings"], []),
    "vectors": ({"kind": "embedding", "model": "a/vectors"}, [], []),
    "a kind of the admin's own": ({"kind": "poems", "model": "a/all"}, [], []),
    "no tools": ({**SEARCH, "model": "a/plain"}, ["tools: no_tools"], []),
    "no schema": (
        {**SCHEMA, "model": "a/plain"},
        ["responseFormat: no_structured_outputs"],
        [],
    ),
    "no JSON": ({**OBJECT, "model": "a/plain"}, ["responseFormat: no_json"], []),
    "text is text": ({"responseFormat": {"type": "text"}, "model": "a/plain"}, [], []),
    "a fallback that does not": (
        {**SEARCH, **SCHEMA, "fallbackModels": ["a/plain"], "allowedModels": ["a/all", "a/plain"]},
        [],
        [
            f"{at}: {reason}"
            for at in ("fallbackModels[0]", "allowedModels[1]")
            for reason in ("no_tools", "no_structured_outputs")
        ],
    ),
    # -- limits
    "too long an answer": ({"maxTokens": 8_001}, ["maxTokens: max_tokens_too_high"], []),
    "no room for a question": (
        {"maxTokens": 32_000, "model": "a/newer"},
        ["maxTokens: max_tokens_too_high"],  # the empty prompt is not to blame
        [],
    ),
    "no room for the prompt": (
        {"maxTokens": 31_000, "model": "a/newer", "systemPrompt": "x" * 4_000},
        ["systemPrompt: context_too_long"],
        [],
    ),
    "just enough room": (
        {"maxTokens": 31_000, "model": "a/newer", "systemPrompt": "x" * 3_996},
        [],
        [],
    ),
    "too long for a fallback": (
        {"maxTokens": 50_000, "model": "openrouter/free", "fallbackModels": ["a/all"]},
        [],
        ["fallbackModels[0]: max_tokens_too_high"],
    ),
    # -- what it does not take
    "by another name": ({"maxTokens": 10, "model": "a/newer"}, [], []),
    "says nothing of itself": ({"temperature": 1, "topK": 1, "model": "a/silent"}, [], []),
    "zero is set as well": ({"seed": 0, "model": "a/plain"}, [], ["seed: not_supported"]),
    "caches by itself": ({"promptCaching": "1h"}, [], ["promptCaching: not_supported"]),
    "is not asked to": ({"promptCaching": "off"}, [], []),
    "of their own": (
        {"parameters": {"logit_bias": {}, "verbosity": "low"}},
        [],
        ["parameters.verbosity: not_supported"],
    ),
    "heals nothing": (
        {"plugins": [{"id": "response-healing"}]},
        [],
        ["plugins[0]: not_used"],
    ),
    "heals nothing, and is off": (
        {"plugins": [{"id": "response-healing", "enabled": False}]},
        [],
        [],
    ),
    "all of it thought": (
        {"reasoning": {"maxTokens": 1000}, "maxTokens": 1000},
        [],
        ["reasoning.maxTokens: no_room_to_answer"],
    ),
    "most of it thought": ({"reasoning": {"maxTokens": 999}, "maxTokens": 1000}, [], []),
    "thought without an end": ({"reasoning": {"maxTokens": 1000}}, [], []),
    # -- templates
    "a variable": ({"systemPrompt": "{{name}} {{ other-name_2 }} {{{name}}}"}, [], []),
    "arithmetic": ({"systemPrompt": "{{7*7}}"}, [], ["systemPrompt: not_a_variable"]),
    "a class": ({"systemPrompt": "{{x.__class__}}"}, [], ["systemPrompt: not_a_variable"]),
    "nothing": ({"systemPrompt": "{{}} {{1x}}"}, [], ["systemPrompt: not_a_variable"]),
    "over lines": ({"systemPrompt": "{{a\nb}}"}, [], ["systemPrompt: not_a_variable"]),
    "one brace": ({"systemPrompt": '{x.__class__} ${} {"a": {"b": 1}} {% if %}'}, [], []),
}


@pytest.mark.parametrize(("values", "errors", "warnings"), SAID.values(), ids=SAID)
def test_what_is_said_of_settings(
    values: dict[str, Any], errors: list[str], warnings: list[str]
) -> None:
    assert said(look(values)) == (errors, warnings)


SET: dict[str, Any] = {
    "stop": ["x"],
    "reasoning": {"effort": "low"},
    "maxTokens": 10,
}


@pytest.mark.parametrize("name", SAMPLING)
def test_what_a_model_does_not_take_is_a_warning(name: str) -> None:
    values = {name: SET.get(name, 1)}
    assert said(look(values)) == ([], [])
    without = [taken for taken in ALL if taken not in SAMPLING[name]]
    less = ModelList(1, MODELS.fetched_at, read_models([entry("a/all", takes=without)])[0])
    assert said(look(values, models=less)) == ([], [f"{name}: not_supported"])


def test_every_reason_has_its_case() -> None:
    tested = {text.split(": ")[1] for _, *found in SAID.values() for side in found for text in side}
    assert tested | {"paid_model", "catalog_unavailable"} == {
        *("model_unknown", "model_gone", "preset_unchecked", "router_unlisted", "dynamic_price"),
        *("batch_only", "model_expires", "no_text_output", "no_image_output", "no_embeddings"),
        *("no_tools", "no_structured_outputs", "no_json", "max_tokens_too_high", "not_supported"),
        *("context_too_long", "not_a_variable", "paid_model", "catalog_unavailable", "not_used"),
        "no_room_to_answer",
    }


def test_a_message_says_what_to_look_at() -> None:
    (finding,) = look({"systemPrompt": "{{7*7}} and {{8*8}}"}).warnings
    assert finding.message.startswith("{{7*7}} isn't a variable")
    (finding,) = look({"maxTokens": 9_000}).errors
    assert finding.message == "a/all answers with at most 8000 tokens."
    (finding,) = look({"model": "a/ends"}).warnings
    assert "2026-09-07" in finding.message
    (finding,) = look({"systemPrompt": "{{" + "x " * 39 + "}}"}).warnings
    assert len(finding.message) < 150


def test_a_model_that_was_chosen_before_and_is_gone_stops_nobody() -> None:
    values = {"model": "a/was", "fallbackModels": ["a/new"], **SEARCH}
    assert said(look(values, known=("a/was", "a/other"))) == (
        ["fallbackModels[0]: model_unknown"],
        ["model: model_gone"],
    )


# -- what costs money ------------------------------------------------------------------------------

# a model: what is refused where free ones alone are allowed
FREE_ONLY = {
    "a/all": "model: paid_model",
    "a/all:free": None,
    "a/gratis": None,
    "a/gratis:nitro": None,
    "a/all:free:floor": None,
    "a/all:free:online": "model: paid_model",
    "a/gratis:online": "model: paid_model",
    "a/all:online:free": "model: model_unknown",
    "a/gratis@preset/mine": "model: paid_model",
    "@preset/mine": "model: paid_model",
    "@preset/mine:free": "model: paid_model",
    "~a/all-latest": "model: paid_model",
    "~a/free-latest": "model: paid_model",  # what it stands for is not
    "openrouter/auto": "model: paid_model",
    "openrouter/free": None,
    "openrouter/other": "model: paid_model",
    FREE_MODEL: None,
}


@pytest.mark.parametrize("id_", FREE_ONLY)
def test_where_free_models_alone_are_allowed(id_: str) -> None:
    refused = FREE_ONLY[id_]
    errors, _ = said(look({"model": id_}, free_only=True))
    assert errors == ([refused] if refused else [])
    assert not any("paid_model" in finding.reason for finding in look({"model": id_}).errors)


def test_every_model_that_is_named_is_looked_at() -> None:
    values = {
        "model": "a/all:free",
        "fallbackModels": ["a/all", "a/gratis"],
        "allowedModels": ["openrouter/free", "a/all"],
    }
    assert said(look(values, free_only=True))[0] == [
        "fallbackModels[0]: paid_model",
        "allowedModels[1]: paid_model",
    ]


@pytest.mark.parametrize(
    ("values", "billed"),
    [
        ({"tools": [{"type": f"openrouter:{name}"}]}, ["tools[0]"])
        for name in ("web_search", "web_fetch", "fusion", "image_generation")
    ]
    + [({"tools": [{"type": name}]}, []) for name in sorted(FREE_TOOLS)]
    + [({"plugins": [{"id": name}]}, ["plugins[0]"]) for name in ("web", "file-parser", "fusion")]
    + [({"plugins": [{"id": name}]}, []) for name in sorted(FREE_PLUGINS)]
    + [
        ({"plugins": [{"id": "web", "enabled": False}]}, []),
        ({"plugins": [{"id": "web", "enabled": None}]}, ["plugins[0]"]),
        ({"plugins": [{"id": "response-healing"}, {"id": "web"}]}, ["plugins[1]"]),
        ({**SEARCH, "plugins": [{"id": "web"}]}, ["tools[0]", "plugins[0]"]),
        ({"parameters": {"web_search_options": {}}}, ["parameters.web_search_options"]),
    ],
)
def test_what_is_billed_beside_the_model(values: dict[str, Any], billed: list[str]) -> None:
    settings = FeatureSettings.model_validate(
        {"model": "a/all:free", **values}, by_alias=True, by_name=False
    )
    assert [field for field, _ in paid_extras(settings)] == billed
    errors, _ = said(look(settings, free_only=True))
    assert errors == [f"{field}: paid_model" for field in billed]
    assert said(look(settings))[0] == []


def test_without_a_list_only_names_and_extras_can_be_looked_at() -> None:
    values = {**SEARCH, "model": "a/anything", "maxTokens": 100_000, "systemPrompt": "{{7*7}}"}
    assert said(look(values, models=None)) == (
        [],
        ["systemPrompt: not_a_variable", "model: catalog_unavailable"],
    )
    values = {**SEARCH, "model": "a/gratis", "fallbackModels": ["a/x:free"]}
    assert said(look(values, models=None, free_only=True)) == (
        ["tools[0]: paid_model", "model: paid_model"],
        ["model: catalog_unavailable"],
    )


@pytest.mark.parametrize(
    ("id_", "free"),
    [
        ("a/b:free", True),
        ("openrouter/free", True),
        ("a/b", False),
        ("a/free", False),
        ("a/b:free:online", False),
        ("a/b:online:free", False),
        ("openrouter/free:online", False),
        ("a/b@preset/x:free", False),
        ("@preset/x:free", False),
        (":free", False),
    ],
)
def test_free_by_its_name_alone(id_: str, free: bool) -> None:
    assert is_free(id_) is free


# -- whole lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("feature", DEFAULTS)
def test_the_defaults_can_be_saved_with_a_list_of_openrouters(
    feature: str, listing: ModelListing
) -> None:
    """z-ai/glm-4.5-air:free is missing from the recording, which is a warning and no error."""
    models = ModelList(1, MODELS.fetched_at, read_models(listing.entries)[0])
    assert models.get(FREE_FALLBACK)
    settings = DEFAULTS[feature].settings
    off = DEFAULTS[feature].enabled is False  # what it is for is not built yet
    found = look(settings, models=models, free_only=True)
    assert [error for error in said(found)[0] if not off] == []
    if settings.model == FREE_MODEL and not models.get(FREE_MODEL):
        assert "model: model_gone" in said(found)[1]
        assert said(found)[0] == []


@pytest.mark.parametrize("listing", LISTINGS)
def test_every_listed_model_can_be_chosen_plainly(listing: ModelListing) -> None:
    models = read_models(listing.entries)[0]
    listed = ModelList(1, MODELS.fetched_at, models)
    for model in models:
        kind = "chat" if "text" in model.output_modalities else "image"
        errors, _ = said(look({"model": model.id, "kind": kind}, models=listed))
        speaks = {"text", "image"} & set(model.output_modalities)
        if model.variant != "batch" and (speaks or not model.output_modalities):
            assert errors == [], model.id
        free = look({"model": model.id, "kind": kind}, models=listed, free_only=True)
        refused = "model: paid_model" in said(free)[0]
        assert refused is not (model.free or is_free(model.id)), model.id
