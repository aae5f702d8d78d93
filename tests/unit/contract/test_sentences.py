"""What is said of a wrong request: every constraint of every model, provoked one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from firerouter import contract, limits
from firerouter.contract import ResumeGeneration, admin, faults
from firerouter.features import AppSettings, FeatureSettings

MODELS: Final[tuple[type[BaseModel], ...]] = (
    contract.ExecutePrompt,
    contract.CompareModels,
    contract.CreateEmbeddings,
    contract.StopGeneration,
    contract.CreateUpload,
    contract.GetAvailableModels,
    contract.ListFeatures,
    contract.SetPreferences,
    contract.UpdateConversation,
    contract.DeleteConversation,
    contract.ExportConversation,
    contract.Dispatch,
    contract.QueuedGeneration,
    ResumeGeneration,
    admin.SaveFeatureSettings,
    admin.ResetFeature,
    admin.RestoreFeature,
    admin.PromoteDraft,
    admin.DropDraft,
    admin.TestFeatureSettings,
    admin.SaveAppSettings,
    admin.TestConnection,
    admin.SetKey,
    admin.RemoveKey,
    admin.RefreshCatalog,
    FeatureSettings,
    AppSettings,
)
CANARY: Final = "zqx canary \u2028 zqx"  # breaks every pattern, and must not be repeated
KEY_CANARY: Final = "sk-or-v1-zqxcanary"

# words of pydantic's, of Python's, and of regular expressions
FOREIGN: Final = re.compile(
    r"Input should|String should|Value error|validation error|[Pp]attern|[Rr]egex|[\^\\]"
    r"|\[a-z|\[A-Z|\[0-9-|\bstr\b|\bint\b|\bdict\b|\bNone\b|NoneType|\bTrue\b|\bFalse\b|Undefined"
    r"|\{\w+\}|can\s+not|pydantic"
)
SENTENCE: Final = re.compile(r"[A-Za-z].*[^.]\.")


def look(sentence: str, field: str) -> None:
    """Assert that a person can do something with the sentence."""
    assert SENTENCE.fullmatch(sentence), sentence
    assert not FOREIGN.search(sentence), sentence
    assert len(sentence) <= 200, sentence
    assert "zqx" not in sentence, sentence
    if field and not sentence.startswith("This file "):  # its user knows no field
        assert field[:60] in sentence, (field, sentence)


# -- a walk through pydantic's own description of a model: the values that break each constraint ---

Path = tuple[str | int, ...]
Case = tuple[Path, object, str]  # where, what is given there, which constraint that breaks

MISFITS: Final[tuple[object, ...]] = (CANARY, "", " ", {"unknown": CANARY}, [[]])
WRAPPERS: Final = {"default", "nullable", "function-after", "function-before", "function-wrap"}
TYPES: Final[Mapping[str, tuple[object, ...]]] = {
    "str": (7, True, None, ["x"], {"x": 1}),
    "int": ("7", 1.5, True, None, [1]),
    "float": ("7", True, None, {}),
    "bool": ("true", 1, None, []),
    "list": ("x", 7, None, {"x": 1}),
    "dict": (7, None, [1], True),
    "model": ("x", 7, None, [1]),
    "literal": ("zqx canary", 7, None, True),
}


def walk(schema: Mapping[str, Any], path: Path, seen: Mapping[str, Any]) -> Iterator[Case]:
    """Yield a value for each constraint of a core schema, and of all that is within it."""
    kind = schema["type"]
    if kind == "definitions":
        named = {one["ref"]: one for one in schema["definitions"]}
        yield from walk(schema["schema"], path, {**seen, **named})
    elif kind == "definition-ref":
        yield from walk(seen[schema["schema_ref"]], path, seen)
    elif kind in WRAPPERS:
        if kind.startswith("function"):  # a validator of ours: patterns, blanks, shapes
            yield from ((path, value, kind) for value in MISFITS)
        yield from walk(schema["schema"], path, seen)
    elif kind == "model":
        yield from walk(schema["schema"], path, seen)
    elif kind == "model-fields":
        yield from ((path, value, "model_type") for value in TYPES["model"])
        for name in ("unknownField", "a" * 500, KEY_CANARY):
            yield (*path, name), 1, "extra_forbidden"
        for name, field in schema["fields"].items():
            at = (*path, field.get("validation_alias", name))
            yield at, PydanticUndefined, "missing"
            yield from walk(field["schema"], at, seen)
    else:
        yield from leaf(schema, path, seen)


def leaf(schema: Mapping[str, Any], path: Path, seen: Mapping[str, Any]) -> Iterator[Case]:
    kind = schema["type"]
    assert kind in {*TYPES, "any"}, f"{kind} is new here: say what breaks it"
    yield from ((path, value, f"{kind}_type") for value in TYPES.get(kind, ()))
    for bound, step in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
        if bound in schema:
            for value in (schema[bound] + step, step * 10**9 or schema[bound], step * 10**30):
                broken = value if kind == "int" else float(value)
                yield path, broken, bound
    if kind == "float":
        yield from ((path, value, "finite") for value in (float("nan"), float("inf")))
    if "max_length" in schema and kind == "str":
        yield path, "x" * (schema["max_length"] + 1), "max_length"
    if "pattern" in schema:
        yield from ((path, value, "pattern") for value in (CANARY, "zqx\n", "-"))
    if "min_length" in schema:
        yield path, {"str": "", "list": [], "dict": {}}[kind], "min_length"
    if kind == "list":
        if "max_length" in schema:
            yield path, [PydanticUndefined] * (schema["max_length"] + 1), "max_length"
        yield from walk(schema["items_schema"], (*path, 0), seen)
    if kind == "dict":
        if "max_length" in schema:
            yield path, {f"x{n}": "x" for n in range(schema["max_length"] + 1)}, "max_length"
        if schema["keys_schema"]["type"] != "str" or len(schema["keys_schema"]) > 1:
            for name in ("nö name", "", "9", "x" * 500, KEY_CANARY):
                yield path, {name: "x"}, "keys"
        yield from walk(schema["values_schema"], (*path, "name"), seen)


def request(path: Path, value: object) -> object:
    """Return a request that has the value at that path, and nothing beside it."""
    if not path:
        return value
    first, *rest = path
    inner = request(tuple(rest), value)
    if isinstance(first, int):
        return [inner]
    return {} if inner is PydanticUndefined else {first: inner}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_constraint_is_told_in_a_plain_sentence(model: type[BaseModel]) -> None:
    for path, value, _ in walk(model.__pydantic_core_schema__, (), {}):
        try:
            model.model_validate(request(path, value), by_alias=True, by_name=False)
        except ValidationError as error:
            for field, sentence in faults(error):
                look(sentence, field)


def test_the_walk_breaks_constraints_of_every_kind() -> None:
    """A walk that found nothing to break would pass as well."""
    told = set[str]()
    for model in MODELS:
        for path, value, _ in walk(model.__pydantic_core_schema__, (), {}):
            try:
                model.model_validate(request(path, value), by_alias=True, by_name=False)
            except ValidationError as error:
                told |= {item["type"] for item in error.errors(include_input=False)}
    assert told >= {
        *("missing", "extra_forbidden", "model_type", "string_type", "bool_type", "list_type"),
        *("dict_type", "int_type", "float_type", "finite_number", "literal_error"),
        *("string_too_long", "string_too_short", "too_long", "too_short"),
        *("greater_than", "greater_than_equal", "less_than_equal"),
        *("form", "blank", "json"),
    }


# -- what does not go together: each rule of our own, broken once ---------------------------------

ASKED: Final = {"feature": "chat", "prompt": CANARY}
SAID: Final = {"role": "user", "content": CANARY}
CALLS: Final = {
    "role": "assistant",
    "toolCalls": [{"id": "a", "name": "look", "arguments": "{}"}],
}
TOOL: Final = {"name": "look"}
RESULT: Final = {"toolCallId": "a", "content": CANARY}
BOTH: Final = {"feature": "chat", "models": ["a/b", "a/c"], "prompt": CANARY}
IMAGES: Final = {"kind": "image", "imageApi": "images"}
LARGE: Final = {"data": "A" * 2_000_000, "contentType": "image/png"}

CONFLICTS: Final[Mapping[type[BaseModel], tuple[tuple[dict[str, Any], str], ...]]] = {
    contract.ExecutePrompt: (
        ({"feature": "chat"}, ""),
        ({**ASKED, "messages": [SAID]}, ""),
        ({"feature": "chat", "regenerate": "m1"}, "regenerate"),
        ({"feature": "chat", "toolResults": [RESULT]}, "toolResults"),
        ({**ASKED, "parentMessageId": "m1"}, "parentMessageId"),
        ({**ASKED, "parentMessageId": "m1", "conversationId": "new"}, "parentMessageId"),
        ({"feature": "chat", "messages": [SAID], "conversationId": "c1"}, "messages"),
        ({"feature": "chat", "regenerate": "m", "conversationId": "c", "context": "x"}, "context"),
        (
            {
                "feature": "chat",
                "regenerate": "m",
                "conversationId": "c",
                "parentMessageId": "m",
            },
            "parentMessageId",
        ),
        (
            {"feature": "chat", "toolResults": [RESULT], "conversationId": "c", "context": "x"},
            "context",
        ),
        ({"feature": "chat", "messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({**ASKED, "context": "x" * limits.PROMPT_MAX_CHARS}, ""),
        ({"feature": "chat", "messages": [SAID], "attachments": [LARGE]}, "attachments"),
        ({**ASKED, "attachments": [LARGE] * 6}, "attachments"),
        ({**ASKED, "attachments": [{}]}, "attachments[0]"),
        ({**ASKED, "attachments": [{"data": "AA=="}]}, "attachments[0]"),
        (
            {
                **ASKED,
                "attachments": [{"path": "users/u/uploads/" + "0" * 32, "name": "x"}],
            },
            "attachments[0]",
        ),
        ({**ASKED, "tools": [{"name": "auto"}]}, "tools[0].name"),
        ({**ASKED, "tools": [TOOL, TOOL]}, "tools[1].name"),
        ({**ASKED, "tools": [{**TOOL, "parameters": {"type": "text"}}]}, "tools[0].parameters"),
        (
            {**ASKED, "tools": [{**TOOL, "parameters": {"type": "object", "required": 7}}]},
            "tools[0].parameters",
        ),
        ({**ASKED, "toolChoice": CANARY}, "toolChoice"),
        ({**ASKED, "toolChoice": "required"}, "toolChoice"),
        (
            {**ASKED, "tools": [{"name": f"t{n}", "description": "x" * 4_000} for n in range(13)]},
            "tools",
        ),
        ({"feature": "chat", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"feature": "chat", "messages": [{**SAID, "content": " "}]}, "messages[0].content"),
        (
            {"feature": "chat", "messages": [{**CALLS, "role": "user"}, SAID]},
            "messages[0].toolCalls",
        ),
        (
            {"feature": "chat", "messages": [{**SAID, "toolCalls": CALLS["toolCalls"]}]},
            "messages[0].toolCalls",
        ),
        (
            {"feature": "chat", "messages": [{**SAID, "reasoningDetails": [{}]}]},
            "messages[0].reasoningDetails",
        ),
        ({"feature": "chat", "messages": [{**RESULT, "role": "tool"}]}, "messages[0].toolCallId"),
        ({"feature": "chat", "messages": [{**SAID, "toolCallId": "a"}]}, "messages[0].toolCallId"),
        ({"feature": "chat", "messages": [CALLS, SAID]}, "messages[0].toolCalls"),
        (
            {
                "feature": "chat",
                "messages": [{**CALLS, "toolCalls": [*CALLS["toolCalls"]] * 2}, SAID],
            },
            "messages[0].toolCalls",
        ),
        ({**ASKED, "responseFormat": {"type": "json_schema"}}, "responseFormat"),
        (
            {**ASKED, "responseFormat": {"type": "json_schema", "name": "x", "schema": CANARY}},
            "responseFormat.schema",
        ),
        ({**ASKED, "imageOptions": {"size": "10x10", "aspectRatio": "1:1"}}, "imageOptions"),
    ),
    contract.CompareModels: (
        ({**BOTH, "models": ["a/b", "a/b"]}, "models"),
        ({**BOTH, "conversationId": "c"}, "conversationId"),
        ({**BOTH, "resume": "c"}, "resume"),
    ),
    contract.CreateEmbeddings: (
        ({"feature": "x", "input": ["x" * limits.PROMPT_MAX_CHARS] * 6}, "input"),
    ),
    contract.StopGeneration: (({}, ""), ({"requestId": "a", "generationId": "0" * 32}, "")),
    contract.UpdateConversation: (({"conversationId": "c"}, "title"),),
    admin.SaveFeatureSettings: (
        ({"feature": "chat"}, "settings"),
        ({"feature": "chat", "enabled": True, "validateOnly": True}, "settings"),
        (
            {"feature": "chat", "enabled": True, "settings": {}, "draftPercent": 5},
            "enabled",
        ),
    ),
    admin.TestConnection: (({"key": KEY_CANARY, "position": 1}, "key"),),
    admin.TestFeatureSettings: (({**ASKED, "conversationId": "c"}, "conversationId"),),
    FeatureSettings: (
        ({"parameters": {"model": CANARY}}, "parameters.model"),
        ({"plugins": [{"id": CANARY}]}, "plugins[0]"),
        ({"displayName": " zqx"}, "displayName"),
        ({"reasoning": {"effort": "low", "maxTokens": 5}}, "reasoning"),
        ({**IMAGES, "provider": {"zdr": True}}, "provider.zdr"),
        ({**IMAGES, "parameters": {"quality": "low"}}, "parameters.quality"),
        ({"parameters": {"x": [[1]]}}, "parameters"),
        ({"parameters": {"__x__": 1}}, "parameters"),
        ({"parameters": {"": 1}}, "parameters"),
        ({"parameters": {"x" * 101: 1}}, "parameters"),
        ({"parameters": {"x": 2**64}}, "parameters"),
        (
            {
                "parameters": {
                    "x": {"x": {"x": {"x": {"x": {"x": [{"x": [{"x": [{"x": [1]}]}]}]}}}}}
                }
            },
            "parameters",
        ),
        ({"parameters": {"x": "x" * limits.PARAMETERS_MAX_BYTES}}, "parameters"),
        (
            {
                "systemPrompt": "\U0001f600" * limits.SYSTEM_PROMPT_MAX_CHARS,
                "parameters": {"x": "x" * 19_000},
                "plugins": [{"id": "web", "x": "x" * 19_000}] * 8,
            },
            "",
        ),
    ),
}
BROKEN: Final = [
    pytest.param(model, data, field, id=f"{model.__name__}-{number}-{field}")
    for model, conflicts in CONFLICTS.items()
    for number, (data, field) in enumerate(conflicts)
]


@pytest.mark.parametrize(("model", "data", "field"), BROKEN)
def test_what_does_not_go_together_is_told_in_a_plain_sentence(
    model: type[BaseModel], data: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(data, by_alias=True, by_name=False)
    told = faults(refused.value)
    assert field in dict(told)
    for where, sentence in told:
        look(sentence, where)


# -- the very words, where they were once hard to understand --------------------------------------

TOOL_NAME: Final = "tools[0].name must be 1 to 64 letters, digits, _ or -."
SAID_OF: Final[tuple[tuple[type[BaseModel], dict[str, Any], str, str], ...]] = (
    (AppSettings, {"appName": "Größe"}, "appName", "appName must be plain ASCII text."),
    (
        AppSettings,
        {"referer": "my.app"},
        "referer",
        "referer must be empty or a web address with http:// or https://.",
    ),
    (FeatureSettings, {"topP": 0}, "topP", "topP must be greater than 0, not 0."),
    (
        FeatureSettings,
        {"seed": 2**31},
        "seed",
        "seed must be less than 2,147,483,648, not 2,147,483,648.",
    ),
    (
        FeatureSettings,
        {"tools": [{"type": "web search"}]},
        "tools[0].type",
        "tools[0].type must be the name of a server tool, such as openrouter:web_search.",
    ),
    (
        contract.ExecutePrompt,
        {**ASKED, "responseFormat": {"name": "my answer"}},
        "responseFormat.name",
        "responseFormat.name may only have letters, digits, _ and -, and must begin with a letter.",
    ),
    (contract.ExecutePrompt, {**ASKED, "tools": [{"name": "my tool"}]}, "tools[0].name", TOOL_NAME),
    (
        contract.ExecutePrompt,
        {**ASKED, "imageOptions": {"size": "huge"}},
        "imageOptions.size",
        "imageOptions.size must be a tier such as 2K or pixels such as 1024x1536.",
    ),
    (admin.SetKey, {"key": "sk-or"}, "key", "key must have at least 8 characters, not 5."),
    (admin.SetKey, {"key": ""}, "key", "key must not be empty."),
    (admin.SetKey, {"key": "  "}, "key", "key must not be empty."),
    (
        contract.ExecutePrompt,
        {"feature": "chat", "regenerate": "m"},
        "regenerate",
        "regenerate is only allowed with conversationId.",
    ),
    (
        contract.CompareModels,
        {**BOTH, "conversationId": "c"},
        "conversationId",
        "conversationId is not allowed in a comparison.",
    ),
    (
        contract.CompareModels,
        {**BOTH, "models": ["a/b", "a/b"]},
        "models",
        "models must differ from each other.",
    ),
    (
        ResumeGeneration,
        {"resume": "0" * 32, "feature": "chat"},
        "feature",
        "feature is not allowed with resume.",
    ),
    (
        FeatureSettings,
        {"parameters": {"stream": True}},
        "parameters.stream",
        "parameters.stream may not be set here: use the setting stream.",
    ),
    (
        FeatureSettings,
        {"parameters": {"top_p": 1}},
        "parameters.top_p",
        "parameters.top_p may not be set here: use the setting topP.",
    ),
    (
        FeatureSettings,
        {"parameters": {"messages": []}},
        "parameters.messages",
        "parameters.messages may not be set: Firerouter sets it itself.",
    ),
)


@pytest.mark.parametrize(("model", "data", "field", "sentence"), SAID_OF)
def test_the_very_sentence(
    model: type[BaseModel], data: dict[str, Any], field: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(data, by_alias=True, by_name=False)
    assert (field, sentence) in faults(refused.value)


def test_what_is_no_setting_is_called_so() -> None:
    with pytest.raises(ValidationError) as refused:
        FeatureSettings.model_validate({"tempurature": 1}, by_alias=True, by_name=False)
    told = [("tempurature", "tempurature is not a known setting.")]
    assert faults(refused.value, "setting") == told
