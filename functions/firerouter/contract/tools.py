"""Tools that an app declares and runs itself: what it sends, and whether that is valid. Pure.

    the app declares tools -> the model calls some -> the app runs them -> results

A call and its result share an id. Providers refuse a call without a result, and a result without a
call, so neither is ever sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, Protocol

import orjson
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import Matches
from .json_schema import fault_of_schema
from .json_values import SentObject

CHOICES: Final = ("auto", "none", "required")


def _all_not_too_long(tools: object) -> object:
    """Check the size of all declarations before any of their schemas is looked at."""
    most, size = limits.TOOLS_MAX_BYTES, 0
    for tool in tools if isinstance(tools, list) else ():
        size += _size(tool)
        if size > most:
            raise PydanticCustomError(
                "size", "may have at most {limit} bytes of JSON together", {"limit": f"{most:,}"}
            )
    return tools


def _size(tool: object) -> int:
    """Return the bytes of a tool's JSON; a schema may be given as its text."""
    if isinstance(tool, Tool):
        tool = tool.model_dump(by_alias=True)
    schema = tool.get("parameters") if isinstance(tool, dict) else None
    if isinstance(tool, dict) and isinstance(schema, str):
        return len(schema.encode("utf-8", "replace")) + _size({**tool, "parameters": None})
    try:
        return len(orjson.dumps(tool))
    except TypeError:  # a value that JSON does not have, which is refused later
        return 0


def _schema(value: dict[str, object]) -> dict[str, object]:
    if value.get("type") != "object":
        raise PydanticCustomError("schema", 'must be a JSON Schema whose type is "object"')
    if fault := fault_of_schema(value):
        raise PydanticCustomError("schema", "is not a valid JSON Schema: see {at}", {"at": fault})
    return value


ToolName = Annotated[
    str, Matches(r"[A-Za-z0-9_-]{1,64}", "must be 1 to 64 letters, digits, _ or -")
]
CallId = Annotated[str, Field(min_length=1, max_length=limits.TOOL_CALL_ID_MAX_CHARS)]


class Tool(Record):
    """A function of the app that the model may call."""

    name: ToolName
    """Its name. It must differ from the names of the other tools and of the feature's own tools,
    and must not be `auto`, `none` or `required`."""
    description: Annotated[str, Field(max_length=limits.TOOL_DESCRIPTION_MAX_CHARS)] | None = None
    """What the model is told about it."""
    parameters: Annotated[SentObject, AfterValidator(_schema)] | None = None
    """A JSON Schema of its arguments, whose type is `object`. Default: it has no arguments."""
    strict: bool | None = None
    """Whether providers should enforce `parameters`, if they can."""

    def upstream(self) -> dict[str, object]:
        """Return an entry of `tools` as OpenRouter takes it."""
        return {"type": "function", "function": self.model_dump(exclude_none=True)}


Tools = Annotated[
    list[Tool],
    BeforeValidator(_all_not_too_long, json_schema_input_type=list[Tool]),
    Field(max_length=limits.CALLER_TOOLS_MAX),
]


class ToolCall(Record):
    """A tool call that a model made."""

    id: CallId
    """The call's id."""
    name: ToolName
    """The tool's name."""
    arguments: Annotated[str, Field(max_length=limits.TOOL_ARGUMENTS_MAX_CHARS)]
    """The JSON that the model wrote, as text."""


class ToolResult(Record):
    """The result of a tool call."""

    tool_call_id: CallId
    """The call's `id`."""
    content: Annotated[str, Field(max_length=limits.PROMPT_MAX_CHARS)]
    """What the tool returned."""


def _not_too_long(value: list[dict[str, object]]) -> list[dict[str, object]]:
    most = limits.REASONING_DETAILS_MAX_BYTES
    try:
        size = len(json.dumps(value))
    except RecursionError:
        size = most + 1
    if size > most:
        raise PydanticCustomError(
            "size", "may have at most {limit} bytes of JSON", {"limit": f"{most:,}"}
        )
    return value


# reasoning in its provider's own form, which no other model understands
ReasoningDetails = Annotated[
    list[dict[str, object]],
    Field(max_length=limits.REASONING_DETAILS_MAX),
    AfterValidator(_not_too_long),
]


class Turn(Protocol):
    """The fields of a caller's message that concern tools."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def tool_calls(self) -> list[ToolCall]: ...
    @property
    def tool_call_id(self) -> str | None: ...
    @property
    def reasoning_details(self) -> list[dict[str, object]]: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def problem_of(
    tools: Sequence[Tool], choice: str | None, messages: Sequence[Turn]
) -> tuple[str, str] | None:
    """Return (the field, the end of a sentence) for the first conflict; None if there is none."""
    return next(_problems(tools, choice, messages), None)


def _problems(
    tools: Sequence[Tool], choice: str | None, messages: Sequence[Turn]
) -> Iterator[tuple[str, str]]:
    names: dict[str, int] = {}
    for at, tool in enumerate(tools):
        if tool.name in CHOICES:
            yield (
                f"tools[{at}].name",
                f"may not be {tool.name}, which has another meaning in toolChoice",
            )
        if tool.name in names:
            yield f"tools[{at}].name", f"is the name of tools[{names[tool.name]}] as well"
        names[tool.name] = at
    if choice is not None and choice not in (*CHOICES, *names):
        yield "toolChoice", "must be auto, none, required or the name of a tool in tools"
    if choice == "required" and not tools:
        yield "toolChoice", "may not be required without tools"
    yield from _unpaired(messages)


def _unpaired(messages: Sequence[Turn]) -> Iterator[tuple[str, str]]:
    """Yield calls without a result, results without a call, and incomplete messages."""
    asked, unanswered = 0, set[str]()
    for at, message in enumerate(messages):
        here, calls = f"messages[{at}]", message.tool_calls
        if "content" not in message.model_fields_set and not calls:
            yield f"{here}.content", "is required"
        if calls and message.role != "assistant":
            yield f"{here}.toolCalls", "are only allowed in an assistant's message"
        if message.reasoning_details and message.role != "assistant":
            yield f"{here}.reasoningDetails", "are only allowed in an assistant's message"
        if message.role == "tool":
            if message.tool_call_id not in unanswered:
                yield (
                    f"{here}.toolCallId",
                    "does not match a call in the assistant's message before it",
                )
            unanswered.discard(message.tool_call_id or "")
            continue
        if message.tool_call_id is not None:
            yield f"{here}.toolCallId", "is only allowed in a tool's message"
        if unanswered:
            yield f"messages[{asked}].toolCalls", "are not all answered by the messages that follow"
        asked, unanswered = at, {call.id for call in calls}
        if len(unanswered) < len(calls):
            yield f"{here}.toolCalls", "must have different ids"
    if unanswered:
        yield f"messages[{asked}].toolCalls", "are not all answered by the messages that follow"


def size_of(calls: Iterable[ToolCall]) -> int:
    """Return how many characters of these calls are sent to a model."""
    return sum(len(call.name) + len(call.arguments) for call in calls)
