"""Tool calls and their results, between a caller's messages and OpenRouter's. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from ..contract import Tool, ToolResult, Turn
from ..errors import InvalidArgument


def clash(tools: Sequence[Tool], server_tools: Iterable[str]) -> None:
    """Raises InvalidArgument where a tool has the name of one that OpenRouter runs."""
    taken = {type_.removeprefix("openrouter:") for type_ in server_tools}
    for at, tool in enumerate(tools):
        if tool.name in taken:
            field = f"tools[{at}].name"
            sentence = f"{field} is that of a tool that this feature has already."
            raise InvalidArgument(sentence, field=field)


def answered(results: Sequence[ToolResult], history: Sequence[Mapping[str, Any]]) -> None:
    """Raises InvalidArgument unless they answer all calls of the last turn, and nothing else."""
    last = history[-1] if history else {}
    missing = [call["id"] for call in last.get("toolCalls") or ()]
    for at, result in enumerate(results):
        if result.tool_call_id not in missing:
            field = f"toolResults[{at}].toolCallId"
            sentence = f"{field} is none that the message before asked for, or there twice."
            raise InvalidArgument(sentence, field=field)
        missing.remove(result.tool_call_id)
    if missing:
        raise InvalidArgument(f"toolResults lack the call {missing[0]}.", field="toolResults")


_OURS: Final = frozenset({"toolCalls", "toolResults", "reasoningDetails", "askedModel"})


def turn_of(message: Turn) -> dict[str, Any]:
    """A message of the caller's as a turn: {role, content, toolCalls?, toolResults?}."""
    if message.role == "tool":
        result = {"toolCallId": message.tool_call_id, "content": message.content}
        return {"role": "tool", "content": "", "toolResults": [result]}
    calls = [call.model_dump(by_alias=True) for call in message.tool_calls]
    return {
        "role": message.role,
        "content": message.content,
        **({"toolCalls": calls} if calls else {}),
        **({"reasoning_details": thoughts} if (thoughts := message.reasoning_details) else {}),
    }


def sent(turns: Sequence[Mapping[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    """Turns as OpenRouter takes them; calls and results that lack each other are left out, and
    so are the thoughts of another model."""
    open_calls: set[str] = set()
    for at, turn in enumerate(turns):
        rest = {name: turn[name] for name in turn if name not in _OURS}
        if turn.get("askedModel") == model and "reasoningDetails" in turn:
            rest["reasoning_details"] = json.loads(turn["reasoningDetails"])
        if turn["role"] == "tool":
            for result in turn.get("toolResults") or ():
                if result["toolCallId"] in open_calls:
                    open_calls.discard(result["toolCallId"])
                    yield {
                        "role": "tool",
                        "tool_call_id": result["toolCallId"],
                        "content": result["content"],
                    }
            continue
        calls = turn.get("toolCalls") or []
        open_calls = {call["id"] for call in calls}
        if calls and open_calls <= set(_results_after(turns, at)):
            yield {**rest, "content": turn["content"] or None, "tool_calls": _calls(calls)}
        elif not calls or turn["content"]:
            open_calls = set()
            yield rest
        else:
            open_calls = set()


def _results_after(turns: Sequence[Mapping[str, Any]], at: int) -> Iterator[str]:
    for turn in turns[at + 1 :]:
        if turn["role"] != "tool":
            return
        yield from (result["toolCallId"] for result in turn.get("toolResults") or ())


def _calls(calls: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "id": call["id"],
            "type": "function",
            # what is no JSON, each provider would refuse for good
            "function": {
                "name": call["name"],
                "arguments": call["arguments"] if _is_object(call["arguments"]) else "{}",
            },
        }
        for call in calls
    ]


def told(call: Mapping[str, str], declared: Iterable[str]) -> dict[str, str]:
    """A call as the caller gets it: with what is wrong with it, if anything is."""
    error = None
    if call["name"] not in declared:
        error = "unknown_tool"
    elif call["arguments"] and not _is_object(call["arguments"]):  # a tool may take nothing
        error = "invalid_arguments"
    return {**call, **({"error": error} if error else {})}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False
