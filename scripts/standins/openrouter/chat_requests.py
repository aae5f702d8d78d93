"""A chat request: its body, validated as mildly as OpenRouter does, as a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .model_catalog import DEFAULT_MODEL

Json = dict[str, Any]

MODELS_MAX = 3
MESSAGE_OVERHEAD_TOKENS = 4
CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 85
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "top_a": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "repetition_penalty": (0, 2),
    "max_tokens": (1, 10_000_000),
    "max_completion_tokens": (1, 10_000_000),
}
WHOLE = frozenset({"max_tokens", "max_completion_tokens"})
TITLE_PROMPT = "Write a title"
ASKED_MAX_CHARS = 200  # kept of a message, to tell what a charge was for


class RequestInvalid(Exception):
    """The body is invalid, as the message says. `typed` is false for errors of the gate."""

    def __init__(self, message: str, *, typed: bool = True) -> None:
        super().__init__(message)
        self.typed = typed


@dataclass(frozen=True)
class ChatRequest:
    model: str
    fallbacks: tuple[str, ...]
    stream: bool
    last_role: str
    last_text: str
    turns: int  # the number of user messages
    prompt_tokens: int
    max_tokens: int | None
    has_system: bool
    tools: tuple[Json, ...]  # the functions that the answer may call
    must_call: bool
    reasons: bool
    shows_reasoning: bool
    format: Json
    wants_image: bool
    wants_title: bool
    session_id: str | None
    beginnings: str  # of the first message and the last one
    messages: tuple[Json, ...]
    unread: tuple[Json, ...]  # the annotations of files that came without theirs


def read_chat_request(raw: bytes) -> ChatRequest:
    """Validate a body. Raises RequestInvalid."""
    body = json_object(raw)
    _check(body)
    messages: list[Json] = body["messages"]
    named, *fallbacks = [
        name for name in (body.get("model"), *(body.get("models") or ())) if name
    ] or [DEFAULT_MODEL]
    users = [message for message in messages if message["role"] == "user"]
    reasons, shows = _reasoning(body)
    return ChatRequest(
        model=named,
        fallbacks=tuple(fallbacks),
        stream=body.get("stream") is True,
        last_role=messages[-1]["role"],
        last_text=_text(users[-1].get("content")) if users else "",
        turns=len(users),
        prompt_tokens=sum(map(_tokens, messages)),
        max_tokens=body.get("max_tokens") or body.get("max_completion_tokens"),
        has_system=any(message["role"] in {"system", "developer"} for message in messages),
        tools=_tools(body),
        must_call=body.get("tool_choice") == "required"
        or isinstance(body.get("tool_choice"), dict),
        reasons=reasons,
        shows_reasoning=shows,
        format=body.get("response_format") or {"type": "text"},
        wants_image="image" in (body.get("modalities") or ()),
        wants_title=messages[0]["role"] == "system"
        and _text(messages[0].get("content")).startswith(TITLE_PROMPT),
        session_id=body.get("session_id"),
        beginnings="\n".join(
            _text(message.get("content"))[:ASKED_MAX_CHARS]
            for message in (messages[0], messages[-1])
        ),
        messages=tuple(messages),
        unread=tuple(_unread(messages)),
    )


def _unread(messages: list[Json]) -> Iterator[Json]:
    """Yield a `file` annotation for each file whose annotation is not in the messages."""
    seen = {
        annotation["file"]["hash"]
        for message in messages
        for annotation in message.get("annotations") or ()
        if annotation.get("type") == "file"
    }
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") != "file":
                continue
            file = part["file"]
            hash_ = hashlib.sha256(str(file.get("file_data")).encode()).hexdigest()
            if hash_ not in seen:
                seen.add(hash_)
                text = f"Simulated text of {file.get('filename')}."
                file_info = {"hash": hash_, "name": file.get("filename")}
                content_parts = [{"type": "text", "text": text}]
                yield {"type": "file", "file": {**file_info, "content": content_parts}}


def json_object(raw: bytes) -> Json:
    """Parse a body. Raises RequestInvalid."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise RequestInvalid("Invalid JSON in the request body") from None
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object")
    return body


