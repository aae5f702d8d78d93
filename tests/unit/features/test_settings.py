"""What an admin may set of a feature: types, bounds, what a document can hold; drafts; diffs."""

import ast
import inspect
import itertools
import json
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from firerouter import limits
from firerouter.contract.base import faults, parse
from firerouter.contract.prompts import ExecutePrompt
from firerouter.contract.response_format import StoredFormat
from firerouter.features.app_settings import AppSettings
from firerouter.features.defaults import DEFAULTS
from firerouter.features.feature import Draft, Feature, differences, same_settings
from firerouter.features.routing import MaxPrice, ProviderRouting
from firerouter.features.settings import OWNED_PARAMETERS, FeatureSettings, Reasoning, ServerTool


def read(values: Any) -> FeatureSettings:
    return FeatureSettings.model_validate(values, by_alias=True, by_name=False)


def wrong(values: Any) -> dict[str, str]:
    """What is said of each field that is not right."""
    with pytest.raises(ValidationError) as refused:
        read(values)
    return dict(faults(refused.value))


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"x": value}
    return value


# -- bounds ----------------------------------------------------------------------------------------

# field: the least and the most that it takes, and what is just beyond each
NUMBERS: dict[str, tuple[float, float, float, float]] = {
    "temperature": (0, 2, -0.01, 2.01),
    "topP": (0.001, 1, 0, 1.01),
    "topK": (0, 1_000, -1, 1_001),
    "minP": (0, 1, -0.01, 1.01),
    "topA": (0, 1, -0.01, 1.01),
    "presencePenalty": (-2, 2, -2.01, 2.01),
    "frequencyPenalty": (-2, 2, -2.01, 2.01),
    "repetitionPenalty": (0, 2, -0.01, 2.01),
    "seed": (0, 2**31 - 1, -1, 2**31),
    "maxTokens": (1, limits.ANSWER_MAX_TOKENS, 0, limits.ANSWER_MAX_TOKENS + 1),
    "firstTokenS": (1, limits.FIRST_TOKEN_MAX_S, 0.9, limits.FIRST_TOKEN_MAX_S + 1),
    "idleS": (1, limits.IDLE_MAX_S, 0.9, limits.IDLE_MAX_S + 1),
    "totalS": (1, limits.TOTAL_S, 0.9, limits.TOTAL_S + 1),
}


@pytest.mark.parametrize("field", NUMBERS)
def test_a_number_is_within_its_bounds_and_is_one(field: str) -> None:
    least, most, below, above = NUMBERS[field]
    for good in (least, most):
        assert read({field: good}).to_json()[field] == good
    others: list[Any] = ["1", True, [1], {}, float("nan"), float("inf"), -float("inf")]
    for bad in (below, above, *others):
        said = wrong({field: bad})
        assert list(said) == [field]
        assert field in said[field]


@pytest.mark.parametrize("field", ["topK", "seed", "maxTokens"])
def test_half_of_a_token_is_none(field: str) -> None:
    assert wrong({field: 1.5}) == {field: f"{field} must be a whole number, not 1.5."}


LONGEST: dict[str, tuple[Any, Any]] = {
    "systemPrompt": ("x" * limits.SYSTEM_PROMPT_MAX_CHARS, "x"),
    "displayName": ("x" * limits.DISPLAY_NAME_MAX_CHARS, "x"),
    "kind": ("x" * limits.NAME_MAX_CHARS, "x"),
    "model": ("x" * limits.MODEL_ID_MAX_CHARS, "x"),
    "fallbackModels": (["a/b"] * limits.FALLBACK_MODELS_MAX, ["a/b"]),
    "allowedModels": (["a/b"] * limits.ALLOWED_MODELS_MAX, ["a/b"]),
    "stop": (["x" * limits.STOP_MAX_CHARS] * limits.STOPS_MAX, ["x"]),
    "tools": ([{"type": "openrouter:datetime"}] * limits.TOOLS_MAX, [{"type": "openrouter:x"}]),
    "plugins": ([{"id": "web"}] * limits.PLUGINS_MAX, [{"id": "web"}]),
}


@pytest.mark.parametrize("field", LONGEST)
def test_a_text_or_a_list_ends_somewhere(field: str) -> None:
    longest, more = LONGEST[field]
    assert read({field: longest})
    assert list(wrong({field: longest + more})) == [field]
    assert list(wrong({field: 7})) == [field]


def test_a_megabyte_is_no_prompt_and_is_not_repeated() -> None:
    said = wrong({"systemPrompt": "canary" * 170_000})
    sentence = "systemPrompt may have at most 50,000 characters, not 1,020,000."
    assert said == {"systemPrompt": sentence}


