"""Turns settings and a request into the messages and parameters for OpenRouter. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..contract import (
    ExecutePrompt,
    Json,
    Message,
    ResponseFormat,
    TextPart,
    ToolReply,
    response_format,
    tools,
)
from ..errors import InvalidArgument
from ..features import FeatureSettings, render
from ..files import FILE_TOKENS
from ..models import CHARS_PER_TOKEN
from ..openrouter import upstream_messages
from .limits import PromptLimits
from .tool_turns import check_names, pair_calls, to_message

_SENT_AS_SET: Final = (
    *("top_p", "top_k", "min_p", "top_a", "presence_penalty", "frequency_penalty"),
    *("repetition_penalty", "seed", "max_tokens"),
)


def build_messages(
    settings: FeatureSettings,
    request: ExecutePrompt,
    history: Sequence[Message] = (),
    model: str = "",
) -> list[Message]:
    """Return the system prompt, the earlier messages, and the question preceded by its context.

    Args:
        settings: The feature's settings.
        request: The caller's request.
        history: The earlier messages of the conversation.
        model: The model that answers. Reasoning of other models is left out.
    """
    turns = [*history, *map(to_message, request.messages or ())]
    if request.tool_results is not None:
        replies = tuple(ToolReply(r.tool_call_id, r.content) for r in request.tool_results)
        turns.append(Message("tool", tool_replies=replies))
    if request.prompt is not None:
        turns.append(Message("user", request.prompt))
    if request.context:
        turns[-1] = replace(turns[-1], text=f"{request.context}\n\n{turns[-1].text}")
    system = render(settings.system_prompt, request.variables)
    said = pair_calls(turns, model)
    return [Message("system", system), *said] if system else said


def history_max_bytes(
    settings: FeatureSettings,
    request: ExecutePrompt,
    context_tokens: int | None,
    files_bytes: int = 0,
    *,
    limits: PromptLimits = PromptLimits(),
) -> int:
    """Return how many bytes of earlier messages fit into the model's context.

    This is a conservative estimate: a token counts as three bytes of UTF-8, as one Chinese
    character has, and the tokens of the answer are reserved.

    Args:
        settings: The feature's settings.
        request: The caller's request.
        context_tokens: The model's context length, if the catalog knows it.
        files_bytes: How much of the context the question's files take.
        limits: The assumptions of the estimate.

    Raises:
        InvalidArgument: See `build_parameters`.
    """
    context = context_tokens or limits.context_default_tokens
    free_tokens = context - (settings.max_tokens or limits.answer_default_tokens)
    free = limits.bytes_per_token_min * free_tokens - files_bytes - prompt_bytes(settings, request)
    return max(0, min(free, limits.history_max_bytes))


def prompt_bytes(settings: FeatureSettings, request: ExecutePrompt) -> int:
    """Return the bytes of JSON that a model gets besides earlier messages and files.

    Raises:
        InvalidArgument: See `build_parameters`.
    """
    parameters = build_parameters(settings, request)
    sent: list[object] = [*upstream_messages(build_messages(settings, request))]
    sent += [parameters[name] for name in ("tools", "response_format") if name in parameters]
    sent += [result.content for result in request.tool_results or ()]
    return len(json.dumps(sent, ensure_ascii=False).encode("utf-8", "replace"))


def drop_older_half(messages: Sequence[Message]) -> list[Message] | None:
    """Return the messages without the older half of the turns before the question.

    Returns None if there are no such turns.
    """
    begins = [at for at, message in enumerate(messages) if message.role == "user"]
    if len(begins) < 2:
        return None
    sizes = [count_chars(message) for message in messages]
    half = sum(sizes[begins[0] : begins[-1]]) / 2
    cut = next(at for at in begins[1:] if sum(sizes[at : begins[-1]]) <= half)
    return [*messages[: begins[0]], *messages[cut:]]


def count_chars(message: Message) -> int:
    """Return the characters of a message, for estimates. A file that is not text counts as its
    estimated tokens."""
    replies = sum(len(reply.content) for reply in message.tool_replies)
    parts = sum(
        len(part.text) if isinstance(part, TextPart) else FILE_TOKENS * CHARS_PER_TOKEN
        for part in message.parts
    )
    return len(message.text) + parts + replies


def repair_messages(
    messages: Sequence[Message], text: str, fault: str, annotations: Sequence[Json]
) -> list[Message]:
    """Return the messages that request the answer again, in the required format.

    Args:
        messages: The messages of the first request.
        text: The answer to them.
        fault: What is wrong with that answer.
        annotations: OpenRouter's annotations of files, so that it does not parse them again.
    """
    return [
        *messages,
        Message("assistant", text, annotations=tuple(annotations)),
        Message("user", response_format.repair_request(fault)),
    ]


def build_parameters(settings: FeatureSettings, request: ExecutePrompt) -> Json:
    """Return what is sent besides the model and the messages. Unset fields are not sent.

    Raises:
        InvalidArgument: The caller sets something that the feature does not allow.
    """
    temperature = settings.temperature
    if request.temperature is not None:
        if not settings.allow_temperature:
            raise InvalidArgument("temperature is fixed by this feature.", field="temperature")
        temperature = request.temperature
    given = {
        **{name: getattr(settings, name) for name in _SENT_AS_SET},
        "temperature": temperature,
        "stop": settings.stop or None,
        "plugins": settings.plugins or None,
        "tools": _tools(settings, request) or None,
        "tool_choice": _tool_choice(request),
        "parallel_tool_calls": request.parallel_tool_calls if request.tools else None,
        "response_format": _format(settings, request),
        "reasoning": settings.reasoning and settings.reasoning.model_dump(exclude_none=True),
        "provider": settings.provider and settings.provider.upstream(),
        "service_tier": settings.service_tier,
    }
    sent = {name: value for name, value in given.items() if value is not None}
    return {**settings.parameters, **sent}


def build_image_parameters(settings: FeatureSettings) -> Json:
    """Return the few settings that OpenRouter's image API accepts."""
    provider = settings.provider and settings.provider.image_upstream()
    seed = {} if settings.seed is None else {"seed": settings.seed}
    return {**settings.parameters, **seed, **({"provider": provider} if provider else {})}


def _tools(settings: FeatureSettings, request: ExecutePrompt) -> list[Json]:
    """Return the tools that OpenRouter runs, followed by those that the app runs.

    Raises:
        InvalidArgument: The feature allows no tools, or two have the same name.
    """
    if request.tools and not settings.allow_tools:
        raise InvalidArgument("This feature does not allow tools.", field="tools")
    check_names(request.tools, (tool.type for tool in settings.tools))
    own = [tool.upstream() for tool in request.tools]
    return [*(tool.model_dump() for tool in settings.tools), *own]


def _format(settings: FeatureSettings, request: ExecutePrompt) -> Json | None:
    wanted: ResponseFormat | None = settings.response_format
    if request.response_format is not None:
        other = wanted is not None and wanted.upstream() != request.response_format.upstream()
        if other or not settings.allow_response_format:
            sentence = "responseFormat is fixed by this feature."
            raise InvalidArgument(sentence, field="responseFormat")
        wanted = request.response_format
    return wanted.upstream() if wanted else None


def _tool_choice(request: ExecutePrompt) -> str | Json | None:
    if request.tool_choice is None or request.tool_choice in tools.CHOICES:
        return request.tool_choice
    return {"type": "function", "function": {"name": request.tool_choice}}
