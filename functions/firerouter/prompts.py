"""Settings and a request become the messages and parameters that OpenRouter is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from . import limits
from .contract import ExecutePrompt
from .errors import InvalidArgument, ModelNotAllowed
from .settings import FeatureSettings

# where a caller's variable goes
PLACE: Final = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}")

_SENT_AS_SET: Final = (
    *("top_p", "top_k", "min_p", "top_a", "presence_penalty", "frequency_penalty"),
    *("repetition_penalty", "seed", "max_tokens"),
)


def render(template: str, variables: Mapping[str, str]) -> str:
    """`{{name}}` places filled in one pass, so that a value is never read as a template itself.

    Raises InvalidArgument naming a variable that the template asks for and the caller left out.
    """

    def fill(place: re.Match[str]) -> str:
        name = place[1]
        if name not in variables:
            field = f"variables.{name}"
            raise InvalidArgument(f"{field} is required by this feature.", field=field)
        return variables[name]

    return PLACE.sub(fill, template)


def messages(
    settings: FeatureSettings,
    request: ExecutePrompt,
    history: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The messages: the admin's system prompt, earlier turns, the context before the question."""
    turns = [dict(turn) for turn in history]
    turns += [{"role": turn.role, "content": turn.content} for turn in request.messages or ()]
    if request.prompt is not None:
        turns.append({"role": "user", "content": request.prompt})
    if request.context:
        turns[-1] = {"role": "user", "content": f"{request.context}\n\n{turns[-1]['content']}"}
    system = render(settings.system_prompt, request.variables)
    return [{"role": "system", "content": system}, *turns] if system else turns


def history_max_chars(
    settings: FeatureSettings, request: ExecutePrompt, context_tokens: int | None
) -> int:
    """How much of the earlier turns there is room for. context_tokens: the model's, if known.

    An estimate, on the safe side: at three characters a token, with the answer's tokens kept free.
    """
    whole = context_tokens or limits.CONTEXT_DEFAULT_TOKENS
    free_tokens = whole - (settings.max_tokens or limits.ANSWER_DEFAULT_TOKENS)
    asked = len(settings.system_prompt) + len(request.prompt or "") + len(request.context or "")
    return max(0, min(3 * free_tokens - asked, limits.HISTORY_MAX_CHARS))


def models(settings: FeatureSettings, chosen: str | None) -> list[str]:
    """The model to ask, then the fallbacks. chosen: by the caller. Raises ModelNotAllowed."""
    model = chosen or settings.model
    if model != settings.model and model not in settings.allowed_models:
        raise ModelNotAllowed(f"This feature does not allow the model {model}.", field="model")
    return list(dict.fromkeys([model, *settings.fallback_models]))


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
        "tools": [tool.model_dump() for tool in settings.tools] or None,
        "response_format": settings.response_format and settings.response_format.upstream(),
        "reasoning": settings.reasoning and settings.reasoning.model_dump(exclude_none=True),
        "provider": settings.provider and settings.provider.model_dump(exclude_none=True),
    }
    sent = {name: value for name, value in given.items() if value is not None}
    return {**settings.parameters, **sent}


def variables(settings: FeatureSettings) -> list[str]:
    """The names of the places in the system prompt, once each."""
    return list(dict.fromkeys(PLACE.findall(settings.system_prompt)))
