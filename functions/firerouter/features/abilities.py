"""What a model cannot do of what settings or a request ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..contract import ImageOptions
from ..models import Model
from .settings import FREE_FALLBACK, FREE_MODEL, FeatureSettings

# billed by the search, the page or the panel, whatever model asks
FREE_TOOLS: Final = frozenset({"openrouter:datetime"})


PAID_PARAMETERS: Final = frozenset({"web_search_options"})


FREE_PLUGINS: Final = frozenset({"response-healing", "context-compression"})


_DEFAULT_MODELS: Final = frozenset({FREE_MODEL, FREE_FALLBACK})


# settings that a model may not take: the names that `supported_parameters` has for each
SAMPLING: Final[Mapping[str, tuple[str, ...]]] = {
    "temperature": ("temperature",),
    "topP": ("top_p",),
    "topK": ("top_k",),
    "minP": ("min_p",),
    "topA": ("top_a",),
    "presencePenalty": ("presence_penalty",),
    "frequencyPenalty": ("frequency_penalty",),
    "repetitionPenalty": ("repetition_penalty",),
    "seed": ("seed",),
    "stop": ("stop",),
    "maxTokens": ("max_tokens", "max_completion_tokens"),
    "reasoning": ("reasoning",),
}


# what a caller may send: the name that `supported_parameters` has for each
_ASKED: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "tools": "tools",
    "toolChoice": "tool_choice",
    "parallelToolCalls": "parallel_tool_calls",
}


# imageOptions: the names that the image API's list has for each
_DRAWN: Final[Mapping[str, frozenset[str]]] = {
    "aspectRatio": frozenset({"aspect_ratio"}),
    "size": frozenset({"size", "resolution"}),
    "quality": frozenset({"quality"}),
    "seed": frozenset({"seed"}),
    "n": frozenset({"n"}),
}


_FORMATS: Final[Mapping[Any, str]] = {
    "json_object": "response_format",
    "json_schema": "structured_outputs",
}


def not_taken(sent: Mapping[str, Any], model: Model | None) -> list[str]:
    """The fields of a call that the model can not do; what says nothing of itself can do all.

    sent: what the caller sent, by the wire's names; of its responseFormat the type.
    """
    takes = model.supported_parameters if model else ()
    if not takes:
        return []
    lacking = [name for name, named in _ASKED.items() if sent.get(name) and named not in takes]
    needed = _FORMATS.get(sent.get("responseFormat"))
    return [*lacking, "responseFormat"] if needed and needed not in takes else lacking


def options_not_taken(
    options: ImageOptions | None, settings: FeatureSettings, model: Model | None
) -> list[str]:
    """Of what images are to be like: the fields that the model leaves out, as far as it is listed.

    Of a chat that makes images the seed alone is; the rest goes by names that vary by model.
    """
    if options is None or model is None:
        return []
    given = [name for name, value in options.model_dump(by_alias=True).items() if value is not None]
    takes = set(model.image_parameters)
    if not settings.through_image_api:
        given, takes = [name for name in given if name == "seed"], set(model.supported_parameters)
    elif options.n == 1:
        given.remove("n")  # as without it
    return [f"imageOptions.{name}" for name in given if takes and not takes & _DRAWN[name]]


def settings_not_taken(settings: FeatureSettings, model: Model | None) -> list[str]:
    """The settings of how it answers that the model does not take: OpenRouter leaves them out."""
    takes = set(model.supported_parameters) if model else set()
    given = settings.to_json()
    sampling = [
        name
        for name, named in SAMPLING.items()
        if takes and given.get(name) not in (None, []) and not takes & set(named)
    ]
    return [*sampling, *options_not_taken(settings.image_options, settings, model)]


def paid_extras(settings: FeatureSettings) -> Iterator[tuple[str, str]]:
    """(field, what it is) of everything beside the model that is billed by itself."""
    for at, tool in enumerate(settings.tools):
        if tool.type not in FREE_TOOLS:
            yield f"tools[{at}]", f"The tool {tool.type}"
    for at, plugin in enumerate(settings.plugins):
        if plugin["id"] not in FREE_PLUGINS and plugin.get("enabled") is not False:
            yield f"plugins[{at}]", f"The plugin {plugin['id']}"
    for name in sorted(PAID_PARAMETERS & settings.parameters.keys()):
        yield f"parameters.{name}", f"The parameter {name}"
