"""Settings and a request become what OpenRouter is sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firerouter.contract.base import parse
from firerouter.contract.messages import FilePlaceholder, Message, TextPart, ToolReply
from firerouter.contract.prompts import ExecutePrompt
from firerouter.errors import InvalidArgument, ModelNotAllowed
from firerouter.features.selection import models_in_order
from firerouter.features.settings import OWNED_PARAMETERS, FeatureSettings
from firerouter.features.template import render, variable_names
from firerouter.files.limits import FILE_TOKENS
from firerouter.generation import prompts
from firerouter.generation.limits import PromptLimits


def request(**fields: Any) -> ExecutePrompt:
    question = {} if "messages" in fields else {"prompt": "Hello"}
    return parse(ExecutePrompt, {"feature": "chat", **question, **fields})


def settings(**fields: Any) -> FeatureSettings:
    return FeatureSettings(**fields)


# -- messages --------------------------------------------------------------------------------------


def test_the_system_prompt_comes_first_and_the_prompt_last() -> None:
    assert prompts.build_messages(settings(system_prompt="Be kind."), request()) == [
        Message("system", "Be kind."),
        Message("user", "Hello"),
    ]


def test_an_empty_system_prompt_is_not_sent() -> None:
    assert prompts.build_messages(settings(), request()) == [Message("user", "Hello")]


def test_the_context_comes_before_the_prompt_with_a_blank_line_between() -> None:
    sent = prompts.build_messages(settings(), request(context="About cats."))
    assert sent == [Message("user", "About cats.\n\nHello")]


def test_the_context_comes_before_the_last_of_several_messages() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    sent = prompts.build_messages(
        settings(system_prompt="S"), request(messages=turns, context="About cats.")
    )
    assert [message.text for message in sent] == ["S", "a", "b", "About cats.\n\nc"]
    assert [message.role for message in sent] == ["system", "user", "assistant", "user"]


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
        prompts.build_messages(
            settings(system_prompt="Hi {{name}}"), request(variables={"other": "x"})
        )
    assert refused.value.details["field"] == "variables.name"


def test_places_in_what_the_user_asks_are_left_alone() -> None:
    sent = prompts.build_messages(
        settings(system_prompt="S"), request(prompt="{{name}}", variables={"name": "x"})
    )
    assert sent[-1].text == "{{name}}"


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
    assert prompts.build_parameters(settings(), request()) == {}


def test_what_is_set_is_sent_zero_too() -> None:
    chosen = settings(
        temperature=0,
        top_p=1.0,
        presence_penalty=-2,
        frequency_penalty=0.5,
        max_tokens=10,
        parameters={"logit_bias": {"7": -100}},
    )
    assert prompts.build_parameters(chosen, request()) == {
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
    assert prompts.build_parameters(read, request()) == sent


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
    assert prompts.build_parameters(chosen, request(temperature=0))["temperature"] == 0
    assert prompts.build_parameters(chosen, request())["temperature"] == 0.7


def test_elsewhere_a_temperature_is_refused_even_the_same_one() -> None:
    with pytest.raises(InvalidArgument) as refused:
        prompts.build_parameters(settings(temperature=0.7), request(temperature=0.7))
    assert refused.value.details["field"] == "temperature"


# -- sizes -----------------------------------------------------------------------------------------


def test_a_file_counts_as_text_if_it_is_and_as_an_estimate_if_it_is_not() -> None:
    assert prompts.count_chars(Message("user", "four")) == 4
    assert prompts.count_chars(Message("assistant")) == 0
    assert prompts.count_chars(Message("tool", tool_replies=(ToolReply("c1", "four"),))) == 4
    parts = (TextPart("four"), FilePlaceholder("key"))
    assert prompts.count_chars(Message("user", "five!", parts)) == 5 + 4 + FILE_TOKENS * 4


def turn(number: int, length: int) -> list[Message]:
    return [Message("user", f"{number}" * length), Message("assistant", f"{number}" * length)]


def test_the_older_half_of_the_turns_goes_and_neither_question_nor_system_prompt() -> None:
    system, question = Message("system", "S" * 900), Message("user", "Q")
    turns = [turn(number, 10) for number in range(4)]
    asked = [system, *turns[0], *turns[1], *turns[2], *turns[3], question]
    half = prompts.drop_older_half(asked)
    assert half == [system, *turns[2], *turns[3], question]
    assert prompts.drop_older_half(half) == [system, *turns[3], question]
    assert prompts.drop_older_half([system, *turns[3], question]) == [system, question]
    assert prompts.drop_older_half([system, question]) is None


def test_one_long_turn_is_more_than_half() -> None:
    question = Message("user", "Q")
    assert prompts.drop_older_half([*turn(1, 5), *turn(2, 500), question]) == [question]
    assert prompts.drop_older_half([*turn(1, 500), *turn(2, 5), question]) == [
        *turn(2, 5),
        question,
    ]


def test_the_history_gets_what_the_question_and_the_answer_leave() -> None:
    limits = PromptLimits()
    whole = prompts.history_max_bytes(settings(max_tokens=1_000), request(), 10_000)
    asked = prompts.prompt_bytes(settings(max_tokens=1_000), request())
    assert whole == 3 * 9_000 - asked
    longer = request(prompt="Hello" + "x" * 100)
    assert prompts.history_max_bytes(settings(max_tokens=1_000), longer, 10_000) == whole - 100
    assert prompts.history_max_bytes(settings(max_tokens=1_000), request(), 10_000, 7) == whole - 7
    assert prompts.history_max_bytes(settings(max_tokens=9_999), request(), 10_000) == 0
    assert prompts.history_max_bytes(settings(), request(), 10**7) == limits.history_max_bytes
    default = limits.context_default_tokens - limits.answer_default_tokens
    assert prompts.history_max_bytes(settings(), request(), None) == 3 * default - asked


def test_a_repair_shows_the_answer_and_says_what_is_wrong_with_it() -> None:
    annotations: list[dict[str, object]] = [{"type": "file"}]
    *before, answer, again = prompts.repair_messages(
        [Message("user", "Q")], "no JSON", "$ (json)", annotations
    )
    assert before == [Message("user", "Q")]
    assert answer == Message("assistant", "no JSON", annotations=({"type": "file"},))
    assert again.role == "user"
    assert "$ (json)" in again.text
