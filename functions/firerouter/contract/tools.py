"""Tools that an app declares and runs itself: what it says of them, and what is said to a model.

    the app declares tools -> the model asks for some (calls) -> the app runs them -> results

A call and its result belong together by an id. Providers refuse a call without a result, and a
result without a call: so neither is ever sent. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final, Protocol

import orjson
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .json_schema import fault_of_schema
from .json_values import SentObject

CHOICES: Final = ("auto", "none", "required")


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("type") != "object":
        raise PydanticCustomError("schema", 'must be a JSON Schema whose type is "object"')
    if fault := fault_of_schema(value):
        raise PydanticCustomError("schema", "is no JSON Schema: look at {at}", {"at": fault})
    return value


ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


CallId = Annotated[str, Field(min_length=1, max_length=limits.TOOL_CALL_ID_MAX_CHARS)]


class Tool(Record):
    """A function of the app's. parameters: a JSON Schema of the object that it takes."""

    name: ToolName
    description: Annotated[str, Field(max_length=limits.TOOL_DESCRIPTION_MAX_CHARS)] | None = None
    parameters: Annotated[SentObject, AfterValidator(_schema)] | None = None
    strict: bool | None = None

    def upstream(self) -> dict[str, Any]:
        return {"type": "function", "function": self.model_dump(exclude_none=True)}


class ToolCall(Record):
    """What a model asked for. arguments: the JSON that it wrote, as text."""

    id: CallId
    name: ToolName
    arguments: Annotated[str, Field(max_length=limits.TOOL_ARGUMENTS_MAX_CHARS)]


class ToolResult(Record):
    """What came of a call."""

    tool_call_id: CallId
    content: Annotated[str, Field(max_length=limits.PROMPT_MAX_CHARS)]


def _not_too_long(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = limits.REASONING_DETAILS_MAX_BYTES
    try:
        size = len(json.dumps(value))
    except RecursionError:
        size = most + 1
    if size > most:
        raise PydanticCustomError("size", "may be at most {limit} bytes of JSON", {"limit": most})
    return value


# a model's thoughts as it gave them: it alone knows what they mean
ReasoningDetails = Annotated[
    list[dict[str, Any]],
    Field(max_length=limits.REASONING_DETAILS_MAX),
    AfterValidator(_not_too_long),
]


class Turn(Protocol):
    """A message of the caller's, as far as it concerns tools."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def tool_calls(self) -> list[ToolCall]: ...
    @property
    def tool_call_id(self) -> str | None: ...
    @property
    def reasoning_details(self) -> list[dict[str, Any]]: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def problem_of(
    tools: Sequence[Tool], choice: str | None, messages: Sequence[Turn]
) -> tuple[str, str] | None:
    """(the field, the end of a sentence) of what does not fit together in a request."""
    return next(_problems(tools, choice, messages), None)


def _problems(
    tools: Sequence[Tool], choice: str | None, messages: Sequence[Turn]
) -> Iterator[tuple[str, str]]:
    names: dict[str, int] = {}
    for at, tool in enumerate(tools):
        if tool.name in CHOICES:
            yield f"tools[{at}].name", f"may not be {tool.name}, which toolChoice gives a meaning"
        if tool.name in names:
            yield f"tools[{at}].name", f"is that of tools[{names[tool.name]}] too"
        names[tool.name] = at
    if choice is not None and choice not in (*CHOICES, *names):
        yield "toolChoice", "must be auto, none, required or the name of one of tools"
    if choice == "required" and not tools:
        yield "toolChoice", "asks for a tool, and there are no tools"
    if sum(len(orjson.dumps(tool.model_dump())) for tool in tools) > limits.TOOLS_MAX_BYTES:
        yield "tools", f"may be at most {limits.TOOLS_MAX_BYTES} bytes of JSON together"
    yield from _unpaired(messages)


def _unpaired(messages: Sequence[Turn]) -> Iterator[tuple[str, str]]:
    """A call without a result, a result without a call, and what makes no message."""
    asked, unanswered = 0, set[str]()
    for at, message in enumerate(messages):
        here, calls = f"messages[{at}]", message.tool_calls
        if "content" not in message.model_fields_set and not calls:
            yield f"{here}.content", "is required"
        if calls and message.role != "assistant":
            yield f"{here}.toolCalls", "are an assistant's alone"
        if message.reasoning_details and message.role != "assistant":
            yield f"{here}.reasoningDetails", "are an assistant's alone"
        if message.role == "tool":
            if message.tool_call_id not in unanswered:
                yield f"{here}.toolCallId", "is none that the assistant before asked for"
            unanswered.discard(message.tool_call_id or "")
            continue
        if message.tool_call_id is not None:
            yield f"{here}.toolCallId", "is a tool's alone"
        if unanswered:
            yield f"messages[{asked}].toolCalls", "are not all answered by the messages after it"
        asked, unanswered = at, {call.id for call in calls}
        if len(unanswered) < len(calls):
            yield f"{here}.toolCalls", "have the same id twice"
    if unanswered:
        yield f"messages[{asked}].toolCalls", "are not all answered by the messages after it"


def size_of(calls: Iterable[ToolCall]) -> int:
    """In characters, as a model is sent them."""
    return sum(len(call.name) + len(call.arguments) for call in calls)
