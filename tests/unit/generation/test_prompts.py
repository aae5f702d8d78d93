"""Settings and a request become what OpenRouter is sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract.base import parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import InvalidArgument, ModelNotAllowed
from firerouter.features.selection import models_in_order
from firerouter.features.settings import OWNED_PARAMETERS, FeatureSettings
from firerouter.features.template import render, variable_names
from firerouter.generation import prompts


def request(**fields: Any) -> ExecutePrompt:
    question = {} if "messages" in fields else {"prompt": "Hello"}
    return parse(ExecutePrompt, {"feature": "chat", **question, **fields})


def settings(**fields: Any) -> FeatureSettings:
    return FeatureSettings(**fields)


# -- messages --------------------------------------------------------------------------------------


def test_the_system_prompt_comes_first_and_the_prompt_last() -> None:
    assert prompts.messages(settings(system_prompt="Be kind."), request()) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]


def test_an_empty_system_prompt_is_not_sent() -> None:
    assert prompts.messages(settings(), request()) == [{"role": "user", "content": "Hello"}]


def test_the_context_comes_before_the_prompt_with_a_blank_line_between() -> None:
    sent = prompts.messages(settings(), request(context="About cats."))
    assert sent == [{"role": "user", "content": "About cats.\n\nHello"}]


def test_the_context_comes_before_the_last_of_several_messages() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    sent = prompts.messages(
        settings(system_prompt="S"), request(messages=turns, context="About cats.")
    )
    assert [turn["content"] for turn in sent] == ["S", "a", "b", "About cats.\n\nc"]
    assert [turn["role"] for turn in sent] == ["system", "user", "assistant", "user"]


# -- templates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("Hi {{name}}", "Hi Ann"),
        ("Hi {{ name }}{{name}}", "Hi AnnAnn"),
        ("Hi {{  name\t}}", "Hi Ann"),
        (
            "{name} {{{name}}} {{1x}} {{}} {{ two words }}",
            "{name} {Ann} {{1x}} {{}} {{ two words }}",
        ),
        ("no places", "no places"),
        ("", ""),
    ],
)
def test_places_are_filled(template: str, rendered: str) -> None:
    assert render(template, {"name": "Ann", "unused": "x"}) == rendered


@pytest.mark.parametrize("value", ["{{secret}}", "{{name}}", "\\1 \\g<0>", "{0}", "%s", "$name"])
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    variables = {"name": value, "secret": "hunter2"}
    assert render("Hi {{name}}!", variables) == f"Hi {value}!"


@given(st.text(), st.text())
def test_any_value_goes_in_as_it_is(one: str, two: str) -> None:
    assert render("<{{a}}|{{b}}>", {"a": one, "b": two}) == f"<{one}|{two}>"


def test_a_variable_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidArgument) as refused:
        prompts.messages(settings(system_prompt="Hi {{name}}"), request(variables={"other": "x"}))
    assert refused.value.details["field"] == "variables.name"


def test_places_in_what_the_user_asks_are_left_alone() -> None:
    sent = prompts.messages(
        settings(system_prompt="S"), request(prompt="{{name}}", variables={"name": "x"})
    )
    assert sent[-1]["content"] == "{{name}}"


# -- models ----------------------------------------------------------------------------------------


def test_the_model_of_the_settings_comes_first_then_the_fallbacks() -> None:
    chosen = settings(model="a/a", fallback_models=["b/b", "c/c"])
    assert models_in_order(chosen, None) == ("a/a", "b/b", "c/c")


def test_a_model_is_asked_once_only() -> None:
    chosen = settings(model="a/a", fallback_models=["b/b", "a/a", "b/b"])
    assert models_in_order(chosen, None) == ("a/a", "b/b")


def test_a_caller_chooses_among_the_allowed_ones() -> None:
    chosen = settings(model="a/a", fallback_models=["b/b"], allowed_models=["d/d"])
    assert models_in_order(chosen, "d/d") == ("d/d", "b/b")
    assert models_in_order(chosen, "a/a") == ("a/a", "b/b")


@pytest.mark.parametrize("model", ["x/x", "b/b", "a/a:free", "A/A", "d/d:online"])
def test_any_other_model_is_refused(model: str) -> None:
    chosen = settings(model="a/a", fallback_models=["b/b"], allowed_models=["d/d"])
    with pytest.raises(ModelNotAllowed) as refused:
        models_in_order(chosen, model)
    assert refused.value.details["field"] == "model"


# -- parameters ------------------------------------------------------------------------------------


def test_what_is_not_set_is_not_sent() -> None:
    assert prompts.parameters(settings(), request()) == {}


def test_what_is_set_is_sent_zero_too() -> None:
    chosen = settings(
        temperature=0,
        top_p=1.0,
        presence_penalty=-2,
        frequency_penalty=0.5,
        max_tokens=10,
        parameters={"logit_bias": {"7": -100}},
    )
    assert prompts.parameters(chosen, request()) == {
        "temperature": 0,
        "top_p": 1.0,
        "presence_penalty": -2,
        "frequency_penalty": 0.5,
        "max_tokens": 10,
        "logit_bias": {"7": -100},
    }


SCHEMA = {"type": "object", "properties": {"sunny": {"type": "boolean"}}}
# as an admin writes it: as OpenRouter is sent it
SENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"topP": 0.5, "topK": 0, "minP": 0, "topA": 0.1, "repetitionPenalty": 1, "seed": 0},
        {"top_p": 0.5, "top_k": 0, "min_p": 0, "top_a": 0.1, "repetition_penalty": 1, "seed": 0},
    ),
    ({"stop": ["###", "\n\n"]}, {"stop": ["###", "\n\n"]}),
    ({"stop": []}, {}),
    ({"responseFormat": {"type": "text"}}, {"response_format": {"type": "text"}}),
    ({"responseFormat": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    (
        {"responseFormat": {"type": "json_schema", "name": "weather", "schema": SCHEMA}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    ({"reasoning": {"effort": "high"}}, {"reasoning": {"effort": "high"}}),
    (
        {"reasoning": {"maxTokens": 500, "exclude": True}},
        {"reasoning": {"max_tokens": 500, "exclude": True}},
    ),
    ({"reasoning": {"enabled": False}}, {"reasoning": {"enabled": False}}),
    (
        {
            "tools": [
                {"type": "openrouter:datetime"},
                {"type": "openrouter:web_search", "parameters": {"max_results": 3}},
            ]
        },
        {
            "tools": [
                {"type": "openrouter:datetime", "parameters": {}},
                {"type": "openrouter:web_search", "parameters": {"max_results": 3}},
            ]
        },
    ),
    ({"plugins": [{"id": "web", "x": None}]}, {"plugins": [{"id": "web", "x": None}]}),
    ({"tools": [], "plugins": []}, {}),
    (
        {
            "provider": {
                "order": ["deepinfra/fp4"],
                "allowFallbacks": False,
                "requireParameters": True,
                "dataCollection": "deny",
                "zdr": True,
                "sort": "price",
                "quantizations": ["fp8"],
                "maxPrice": {"prompt": 1, "completion": 2.5},
            }
        },
        {
            "provider": {
                "order": ["deepinfra/fp4"],
                "allow_fallbacks": False,
                "require_parameters": True,
                "data_collection": "deny",
                "zdr": True,
                "sort": "price",
                "quantizations": ["fp8"],
                "max_price": {"prompt": 1, "completion": 2.5},
            }
        },
    ),
    ({"provider": {"maxPrice": {"prompt": 0}}}, {"provider": {"max_price": {"prompt": 0}}}),
    ({"serviceTier": "flex"}, {"service_tier": "flex"}),
    (
        {"parameters": '{"verbosity": "low", "camelCase": {"aB": 1}}', "topK": 3},
        {"verbosity": "low", "camelCase": {"aB": 1}, "top_k": 3},
    ),
    # none of OpenRouter's business
    (
        {
            "displayName": "Chat",
            "kind": "poems",
            "stream": False,
            "limits": {"requestsPerDay": 3},
            "allowedModels": ["a/b"],
            "idleS": 5,
            "totalS": 60,
            # not of every model, or not of the answer: see the request itself
            "promptCaching": "1h",
            "sendUser": True,
            "sendSession": False,
        },
        {},
    ),
]


@pytest.mark.parametrize(("written", "sent"), SENT)
def test_each_setting_is_sent_under_its_own_name(
    written: dict[str, Any], sent: dict[str, Any]
) -> None:
    read = FeatureSettings.model_validate(written, by_alias=True, by_name=False)
    assert prompts.parameters(read, request()) == sent


def test_what_is_sent_is_owned_so_that_no_parameter_can_be_set_twice() -> None:
    names = {name for _, sent in SENT for name in sent} - {"verbosity", "camelCase"}
    assert names <= OWNED_PARAMETERS


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("", []),
        ("{{b}} {{ a }} {{b}}", ["b", "a"]),
        ("{{7*7}} {x.__class__} ${x} {{x.__class__}} {{_private}}", []),
    ],
)
def test_the_places_of_a_prompt(template: str, names: list[str]) -> None:
    assert variable_names(settings(system_prompt=template)) == names
    filled = render(template, dict.fromkeys(names, "-"))
    assert bool(names) or filled == template


def test_a_caller_sets_the_temperature_where_the_feature_lets_him() -> None:
    chosen = settings(temperature=0.7, allow_temperature=True)
    assert prompts.parameters(chosen, request(temperature=0))["temperature"] == 0
    assert prompts.parameters(chosen, request())["temperature"] == 0.7


def test_elsewhere_a_temperature_is_refused_even_the_same_one() -> None:
    with pytest.raises(InvalidArgument) as refused:
        prompts.parameters(settings(temperature=0.7), request(temperature=0.7))
    assert refused.value.details["field"] == "temperature"