def _check(body: Json) -> None:
    _check_messages(body.get("messages"))
    _check_model(body)
    if not isinstance(body.get("stream") or False, bool):
        raise RequestInvalid("stream must be a boolean")
    if not isinstance(body.get("tools") or [], list):
        raise RequestInvalid("tools must be an array")
    if not isinstance(body.get("response_format") or {}, dict):
        raise RequestInvalid("response_format must be an object")
    for name, (low, high) in RANGES.items():
        given = body.get(name)
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise RequestInvalid(f"{name} must be a number")
        if name in WHOLE and not isinstance(given, int):
            raise RequestInvalid(f"{name} must be a whole number")
        if not low <= given <= high:
            raise RequestInvalid(f"{name} must be from {low} to {high}, not {given}")


def _check_calls(messages: list[Json]) -> None:
    """Check, as providers do, that results follow their tool calls in the next messages."""
    unanswered: set[Any] = set()
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in unanswered:
                raise RequestInvalid(f"messages.{place}.tool_call_id has no tool call before it")
            unanswered.discard(message["tool_call_id"])
            continue
        if unanswered:
            raise RequestInvalid(f"messages.{place} comes before the results of tool calls")
        calls = message.get("tool_calls") or []
        unanswered = {call["id"] for call in calls}
        try:
            for call in calls:
                json.loads(call["function"]["arguments"])
        except ValueError:
            raise RequestInvalid(
                f"messages.{place}.tool_calls have arguments that are no JSON"
            ) from None
    if unanswered:
        raise RequestInvalid("the last tool calls have no results")


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise RequestInvalid('Input required: specify "prompt" or "messages"', typed=False)
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise RequestInvalid(f"messages.{place}.role must be one of {', '.join(sorted(ROLES))}")
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        if not isinstance(content, str | list | None) or not all(
            isinstance(part, dict) for part in parts
        ):
            raise RequestInvalid(f"messages.{place}.content must be a string, parts or null")
    _check_calls(messages)


def _check_model(body: Json) -> None:
    models = body.get("models") or []
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        raise RequestInvalid("models must be an array of strings")
    if len(models) > MODELS_MAX:
        raise RequestInvalid(f"'models' array must have {MODELS_MAX} items or fewer.", typed=False)
    if not isinstance(body.get("model") or "", str):
        raise RequestInvalid("model must be a string")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part["text"]) for part in parts if "text" in part)


def _tokens(message: Json) -> int:
    """Estimate a message's tokens.

    Four ASCII characters are a token, any other character is one, and each part that is not text
    has a fixed number.
    """
    content = message.get("content")
    media = len([p for p in content if "text" not in p]) if isinstance(content, list) else 0
    text = _text(content)
    others = sum(not char.isascii() for char in text)
    text_tokens = others - (-(len(text) - others) // CHARS_PER_TOKEN)
    return MESSAGE_OVERHEAD_TOKENS + text_tokens + media * IMAGE_TOKENS


def _tools(body: Json) -> tuple[Json, ...]:
    """Return the functions that a tool call may name: the chosen one, or all."""
    choice = body.get("tool_choice")
    functions = [
        tool["function"]
        for tool in body.get("tools") or []
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    ]
    if choice == "none":
        return ()
    if isinstance(choice, dict):
        named = choice.get("function")
        chosen = named.get("name") if isinstance(named, dict) else None
        functions = [function for function in functions if function.get("name") == chosen]
    return tuple(functions)


def _reasoning(body: Json) -> tuple[bool, bool]:
    """Return whether the model reasons, and whether the reasoning is shown."""
    given = body.get("reasoning")
    effort = body.get("reasoning_effort")
    included = body.get("include_reasoning")
    if given is None and effort is None and included is None:
        return False, False
    options = given if isinstance(given, dict) else {}
    off = "none" in (effort, options.get("effort")) or options.get("enabled") is False
    hidden = options.get("exclude") is True or included is False
    return not off, not off and not hidden