@pytest.mark.parametrize(
    "id_",
    [
        *("", " ", "a/b c", " a/b", "a/b\n", "a/b\x00", "a/b\x1b[31m", "a/b\x7f", "a/b\u202e"),
        *("ä/b", "~", "@", "/a", ":free", "a/b?x=1", "a/b#c", "a/b%20c", "<a>", "{{model}}"),
        "x" * (limits.MODEL_ID_MAX_CHARS + 1),
    ],
)
def test_what_can_be_no_model_is_none(id_: str) -> None:
    for field in ("model", "fallbackModels", "allowedModels"):
        path = field if field == "model" else f"{field}[0]"
        assert list(wrong({field: id_ if field == "model" else [id_]})) == [path]


@pytest.mark.parametrize(
    "id_",
    [
        *("a/b", "a/b:free", "a/b:free:nitro", "~a/b-latest", "openrouter/auto", "@preset/mine"),
        *("a/b@preset/mine", "a/b-2.5_x", "A/B"),
    ],
)
def test_ids_as_people_write_them_are_models(id_: str) -> None:
    assert read({"model": id_, "fallbackModels": [id_]}).model_ids() == [id_]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"unknown": 1}, "unknown"),
    ({"system_prompt": "by its Python name"}, "system_prompt"),
    ({"caps": {}}, "caps"),
    ({"stream": 1}, "stream"),
    ({"allowTemperature": "yes"}, "allowTemperature"),
    ({"systemPrompt": "half a pair \ud800"}, "systemPrompt"),
    ({"displayName": "two\nlines"}, "displayName"),
    ({"displayName": " padded"}, "displayName"),
    ({"displayName": "bell\x07"}, "displayName"),
    ({"kind": "two words"}, "kind"),
    ({"kind": "../x"}, "kind"),
    ({"stop": [""]}, "stop[0]"),
    ({"stop": ["x", "x" * (limits.STOP_MAX_CHARS + 1)]}, "stop[1]"),
    ({"stop": "x"}, "stop"),
    ({"limits": {"requestsPerMinute": 0}}, "limits.requestsPerMinute"),
    ({"limits": {"requestsPerDay": limits.REQUESTS_PER_DAY_MAX + 1}}, "limits.requestsPerDay"),
    ({"limits": {"reserveUsd": 1}}, "limits.reserveUsd"),
    ({"responseFormat": "json_object"}, "responseFormat"),
    ({"responseFormat": {"type": "xml"}}, "responseFormat.type"),
    ({"responseFormat": {"type": "json_schema"}}, "responseFormat"),
    ({"responseFormat": {"type": "json_schema", "name": "x"}}, "responseFormat"),
    ({"responseFormat": {"type": "json_schema", "schema": {}}}, "responseFormat"),
    (
        {"responseFormat": {"type": "json_schema", "name": "x y", "schema": {}}},
        "responseFormat.name",
    ),
    ({"responseFormat": {"type": "json_schema", "schema": [1]}}, "responseFormat.schema"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    ({"reasoning": {"maxTokens": 0}}, "reasoning.maxTokens"),
    ({"reasoning": {"effort": "low", "maxTokens": 9}}, "reasoning"),
    ({"tools": [{"type": "function"}]}, "tools[0].type"),
    ({"tools": [{"type": "openrouter:web_search\n"}]}, "tools[0].type"),
    ({"tools": [{"type": "openrouter:x", "parameters": {"__x__": 1}}]}, "tools[0].parameters"),
    ({"tools": [{}]}, "tools[0].type"),
    ({"plugins": [{}]}, "plugins[0]"),
    ({"plugins": [{"id": "Web Search"}]}, "plugins[0]"),
    ({"plugins": [{"id": "web"}, {"id": 7}]}, "plugins[1]"),
    ({"provider": {"order": ["two words"]}}, "provider.order[0]"),
    ({"provider": {"order": ["x"] * (limits.PROVIDERS_MAX + 1)}}, "provider.order"),
    ({"provider": {"sort": "luck"}}, "provider.sort"),
    ({"provider": {"dataCollection": True}}, "provider.dataCollection"),
    ({"provider": {"maxPrice": {"prompt": -1}}}, "provider.maxPrice.prompt"),
    ({"provider": {"maxPrice": {"prompt": float("nan")}}}, "provider.maxPrice.prompt"),
    ({"provider": {"allow_fallbacks": True}}, "provider.allow_fallbacks"),
]


