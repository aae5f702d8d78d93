"""Settings and a request become the messages and parameters that OpenRouter is sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .. import limits
from ..contract import ExecutePrompt, ResponseFormat, tools
from ..errors import InvalidArgument
from ..features import FeatureSettings, render
from ..files import length
from . import tool_turns
from .tool_turns import clash, turn_of

_SENT_AS_SET: Final = (
    *("top_p", "top_k", "min_p", "top_a", "presence_penalty", "frequency_penalty"),
    *("repetition_penalty", "seed", "max_tokens"),
)


def messages(
    settings: FeatureSettings,
    request: ExecutePrompt,
    history: Sequence[Mapping[str, Any]] = (),
    model: str = "",
) -> list[dict[str, Any]]:
    """The messages: the admin's system prompt, earlier turns, the context before the question.

    model: the one that is asked; what earlier turns have for it alone, no other is sent.
    """
    turns = [dict(turn) for turn in history]
    turns += [turn_of(message) for message in request.messages or ()]
    if request.tool_results is not None:
        given = [result.model_dump(by_alias=True) for result in request.tool_results]
        turns.append({"role": "tool", "content": "", "toolResults": given})
    if request.prompt is not None:
        turns.append({"role": "user", "content": request.prompt})
    if request.context:
        turns[-1] = {**turns[-1], "content": f"{request.context}\n\n{turns[-1]['content']}"}
    system = render(settings.system_prompt, request.variables)
    said = list(tool_turns.sent(turns, model))
    return [{"role": "system", "content": system}, *said] if system else said


def history_max_bytes(
    settings: FeatureSettings,
    request: ExecutePrompt,
    context_tokens: int | None,
    files_bytes: int = 0,
) -> int:
    """How much of the earlier turns there is room for. context_tokens: the model's, if known.
    files_bytes: what the question's files take.

    An estimate, on the safe side: a token has three bytes of UTF-8, as one Chinese character has,
    and the answer's tokens are kept free. Raises InvalidArgument.
    """
    whole = context_tokens or limits.CONTEXT_DEFAULT_TOKENS
    free_tokens = whole - (settings.max_tokens or limits.ANSWER_DEFAULT_TOKENS)
    room = limits.BYTES_PER_TOKEN_AT_LEAST * free_tokens - files_bytes
    room -= asked_bytes(settings, request)
    return max(0, min(room, limits.HISTORY_MAX_BYTES))


def asked_bytes(settings: FeatureSettings, request: ExecutePrompt) -> int:
    """What a model is told beside earlier turns and files, in bytes of JSON. Raises
    InvalidArgument."""
    beside = parameters(settings, request)
    told: list[Any] = [beside[name] for name in ("tools", "response_format") if name in beside]
    told += [result.content for result in request.tool_results or ()]
    asked = json.dumps([*messages(settings, request), *told], ensure_ascii=False)
    return len(asked.encode("utf-8", "replace"))


def shortened(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Without the older half of the turns before the question; None where there are none."""
    begins = [at for at, message in enumerate(messages) if message["role"] == "user"]
    if len(begins) < 2:
        return None
    sizes = [length(message["content"]) for message in messages]
    half = sum(sizes[begins[0] : begins[-1]]) / 2
    cut = next(at for at in begins[1:] if sum(sizes[at : begins[-1]]) <= half)
    return [*messages[: begins[0]], *messages[cut:]]


def parameters(settings: FeatureSettings, request: ExecutePrompt) -> dict[str, Any]:
    """What is sent beside model and messages; what is not set is not sent.

    Raises InvalidArgument when the caller sets a temperature that the feature fixes.
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
        "tool_choice": _choice(request),
        "parallel_tool_calls": request.parallel_tool_calls if request.tools else None,
        "response_format": _format(settings, request),
        "reasoning": settings.reasoning and settings.reasoning.model_dump(exclude_none=True),
        "provider": settings.provider and settings.provider.upstream(),
        "service_tier": settings.service_tier,
    }
    sent = {name: value for name, value in given.items() if value is not None}
    return {**settings.parameters, **sent}


def image_parameters(settings: FeatureSettings) -> dict[str, Any]:
    """What of the settings OpenRouter's image API takes, which is little of what a chat does."""
    provider = settings.provider and settings.provider.image_upstream()
    seed = {} if settings.seed is None else {"seed": settings.seed}
    return {**settings.parameters, **seed, **({"provider": provider} if provider else {})}


def _tools(settings: FeatureSettings, request: ExecutePrompt) -> list[dict[str, Any]]:
    """Those that OpenRouter runs, then those that the app does. Raises InvalidArgument."""
    if request.tools and not settings.allow_tools:
        raise InvalidArgument("This feature takes no tools.", field="tools")
    clash(request.tools, (tool.type for tool in settings.tools))
    own = [tool.upstream() for tool in request.tools]
    return [*(tool.model_dump() for tool in settings.tools), *own]


def _format(settings: FeatureSettings, request: ExecutePrompt) -> dict[str, Any] | None:
    wanted: ResponseFormat | None = settings.response_format
    if request.response_format is not None:
        other = wanted is not None and wanted.upstream() != request.response_format.upstream()
        if other or not settings.allow_response_format:
            sentence = "responseFormat is fixed by this feature."
            raise InvalidArgument(sentence, field="responseFormat")
        wanted = request.response_format
    return wanted.upstream() if wanted else None


def _choice(request: ExecutePrompt) -> Any:
    if request.tool_choice is None or request.tool_choice in tools.CHOICES:
        return request.tool_choice
    return {"type": "function", "function": {"name": request.tool_choice}}
