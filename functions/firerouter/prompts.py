"""Settings and a request become the messages and parameters that OpenRouter is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .contract import ExecutePrompt
from .errors import InvalidArgument, ModelNotAllowed
from .features import FeatureSettings

_PLACE = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_-]*)\s*\}\}")


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

    return _PLACE.sub(fill, template)


def messages(settings: FeatureSettings, request: ExecutePrompt) -> list[dict[str, str]]:
    """The messages, the admin's system prompt first, the context before what the user asks."""
    turns = [{"role": turn.role, "content": turn.content} for turn in request.messages or ()]
    if request.prompt is not None:
        turns.append({"role": "user", "content": request.prompt})
    if request.context:
        turns[-1] = {"role": "user", "content": f"{request.context}\n\n{turns[-1]['content']}"}
    system = render(settings.system_prompt, request.variables)
    return [{"role": "system", "content": system}, *turns] if system else turns


def models(settings: FeatureSettings, request: ExecutePrompt) -> list[str]:
    """The model to ask, then the fallbacks. Raises ModelNotAllowed."""
    chosen = request.model or settings.model
    if chosen != settings.model and chosen not in settings.allowed_models:
        raise ModelNotAllowed(f"This feature does not allow the model {chosen}.", field="model")
    return list(dict.fromkeys([chosen, *settings.fallback_models]))


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
        "temperature": temperature,
        "top_p": settings.top_p,
        "presence_penalty": settings.presence_penalty,
        "frequency_penalty": settings.frequency_penalty,
        "max_tokens": settings.max_tokens,
    }
    sent = {name: value for name, value in given.items() if value is not None}
    return {**settings.parameters, **sent}
