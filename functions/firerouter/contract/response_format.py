"""The format that an answer is to have: asked for, looked at, and asked for once more. Pure.

Models and providers keep to a format more or less, so what comes is looked at here as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import orjson
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError, from_json

from .base import Record
from .json_schema import TooMuch, fault_of, fault_of_schema
from .json_values import JsonObject, SentObject

# as many models write JSON, whatever they were told
_FENCED: Final = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)
_FENCE: Final = re.compile(r"\A\s*```(?:json)?[ \t]*\n")
_AGAIN: Final = (
    "Your answer does not have the format that was asked for: {fault}. "
    "Give the whole answer again, as JSON alone, without any other text."
)


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    if fault := fault_of_schema(value):
        raise PydanticCustomError("schema", "is no JSON Schema: look at {at}", {"at": fault})
    return value


class ResponseFormat(Record):
    """The shape of the answer. name, schema, strict: of type json_schema alone."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")] | None = None
    schema_: Annotated[SentObject, AfterValidator(_schema)] | None = Field(
        default=None, alias="schema"
    )
    strict: bool = True

    @model_validator(mode="after")
    def _whole(self) -> ResponseFormat:
        if self.type == "json_schema" and not (self.name and self.schema_ is not None):
            raise PydanticCustomError("schema", "of type json_schema needs name and schema")
        return self

    def upstream(self) -> dict[str, Any]:
        if self.type != "json_schema":
            return {"type": self.type}
        schema = {"name": self.name, "schema": self.schema_, "strict": self.strict}
        return {"type": self.type, "json_schema": schema}


class StoredFormat(ResponseFormat):
    """One that a document can hold."""

    schema_: Annotated[JsonObject, AfterValidator(_schema)] | None = Field(
        default=None, alias="schema"
    )


class Read(NamedTuple):
    """An answer as JSON. fault: why it is none of that format, as a path and a word."""

    value: Any = None
    fault: str | None = None


def read(text: str, wanted: Mapping[str, Any] | None) -> Read | None:
    """The answer as the format has it; None where no JSON was asked for.

    wanted: `response_format` as OpenRouter was sent it.
    """
    kind = (wanted or {}).get("type")
    if kind not in ("json_object", "json_schema"):
        return None
    fenced = _FENCED.fullmatch(text)
    try:
        value = orjson.loads(fenced[1] if fenced else text)
    except ValueError:
        return Read(fault="$ (json)")
    if kind == "json_object":
        return Read(value) if isinstance(value, dict) else Read(fault="$ (type)")
    schema = ((wanted or {}).get("json_schema") or {}).get("schema") or {}
    try:
        fault = fault_of(value, schema)
    except TooMuch:
        fault = "$ (too much to look at)"
    return Read(fault=fault) if fault else Read(value)


def partly(text: str) -> Any:
    """What there is of a JSON value by now, ends of texts included; None where there is none."""
    begun = _FENCE.sub("", text, count=1)
    try:
        return from_json(begun, allow_partial="trailing-strings")
    except ValueError:
        return None


def told(text: str, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a result has of it: `json`, or the notice that it is none."""
    found = read(text, wanted)
    if found is None:
        return {}
    if found.fault is None:
        return {"json": found.value}
    message = f"The answer does not have the format that was asked for: {found.fault}."
    return {"notice": {"reason": "format_not_kept", "at": found.fault, "message": message}}


def repair_request(fault: str) -> str:
    """Return the prompt that asks for the answer again, and says what is wrong with it."""
    return _AGAIN.format(fault=fault)


# -- as the ledger keeps a result: its JSON is in its text, and not all JSON fits a document ------


def kept(result: dict[str, Any]) -> dict[str, Any]:
    if "json" not in result:
        return result
    return {**{n: v for n, v in result.items() if n != "json"}, "hasJson": True}


def restored(stored: dict[str, Any]) -> dict[str, Any]:
    if "hasJson" not in stored:
        return stored
    found = read(str(stored.get("text")), {"type": "json_schema"})
    shown = {name: value for name, value in stored.items() if name != "hasJson"}
    return {**shown, "json": found.value if found else None}
