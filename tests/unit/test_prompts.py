"""Settings and a request become what OpenRouter is sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter import prompts
from firerouter.contract import ExecutePrompt, parse
from firerouter.errors import InvalidArgument, ModelNotAllowed
from firerouter.features import FeatureSettings


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
    assert prompts.render(template, {"name": "Ann", "unused": "x"}) == rendered


@pytest.mark.parametrize("value", ["{{secret}}", "{{name}}", "\\1 \\g<0>", "{0}", "%s", "$name"])
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    variables = {"name": value, "secret": "hunter2"}
    assert prompts.render("Hi {{name}}!", variables) == f"Hi {value}!"


@given(st.text(), st.text())
def test_any_value_goes_in_as_it_is(one: str, two: str) -> None:
    assert prompts.render("<{{a}}|{{b}}>", {"a": one, "b": two}) == f"<{one}|{two}>"


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
    assert prompts.models(chosen, request()) == ["a/a", "b/b", "c/c"]


def test_a_model_is_asked_once_only() -> None:
    chosen = settings(model="a/a", fallback_models=["b/b", "a/a", "b/b"])
    assert prompts.models(chosen, request()) == ["a/a", "b/b"]


def test_a_caller_chooses_among_the_allowed_ones() -> None:
    chosen = settings(model="a/a", fallback_models=["b/b"], allowed_models=["d/d"])
    assert prompts.models(chosen, request(model="d/d")) == ["d/d", "b/b"]
    assert prompts.models(chosen, request(model="a/a")) == ["a/a", "b/b"]


@pytest.mark.parametrize("model", ["x/x", "b/b", "a/a:free", "A/A", "d/d:online"])
def test_any_other_model_is_refused(model: str) -> None:
    chosen = settings(model="a/a", fallback_models=["b/b"], allowed_models=["d/d"])
    with pytest.raises(ModelNotAllowed) as refused:
        prompts.models(chosen, request(model=model))
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
        parameters={"provider": {"sort": "price"}},
    )
    assert prompts.parameters(chosen, request()) == {
        "temperature": 0,
        "top_p": 1.0,
        "presence_penalty": -2,
        "frequency_penalty": 0.5,
        "max_tokens": 10,
        "provider": {"sort": "price"},
    }


def test_a_caller_sets_the_temperature_where_the_feature_lets_him() -> None:
    chosen = settings(temperature=0.7, allow_temperature=True)
    assert prompts.parameters(chosen, request(temperature=0))["temperature"] == 0
    assert prompts.parameters(chosen, request())["temperature"] == 0.7


def test_elsewhere_a_temperature_is_refused_even_the_same_one() -> None:
    with pytest.raises(InvalidArgument) as refused:
        prompts.parameters(settings(temperature=0.7), request(temperature=0.7))
    assert refused.value.details["field"] == "temperature"
