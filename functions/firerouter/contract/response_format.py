"""JSON answers: the formats that callers may require, and whether an answer has one. Pure.

Models and providers do not always comply with a format, so the answer is validated here as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, NamedTuple

import orjson
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError, from_json

from .base import Record
from .fields import Name
from .json_schema import TooMuch, fault_of, fault_of_schema
from .json_values import JsonObject, SentObject

# many models put JSON into a Markdown code fence, whatever the request says
_WORDS: Final[Mapping[str, str]] = {
    "$ (json)": ": it is not JSON",
    "$ (type)": ": it is not the kind of JSON that was asked for",
    "$ (too much to validate)": ", or is too large to tell",
}
_FENCE: Final = re.compile(r"```[\w+-]*[ \t]*\r?\n")
_BRACKET: Final = re.compile(r"[{\[]")
_AGAIN: Final = (
    "Your answer does not have the requested format: {fault}. "
    "Give the complete answer again, as JSON only, without any other text."
)


def _schema(value: dict[str, object]) -> dict[str, object]:
    if fault := fault_of_schema(value):
        raise PydanticCustomError("schema", "is not a valid JSON Schema: see {at}", {"at": fault})
    return value


class ResponseFormat(Record):
    """The format that an answer must have."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    """`text`: anything. `json_object`: any JSON object. `json_schema`: what `schema` describes."""
    name: Name | None = None
    """Required with `json_schema`: a name for the JSON, which the model gets."""
    schema_: Annotated[SentObject, AfterValidator(_schema)] | None = Field(
        default=None, alias="schema"
    )
    """With `json_schema`, required: a JSON Schema (draft 2020-12), as an object or as its text."""
    strict: bool = True
    """With `json_schema`: whether providers should enforce the schema, if they can."""

    @model_validator(mode="after")
    def _whole(self) -> ResponseFormat:
        if self.type == "json_schema" and not (self.name and self.schema_ is not None):
            raise PydanticCustomError(
                "schema", "must have name and schema if its type is json_schema"
            )
        return self

    def upstream(self) -> dict[str, object]:
        """Return `response_format` as OpenRouter takes it."""
        if self.type != "json_schema":
            return {"type": self.type}
        schema = {"name": self.name, "schema": self.schema_, "strict": self.strict}
        return {"type": self.type, "json_schema": schema}


class StoredFormat(ResponseFormat):
    """A feature's own format, which Firestore can store."""

    schema_: Annotated[JsonObject, AfterValidator(_schema)] | None = Field(
        default=None, alias="schema"
    )
    """With `json_schema`, required: a JSON Schema (draft 2020-12), as an object or as its text. No
    list is directly inside a list, and no name begins and ends with two underscores."""


class ParsedAnswer(NamedTuple):
    """An answer as JSON, or where it breaks its format: a path and a keyword of the schema."""

    value: object = None
    fault: str | None = None


def parse_answer(text: str, wanted: Mapping[str, object] | None) -> ParsedAnswer | None:
    """Parse an answer and validate it. Return None if no JSON was requested.

    Args:
        text: The answer.
        wanted: `response_format`, as it was sent to OpenRouter.
    """
    kind = (wanted or {}).get("type")
    if kind not in ("json_object", "json_schema"):
        return None
    for candidate in _candidates(text):
        try:
            value = orjson.loads(candidate)
        except ValueError:
            continue
        break
    else:
        return ParsedAnswer(fault="$ (json)")
    if kind == "json_object":
        return ParsedAnswer(value) if isinstance(value, dict) else ParsedAnswer(fault="$ (type)")
    named = (wanted or {}).get("json_schema")
    try:
        fault = fault_of(value, named.get("schema") or {} if isinstance(named, dict) else {})
    except TooMuch:
        fault = "$ (too much to validate)"
    return ParsedAnswer(fault=fault) if fault else ParsedAnswer(value)


def parse_partial(text: str) -> object:
    """Return the JSON value so far, whose last text may be truncated; None if there is none."""
    fence = _FENCE.search(text)
    bracket = _BRACKET.search(text)
    for begin in (0, fence and fence.end(), bracket and bracket.start()):
        if begin is None:
            continue
        try:
            value: object = from_json(
                text[begin:], allow_partial="trailing-strings", allow_inf_nan=False
            )
            json.dumps(value, allow_nan=False)  # 1e999 is read as infinity all the same
        except ValueError:
            continue
        return value
    return None


def _candidates(text: str) -> Iterator[str]:
    """Yield what may be the JSON in a text: all of it, what is in a fence, and what is between the
    first bracket and the last one of its kind. A later bracket may be inside truncated JSON."""
    yield text
    if fence := _FENCE.search(text):
        end = text.find("\n```", fence.end() - 1)
        yield text[fence.end() : None if end < 0 else end]
    if bracket := _BRACKET.search(text):
        closing = {"{": "}", "[": "]"}[bracket[0]]
        yield text[bracket.start() : text.rfind(closing) + 1]


def result_fields(found: ParsedAnswer | None) -> dict[str, object]:
    """Return a result's `json`, or the notice that the answer does not have the format.

    `found` is what `parse_answer` returned for it.
    """
    if found is None:
        return {}
    if found.fault is None:
        return {"json": found.value}
    message = f"The answer does not have the requested format{_in_words(found.fault)}."
    return {"notice": {"reason": "format_not_kept", "at": found.fault, "message": message}}


def _in_words(fault: str) -> str:
    """Return what is wrong with an answer, as the end of a sentence."""
    if fault in _WORDS:
        return _WORDS[fault]
    path, _, keyword = fault.removesuffix(")").partition(" (")
    place = "the whole of it" if path == "$" else path.removeprefix("$.")
    return f": {place} breaks the rule {keyword} of the schema"


def repair_request(fault: str) -> str:
    """Return the prompt that requests the answer again, and says what is wrong with it."""
    return _AGAIN.format(fault=fault)


# -- results in the ledger: without `json`, which is in the text and may not fit a document -------


def to_stored(result: Mapping[str, object]) -> dict[str, object]:
    """Return a result as the ledger stores it, with `hasJson` in place of `json`."""
    if "json" not in result:
        return dict(result)
    return {**{n: v for n, v in result.items() if n != "json"}, "hasJson": True}


def from_stored(stored: Mapping[str, object]) -> dict[str, object]:
    """Return a stored result as a caller gets it."""
    if "hasJson" not in stored:
        return dict(stored)
    found = parse_answer(str(stored.get("text")), {"type": "json_schema"})
    shown = {name: value for name, value in stored.items() if name != "hasJson"}
    return {**shown, "json": found.value if found else None}
