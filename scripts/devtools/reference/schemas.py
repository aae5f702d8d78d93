"""One JSON Schema (draft 2020-12) of everything on the wire, from which all else is rendered."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NotRequired, Union, is_typeddict

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from firerouter import contract
from firerouter.callable import CallableError
from firerouter.contract import (
    admin_result,
    field_help,
    frames,
    result,
    user_data,
    user_limits,
)
from scripts.devtools.reference.callable_table import CALLABLES

Schema = dict[str, Any]

REF: Final = "#/$defs/"
_SIMPLE: Final[Mapping[object, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    object: {},
    Any: {},
}
# fields of a prompt that require a stored conversation
_OF_CONVERSATIONS: Final = ("conversationId", "parentMessageId", "regenerate", "toolResults")
# what the fields of a prompt mean where there is no conversation to continue
_STATELESS: Final = {
    "prompt": "The question. Give exactly one of `prompt` and `messages`.",
    "messages": "The conversation so far, stored by the app; the last message is the user's or a "
    "tool's.",
}
# what a union of frames is called: an alias has no name of its own at run time
_UNIONS: Final = ("AnswerFrame", "OneAnswerFrame", "Frame", "ComparisonEndFrame")


def build() -> Schema:
    """Return the whole schema: a property for each callable, and the types below `$defs`."""
    defs = {**_requests(), **_results()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Firerouter",
        "description": "What each callable takes, returns and streams.",
        "type": "object",
        "properties": {
            one.name: {
                "type": "object",
                "properties": {
                    "request": _any_of(model.__name__ for model in one.requests),
                    **({"result": _any_of(_names(one.results))} if one.results else {}),
                    **({"frame": {"$ref": REF + one.frame}} if one.frame else {}),
                },
            }
            for one in CALLABLES
        },
        "$defs": dict(sorted(defs.items())),
    }


def _names(kinds: tuple[type, ...]) -> Iterator[str]:
    return (kind.__name__ for kind in kinds)


def _any_of(names: Iterator[str]) -> Schema:
    refs = [{"$ref": REF + name} for name in names]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


# -- requests: pydantic's own schemas, with the strings below the fields ---------------------------


def _requests() -> dict[str, Schema]:
    models = [model for one in CALLABLES for model in one.requests]
    models += [one.settings for one in CALLABLES if one.settings is not None]
    _, document = models_json_schema(
        [(model, "validation") for model in models], by_alias=True, ref_template=REF + "{model}"
    )
    classes = {model.__name__: model for model in models}
    for model in list(classes.values()):
        classes |= {inner.__name__: inner for inner in _models_within(model)}
    defs: dict[str, Schema] = document["$defs"]
    for name, schema in defs.items():
        _describe(schema, classes[name])
    for one in CALLABLES:
        if one.settings is not None:  # the contract holds them as an object: their home is above it
            _point_at(defs[one.requests[0].__name__], one.settings.__name__)
    _point_at(defs["TestFeatureSettings"], "FeatureSettings")
    for name in _OF_CONVERSATIONS:
        del defs["TestFeatureSettings"]["properties"][name]
    own = defs["CompareModels"]["properties"]
    left_out = {*own, *contract.FOR_ONE_MODEL, *_OF_CONVERSATIONS}
    own |= {
        name: field
        for name, field in defs["ExecutePrompt"]["properties"].items()
        if name not in left_out
    }
    defs["CompareModels"]["additionalProperties"] = False
    for properties in (own, defs["TestFeatureSettings"]["properties"]):
        for name, description in _STATELESS.items():
            properties[name] = {**properties[name], "description": description}
    return {name: _without_titles(schema) for name, schema in defs.items()}


def _models_within(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield part
                yield from _models_within(part)


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts(argument)


def _describe(schema: Schema, model: type[BaseModel]) -> None:
    """Put the strings of the source where pydantic would put those of `Field(description=...)`."""
    schema["description"] = field_help.prose(inspect.getdoc(model))
    strings = field_help.field_strings(model)
    for name, field in model.model_fields.items():
        property_ = schema["properties"][field.alias or name]
        property_["description"] = strings.get(name, "")


def _point_at(schema: Schema, settings: str) -> None:
    """Let the field with settings, or limits, be the model that it follows."""
    field = "settings" if "settings" in schema["properties"] else "limits"
    described = schema["properties"][field]["description"]
    model: Schema = {"$ref": REF + settings}
    if field == "limits":  # which may be null: those of everybody
        model = {"anyOf": [model, {"type": "null"}]}
    schema["properties"][field] = {**model, "description": described}


def _without_titles(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: (
            {field: _without_titles(inner) for field, inner in item.items()}
            if name == "properties"
            else _without_titles(item)
        )
        for name, item in value.items()
        if name != "title" or not isinstance(item, str)
    }


# -- results and frames: TypedDicts ----------------------------------------------------------------


def _results() -> dict[str, Schema]:
    defs: dict[str, Schema] = {}
    for module in (result, admin_result, user_limits, user_data, frames):
        for name, value in vars(module).items():
            if is_typeddict(value) and value.__module__ == module.__name__:
                defs[name] = _typed_dict(value)
    for name in _UNIONS:
        alternatives = typing.get_args(getattr(frames, name))
        defs[name] = {
            "description": field_help.alias_string(frames.__name__, name),
            **_any_of(one.__name__ for one in alternatives),
        }
    defs["ModelFrame"] = {
        "description": "A frame of one model's answer, with the model's place in `models`.",
        "allOf": [{"$ref": REF + "OneAnswerFrame"}, {"$ref": REF + "ModelTag"}],
    }
    defs["ComparisonFrame"] = {
        "description": "The frames of `execute_multi_model_prompt`.",
        **_any_of(
            iter(("ComparisonStartFrame", "ModelFrame", "ComparisonEndFrame", "FailureFrame"))
        ),
    }
    reasons = sorted(
        {leaf.reason for leaf in leaves()},
    )
    defs["Reason"] = {"description": "The stable reason of an error.", "enum": reasons}
    defs["ErrorDetails"]["properties"]["reason"]["$ref"] = REF + "Reason"
    del defs["ErrorDetails"]["properties"]["reason"]["type"]
    return defs


def leaves(kind: type[CallableError] = CallableError) -> Iterator[type[CallableError]]:
    """Yield every error that has a reason of its own, in the order of the source."""
    if "reason" in vars(kind) and kind.__module__.startswith("firerouter."):
        yield kind
    for child in kind.__subclasses__():
        yield from leaves(child)


def _typed_dict(kind: type) -> Schema:
    hints = typing.get_type_hints(kind, include_extras=True)
    strings = field_help.field_strings(kind)
    properties = {}
    required = []
    for name, hint in hints.items():
        optional = typing.get_origin(hint) is NotRequired
        (inner,) = typing.get_args(hint) if optional else (hint,)
        properties[name] = {**_type(inner), "description": strings.get(name, "")}
        if not properties[name]["description"]:
            del properties[name]["description"]
        if not optional:
            required.append(name)
    return {
        "type": "object",
        "description": field_help.prose(inspect.getdoc(kind)),
        "properties": properties,
        "required": required,
    }


def _type(hint: Any) -> Schema:  # noqa: PLR0911  # a case for each kind
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    if is_typeddict(hint):
        return {"$ref": REF + hint.__name__}
    if origin is typing.Annotated:  # an object that follows a model above the contract
        return {"$ref": REF + arguments[1]}
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(argument) for argument in arguments]}
    if origin is list:
        return {"type": "array", "items": _type(arguments[0])}
    if origin is dict:
        inner = _type(arguments[1])
        return {"type": "object", **({"additionalProperties": inner} if inner else {})}
    raise TypeError(f"{hint!r} is new here: say what it is in JSON Schema")