@pytest.mark.parametrize(("values", "field"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_named(values: dict[str, Any], field: str) -> None:
    assert field in wrong(values)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    said = wrong({"temperature": 3, "model": "", "stop": [""], "nope": 1, "topP": 1})
    assert said.keys() == {"temperature", "model", "stop[0]", "nope"}


@pytest.mark.parametrize("values", [None, [], "{}", 7, True])
def test_settings_are_an_object(values: Any) -> None:
    assert list(wrong(values)) == [""]


def test_settings_as_large_as_they_may_be_are_so_together() -> None:
    schema = {"description": "x" * 19_000}
    form = {"type": "json_schema", "name": "x", "schema": schema}
    tools = [{"type": "openrouter:x", "parameters": schema}] * 8
    assert read({"tools": tools, "responseFormat": form})
    assert read({"systemPrompt": "\U0001f600" * limits.SYSTEM_PROMPT_MAX_CHARS})
    said = wrong({"tools": tools, "plugins": [{"id": "web", "x": "x" * 19_000}] * 8})
    limit = limits.SETTINGS_MAX_BYTES
    assert said == {"": f"All settings together may be at most {limit} bytes of JSON."}


@pytest.mark.parametrize(
    "schema", [{"enum": [[1, 2], [3]]}, {"properties": {"__typename": {}, "__x__": {}}}]
)
def test_a_schema_is_held_to_what_a_document_holds_where_one_keeps_it(schema: Any) -> None:
    form = {"type": "json_schema", "name": "x", "schema": schema}
    assert wrong({"responseFormat": form}).keys() == {"responseFormat.schema"}
    tools = [{"name": "f", "parameters": {"type": "object", **schema}}]
    data = {"feature": "f", "prompt": "x", "responseFormat": form, "tools": tools}
    asked = parse(ExecutePrompt, data)
    assert asked.response_format is not None
    assert asked.response_format.schema_ == schema


# -- JSON ------------------------------------------------------------------------------------------

NO_JSON: dict[str, tuple[Any, str]] = {
    "a list in a list": ({"x": [[1]]}, "list directly inside a list"),
    "deeper down": ({"x": [{"y": [1, []]}]}, "list directly inside a list"),
    "a reserved name": ({"__name__": 1}, "begins and ends with __"),
    "deeper reserved": ({"x": [{"____": 1}]}, "begins and ends with __"),
    "over a line": ({"__\n__": 1}, "begins and ends with __"),
    "no name": ({"x": {"": 1}}, "empty"),
    "a long name": ({"x" * (limits.JSON_NAME_MAX_CHARS + 1): 1}, "name of more than"),
    "65 bits": ({"x": 2**63}, "64 bits"),
    "65 bits below": ({"x": [-(2**63) - 1]}, "64 bits"),
    "deep": (nested(limits.JSON_MAX_DEPTH + 2), "nested"),
    "very deep": (nested(5_000), "nested"),
    "NaN": ({"x": float("nan")}, "must be JSON"),
    "infinite": ({"x": [float("inf")]}, "must be JSON"),
    "half a pair": ({"x": "\ud800"}, "must be JSON"),
    "half a pair's name": ({"\udfff": 1}, "must be JSON"),
    "bytes": ({"x": b"x"}, "must be JSON"),
    "an object of ours": ({"x": object()}, "must be JSON"),
    "long": ({"x": "x" * limits.PARAMETERS_MAX_BYTES}, "bytes of JSON"),
    "long in UTF-8": ({"x": "\U0001f600" * (limits.PARAMETERS_MAX_BYTES // 4)}, "bytes of JSON"),
    "a list": ([1], "must be an object"),
    "text that is none": ("{x: 1}", "must be JSON"),
    "no text": ("", "must be JSON"),
    "text of a list": ("[1]", "must be an object"),
    "text of NaN": ('{"x": NaN}', "must be JSON"),
    "text of infinity": ('{"x": 1e999}', "must be JSON"),
    "text of a huge number": ('{"x": ' + "9" * 5_000 + "}", "must be JSON"),
    "text that is deep": ("[" * 100_000, "must be JSON"),
    "text of 65 bits": ('{"x": 9223372036854775808}', "64 bits"),
}


@pytest.mark.parametrize(("value", "says"), NO_JSON.values(), ids=NO_JSON)
def test_a_value_that_no_document_can_hold_is_refused(value: Any, says: str) -> None:
    for field, values in (
        ("parameters", {"parameters": value}),
        ("tools[0].parameters", {"tools": [{"type": "openrouter:x", "parameters": value}]}),
        ("responseFormat.schema", {"responseFormat": {"schema": value}}),
    ):
        assert says in wrong(values)[field]


def test_json_may_be_given_as_text() -> None:
    given_: Any = read(
        {
            "parameters": '{"logit_bias": {"7": -100}}',
            "plugins": ['{"id": "web", "max_results": 3}'],
            "responseFormat": {"type": "json_schema", "name": "x", "schema": '{"type": "object"}'},
        }
    ).to_json()
    assert given_["parameters"] == {"logit_bias": {"7": -100}}
    assert given_["plugins"] == [{"id": "web", "max_results": 3}]
    assert given_["responseFormat"]["schema"] == {"type": "object"}


def test_values_at_the_edge_are_taken() -> None:
    edge = {"x": [2**63 - 1, -(2**63)], "y": nested(limits.JSON_MAX_DEPTH - 1), "_z_": {}}
    assert read({"parameters": edge}).parameters == edge


@pytest.mark.parametrize("name", sorted(OWNED_PARAMETERS))
def test_what_is_ours_is_no_parameter_of_theirs(name: str) -> None:
    for values in ({name: 1}, json.dumps({name: 1})):
        ((field, sentence),) = wrong({"parameters": values}).items()
        assert field == f"parameters.{name}"
        setting = FeatureSettings.model_fields.get(name)
        assert sentence == (
            f"parameters.{name} may not be set here: use the setting {setting.alias}."
            if setting
            else f"parameters.{name} may not be set: Firerouter sets it itself."
        )


def test_two_answers_would_be_paid_for_and_one_of_them_read() -> None:
    assert wrong({"parameters": {"n": 2}}) == {
        "parameters.n": "parameters.n may not be set: only one answer is read."
    }
    drawing = {"kind": "image", "imageApi": "images", "parameters": {"n": 2}}
    assert wrong(drawing) == {
        "parameters.n": "parameters.n may not be set: use imageOptions instead."
    }


# -- the way there and back ------------------------------------------------------------------------

NAMES = st.text("abcXYZ.-_ é`", min_size=1, max_size=8).filter(lambda name: name.strip("_"))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | st.text()
)
JSON = st.dictionaries(
    NAMES,
    SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=2), max_size=3),
    max_size=4,
)
IDS = st.from_regex(r"[~@]?[a-z0-9]{1,8}/[a-z0-9.-]{1,8}(:free)?", fullmatch=True)
SLUGS = st.lists(st.from_regex(r"[a-z][a-z0-9/-]{0,8}", fullmatch=True), max_size=3)
FORMATS = st.builds(StoredFormat, type=st.sampled_from(["text", "json_object"])) | st.builds(
    lambda schema, strict: StoredFormat(
        type="json_schema", name="answer", schema=schema, strict=strict
    ),
    JSON,
    st.booleans(),
)
SETTINGS = st.builds(
    FeatureSettings,
    model=IDS,
    fallback_models=st.lists(IDS, max_size=3),
    allowed_models=st.lists(IDS, max_size=3),
    system_prompt=st.text(max_size=200),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
    seed=st.none() | st.integers(0, 2**31 - 1),
    stop=st.lists(st.text(min_size=1, max_size=5), max_size=4),
    stream=st.booleans(),
    response_format=st.none() | FORMATS,
    reasoning=st.none()
    | st.builds(Reasoning, effort=st.sampled_from(["high", "none"]))
    | st.builds(Reasoning, max_tokens=st.integers(1, 10_000), exclude=st.booleans()),
    tools=st.lists(
        st.builds(ServerTool, type=st.just("openrouter:web_search"), parameters=JSON), max_size=2
    ),
    plugins=st.lists(JSON.map(lambda value: {**value, "id": "web"}), max_size=2),
    provider=st.none() | st.builds(ProviderRouting, order=SLUGS, zdr=st.none() | st.booleans()),
    parameters=JSON.filter(lambda value: not OWNED_PARAMETERS & value.keys()),
)


@given(SETTINGS)
def test_settings_survive_the_way_to_json_and_back(settings: FeatureSettings) -> None:
    text = json.dumps(settings.to_json(), allow_nan=False)
    again = read(json.loads(text))
    assert again == settings
    assert same_settings(again, settings)


def test_what_is_not_set_is_left_out() -> None:
    document = FeatureSettings(caps={"requests_per_day": 5}).to_json()  # type: ignore[arg-type]
    assert document["limits"] == {"requestsPerDay": 5}
    assert not {"temperature", "responseFormat", "reasoning", "provider", "caps"} & document.keys()


# -- drafts ----------------------------------------------------------------------------------------

USERS = [f"user-{number}" for number in range(4_000)]


def taken(percent: float, feature: str = "chat", revision: int = 3) -> set[str]:
    draft = Draft(revision, FeatureSettings(), percent)
    return {uid for uid in USERS if draft.includes(feature, uid)}


@pytest.mark.parametrize("percent", [0.5, 1, 10, 33.3, 50, 90, 99])
def test_a_draft_takes_about_its_share_of_the_users(percent: float) -> None:
    # the hash is no dice: what is true today stays true
    assert len(taken(percent)) / len(USERS) * 100 == pytest.approx(percent, abs=2.5)


def test_nobody_and_everybody() -> None:
    assert taken(0) == taken(-1) == set()
    assert taken(100) == set(USERS)


def test_a_higher_percentage_adds_users_and_takes_none_away() -> None:
    shares = [taken(percent) for percent in (1, 10, 10.5, 50, 99, 100)]
    for fewer, more in pairwise(shares):
        assert fewer < more


def test_drafts_and_features_choose_apart_from_each_other() -> None:
    one, others = taken(50), (taken(50, revision=4), taken(50, feature="code"))
    for other in others:
        assert len(one & other) / len(USERS) == pytest.approx(0.25, abs=0.03)


def test_a_user_gets_the_drafts_settings_and_its_number_or_neither() -> None:
    draft = Draft(7, FeatureSettings(model="a/draft"), 50)
    feature = Feature("chat", True, 5, FeatureSettings(model="a/served"), draft)
    got = Counter((f.revision, f.settings.model) for f in map(feature.for_user, USERS))
    assert got.keys() == {(5, "a/served"), (7, "a/draft")}
    assert feature.for_user("user-1") == feature.for_user("user-1")
    document: Any = feature.to_document()
    assert document["draft"]["percent"] == 50
    assert DEFAULTS["chat"].for_user("user-1") is DEFAULTS["chat"]


# -- differences -----------------------------------------------------------------------------------

DIFFERENCES: dict[str, tuple[Any, Any, list[dict[str, Any]]]] = {
    "none": ({"a": {"b": [1]}}, {"a": {"b": [1]}}, []),
    "a field": ({"a": 1}, {"a": 2}, [{"field": "a", "before": 1, "after": 2}]),
    "one more": ({}, {"a": None}, [{"field": "a", "after": None}]),
    "one less": ({"a": 0}, {}, [{"field": "a", "before": 0}]),
    "deep": (
        {"a": {"b": {"c": 1}, "d": 1}},
        {"a": {"b": {"c": 2}, "d": 1}},
        [{"field": "a.b.c", "before": 1, "after": 2}],
    ),
    "a list is one value": (
        {"a": [1, 2]},
        {"a": [2, 1]},
        [{"field": "a", "before": [1, 2], "after": [2, 1]}],
    ),
    "1 is not true": ({"a": 1}, {"a": True}, [{"field": "a", "before": 1, "after": True}]),
    "in a list neither": (
        {"a": [0]},
        {"a": [False]},
        [{"field": "a", "before": [0], "after": [False]}],
    ),
    "the order of names is none": ({"a": [{"x": 1, "y": 2}]}, {"a": [{"y": 2, "x": 1}]}, []),
    "an object for a value": (
        {"a": 1},
        {"a": {"b": 1}},
        [{"field": "a", "before": 1, "after": {"b": 1}}],
    ),
    "in order": (
        {"b": 1, "a": 1},
        {},
        [{"field": "a", "before": 1}, {"field": "b", "before": 1}],
    ),
    "all of it": (None, {"a": 1}, [{"field": "", "before": None, "after": {"a": 1}}]),
}


@pytest.mark.parametrize(("before", "after", "found"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_differences(before: Any, after: Any, found: list[dict[str, Any]]) -> None:
    assert differences(before, after) == found


@given(SETTINGS, SETTINGS)
def test_settings_differ_where_json_does(one: FeatureSettings, other: FeatureSettings) -> None:
    found = differences(one.to_json(), other.to_json())
    texts = [json.dumps(side.to_json(), sort_keys=True) for side in (one, other)]
    assert bool(found) == (texts[0] != texts[1])
    assert same_settings(one, other) == (not found)


# -- documentation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [FeatureSettings, AppSettings, ProviderRouting, MaxPrice, Reasoning, ServerTool]
)
def test_each_field_is_documented_beside_it_in_a_sentence(shape: type[BaseModel]) -> None:
    """The reference is generated from these; reading them at import would cost each cold start."""
    (body,) = (
        node.body
        for node in ast.parse(inspect.getsource(sys.modules[shape.__module__])).body
        if isinstance(node, ast.ClassDef) and node.name == shape.__name__
    )
    documented = {
        field.target.id: text.value.value
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    assert documented.keys() == shape.model_fields.keys()
    for text in documented.values():
        assert str(text).rstrip().endswith(".")
