"""Tool calls and their results, between a caller's messages and a model's. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from ..contract import Message, Tool, ToolReply, ToolRequest, ToolResult, Turn
from ..errors import InvalidArgument


def check_names(tools: Sequence[Tool], server_tools: Iterable[str]) -> None:
    """Check that none of the app's tools has the name of a tool that OpenRouter runs.

    Raises:
        InvalidArgument: One does; the error names the first.
    """
    taken = {type_.removeprefix("openrouter:") for type_ in server_tools}
    for at, tool in enumerate(tools):
        if tool.name in taken:
            field = f"tools[{at}].name"
            sentence = f"{field}: this feature already has a tool of that name."
            raise InvalidArgument(sentence, field=field)


def check_results(results: Sequence[ToolResult], last: Message | None) -> None:
    """Check that the results answer all calls of the newest message, and nothing else.

    Args:
        results: What the caller sent.
        last: The newest message of the conversation, if there is any.

    Raises:
        InvalidArgument: A result has no call, or a call no result; the error names the first.
    """
    pending = [request.id for request in last.tool_requests] if last else []
    for at, result in enumerate(results):
        if result.tool_call_id not in pending:
            field = f"toolResults[{at}].toolCallId"
            given = {earlier.tool_call_id for earlier in results[:at]}
            sentence = (
                f"{field} is the same as in an earlier entry: give one result for each call."
                if result.tool_call_id in given
                else f"{field} must be the id of a tool call in the conversation's last answer."
            )
            raise InvalidArgument(sentence, field=field)
        pending.remove(result.tool_call_id)
    if pending:
        sentence = f"toolResults must have a result for the tool call {pending[0]} as well."
        raise InvalidArgument(sentence, field="toolResults")


def to_message(turn: Turn) -> Message:
    """Convert one of the caller's messages."""
    if turn.role == "tool":
        return Message("tool", tool_replies=(ToolReply(turn.tool_call_id or "", turn.content),))
    return Message(
        "assistant" if turn.role == "assistant" else "user",
        turn.content,
        tool_requests=tuple(ToolRequest(c.id, c.name, c.arguments) for c in turn.tool_calls),
        reasoning_details=tuple(turn.reasoning_details),
    )


def pair_calls(messages: Sequence[Message], model: str) -> list[Message]:
    """Return the messages in a form that a model accepts.

    Calls without results, and results without calls, are left out because providers refuse them.
    So is the reasoning of other models.
    """
    return list(_paired(messages, model))


def _paired(messages: Sequence[Message], model: str) -> Iterator[Message]:
    pending: set[str] = set()
    for at, message in enumerate(messages):
        if message.role == "tool":
            for reply in message.tool_replies:
                if reply.call_id in pending:
                    pending.discard(reply.call_id)
                    yield Message("tool", tool_replies=(reply,))
            continue
        own = _with_reasoning(message, model)
        requests = message.tool_requests
        pending = {request.id for request in requests}
        if requests and pending <= set(_replied_after(messages, at)):
            yield replace(own, tool_requests=tuple(map(_repaired, requests)))
            continue
        pending = set()
        if not requests or message.text:
            yield replace(own, tool_requests=())


def _with_reasoning(message: Message, model: str) -> Message:
    stored = message.stored_reasoning
    if stored is None:
        return message
    details = json.loads(stored.details) if stored.model == model else message.reasoning_details
    return replace(message, reasoning_details=tuple(details), stored_reasoning=None)


def _replied_after(messages: Sequence[Message], at: int) -> Iterator[str]:
    for message in messages[at + 1 :]:
        if message.role != "tool":
            return
        yield from (reply.call_id for reply in message.tool_replies)


def _repaired(request: ToolRequest) -> ToolRequest:
    """Replace arguments that are not a JSON object, because providers refuse the message then."""
    return request if _is_object(request.arguments) else replace(request, arguments="{}")


def to_client(call: Mapping[str, str], declared: Iterable[str]) -> dict[str, str]:
    """Return a call as the caller gets it, with `error` if it is not valid."""
    error = None
    if call["name"] not in declared:
        error = "unknown_tool"
    elif call["arguments"] and not _is_object(call["arguments"]):  # a tool may have no arguments
        error = "invalid_arguments"
    return {**call, **({"error": error} if error else {})}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False
