"""Which models answer a request, as far as the request and the settings decide. Pure.

the request's model, else the user's own default, else the feature's
    -> without what those models do not support
    -> if the app allows only free models: those that are free
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .. import limits
from ..contract import ExecutePrompt, Notice
from ..errors import ModelNotAllowed
from ..models import Model
from .abilities import unsupported_fields, unsupported_image_options
from .settings import FeatureSettings


@dataclass(frozen=True, slots=True)
class ModelSelection:
    """The models for a request: the one that answers, then the fallbacks."""

    models: tuple[str, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class SupportedRequest:
    """A request without what its model does not support, and the models that support the rest."""

    request: ExecutePrompt
    models: tuple[str, ...]
    notices: tuple[Notice, ...] = ()


def models_in_order(settings: FeatureSettings, requested: str | None) -> tuple[str, ...]:
    """Return the model that answers, then the fallbacks, each once.

    Args:
        settings: The feature's settings.
        requested: The model that the caller or the user chose, if any.

    Raises:
        ModelNotAllowed: The feature does not allow that model.
    """
    model = requested or settings.model
    if model != settings.model and model not in settings.allowed_models:
        raise ModelNotAllowed(f"This feature doesn't allow the model {model}.", field="model")
    return tuple(dict.fromkeys([model, *settings.fallback_models]))


def optional_features(request: ExecutePrompt) -> Mapping[str, object]:
    """Return the parts of a request that not every model supports, by wire name.

    Of `responseFormat`, only the type counts.
    """
    return {
        "temperature": request.temperature is not None,
        "tools": request.tools,
        "toolChoice": request.tool_choice,
        "parallelToolCalls": request.tools and request.parallel_tool_calls is False,
        "responseFormat": request.response_format and request.response_format.type,
    }


def unsupported(
    request: ExecutePrompt, settings: FeatureSettings, model: Model | None
) -> list[str]:
    """Return the fields of a request that a model does not support; none if it is unknown."""
    return [
        *unsupported_fields(optional_features(request), model),
        *unsupported_image_options(request.image_options, settings, model),
    ]


def without(request: ExecutePrompt, fields: Sequence[str]) -> ExecutePrompt:
    """Return the request without these fields, which are among those of `unsupported`."""
    options = request.image_options
    update: dict[str, object] = {
        "image_options": options and options.without({name.partition(".")[2] for name in fields})
    }
    for name in fields:
        update |= _EMPTIED.get(name, {})
    return request.model_copy(update=update)


# without tools there is nothing to choose, or to call in parallel
_EMPTIED: Final[Mapping[str, Mapping[str, object]]] = {
    "temperature": {"temperature": None},
    "tools": {"tools": [], "tool_choice": None, "parallel_tool_calls": None},
    "toolChoice": {"tool_choice": None},
    "parallelToolCalls": {"parallel_tool_calls": None},
    "responseFormat": {"response_format": None},
}


def unsupported_notice(model: str, field: str) -> Notice:
    """Return the notice that a model does not support what was sent or set."""
    message = f"{model} doesn't support {field}, so it was left out."
    return {"reason": "parameter_dropped", "field": field, "message": message}


def preference_notice(model: str) -> Notice:
    """Return the notice that the user's own default model is no longer offered."""
    shown = model[: limits.MODEL_ID_MAX_CHARS]
    message = f"Your preferred model {shown} is no longer available here."
    return {"reason": "preference_dropped", "message": message}
