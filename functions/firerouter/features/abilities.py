"""What settings or a request ask for that a model does not support, or that is billed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..contract import ImageOptions
from ..models import Model
from .settings import FREE_CHOICES, FREE_MODELS, FeatureSettings

# all others are billed per search, page or model called, whichever model uses them
FREE_TOOLS: Final = frozenset({"openrouter:datetime"})


PAID_PARAMETERS: Final = frozenset({"web_search_options"})


FREE_PLUGINS: Final = frozenset({"response-healing", "context-compression"})


# of the plugin file-parser; `pdf-text` is the old name of the other
FREE_PDF_ENGINES: Final = frozenset({"cloudflare-ai", "pdf-text"})


DEFAULT_MODELS: Final = frozenset({*FREE_MODELS, *FREE_CHOICES})


# settings that a model may not support: the names of each in `supported_parameters`
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


# what a caller may send: the name of each in `supported_parameters`
_REQUEST_FIELDS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "tools": "tools",
    "toolChoice": "tool_choice",
    "parallelToolCalls": "parallel_tool_calls",
}


# imageOptions: the names of each in the image API's list of models
_IMAGE_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "aspectRatio": frozenset({"aspect_ratio"}),
    "size": frozenset({"size", "resolution"}),
    "quality": frozenset({"quality"}),
    "seed": frozenset({"seed"}),
    "n": frozenset({"n"}),
}


_RESPONSE_FORMATS: Final[Mapping[object, str]] = {
    "json_object": "response_format",
    "json_schema": "structured_outputs",
}


def unsupported_fields(sent: Mapping[str, object], model: Model | None) -> list[str]:
    """Return the fields of a call that a model does not support.

    A model that lists no parameters is assumed to support all of them.

    Args:
        sent: What the caller sent, by wire name; of `responseFormat`, only the type.
        model: The catalog's entry, if there is one.
    """
    supported = model.supported_parameters if model else ()
    if not supported:
        return []
    fields = [
        name
        for name, parameter in _REQUEST_FIELDS.items()
        if sent.get(name) and parameter not in supported
    ]
    needed = _RESPONSE_FORMATS.get(sent.get("responseFormat"))
    return [*fields, "responseFormat"] if needed and needed not in supported else fields


def unsupported_image_options(
    options: ImageOptions | None, settings: FeatureSettings, model: Model | None
) -> list[str]:
    """Return the image options that a model ignores, as far as it lists what it supports.

    In a chat, only `seed` is a parameter that models list; the others are not checked.
    """
    if options is None or model is None:
        return []
    given = [name for name, value in options.model_dump(by_alias=True).items() if value is not None]
    supported = set(model.image_parameters)
    if not settings.through_image_api:
        given = [name for name in given if name == "seed"]
        supported = set(model.supported_parameters)
    elif options.n == 1:
        given.remove("n")  # every model makes one image
    return [
        f"imageOptions.{name}"
        for name in given
        if supported and not supported & _IMAGE_OPTIONS[name]
    ]


def unsupported_settings(settings: FeatureSettings, model: Model | None) -> list[str]:
    """Return the settings that a model does not support: OpenRouter leaves them out."""
    supported = set(model.supported_parameters) if model else set()
    values = settings.to_json()
    sampling = [
        name
        for name, parameters in SAMPLING.items()
        if supported and values.get(name) not in (None, []) and not supported & set(parameters)
    ]
    return [*sampling, *unsupported_image_options(settings.image_options, settings, model)]


def paid_extras(settings: FeatureSettings) -> Iterator[tuple[str, str]]:
    """Yield (field, what it is) for everything that is billed besides the model."""
    for at, tool in enumerate(settings.tools):
        if tool.type not in FREE_TOOLS:
            yield f"tools[{at}]", f"The tool {tool.type}"
    for at, plugin in enumerate(settings.plugins):
        if not _is_free_plugin(plugin) and plugin.get("enabled") is not False:
            yield f"plugins[{at}]", f"The plugin {plugin['id']}"
    for name in sorted(PAID_PARAMETERS & settings.parameters.keys()):
        yield f"parameters.{name}", f"The parameter {name}"


def _is_free_plugin(plugin: Mapping[str, object]) -> bool:
    if plugin["id"] != "file-parser":
        return plugin["id"] in FREE_PLUGINS
    pdf = plugin.get("pdf")
    return isinstance(pdf, Mapping) and pdf.get("engine") in FREE_PDF_ENGINES
