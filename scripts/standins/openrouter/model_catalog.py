"""The models of the stand-in: realistic ones from `model_catalog.json`, and every `sim/*` name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]

DEFAULT_MODEL = "openrouter/auto"
FREE = ("0", "0")
PAID = ("0.000003", "0.000015")
PAGE_DEFAULT = 500
PAGE_MAX = 1000

# suffixes that work with any ID without being listed
VIRTUAL_SUFFIXES = (":nitro", ":floor", ":online", ":exacto")
ROUTED = {
    "openrouter/auto": "anthropic/claude-haiku-4.5",
    "openrouter/free": "z-ai/glm-4.5-air:free",
}
PROVIDERS = {
    "anthropic": "Anthropic",
    "deepseek": "DeepSeek",
    "google": "Google AI Studio",
    "meta-llama": "DeepInfra",
    "mistralai": "Mistral",
    "openai": "OpenAI",
    "qwen": "Alibaba",
    "sim": "Simulated",
    "z-ai": "Z.AI",
}

CONTEXT_TOKENS = 131_072  # of simulated models


@dataclass(frozen=True)
class Simulated:
    """What the catalog needs to know of a `sim/*` model."""

    name: str
    line: str
    paid: bool = False
    output: str = "text"
    plain: bool = False
    context: int = CONTEXT_TOKENS
    long_from: int | None = None  # tokens of the prompt from which on it costs twice as much


@dataclass(frozen=True)
class ServedModel:
    """The model that serves a request, which a router or an alias chooses."""

    id: str
    shown: str
    provider: str
    router: str | None
    prompt_price: Decimal
    completion_price: Decimal
    reads_files: bool  # by itself, without OpenRouter's parser
    draws: bool
    image_price: Decimal  # for a token of an image
    overrides: tuple[tuple[int, Decimal, Decimal], ...] = ()  # from so many tokens on: both prices

    def at(self, prompt_tokens: int) -> ServedModel:
        """Return it with the prices of a prompt of so many tokens."""
        for least, prompt, completion in self.overrides:
            if prompt_tokens >= least:
                return replace(self, prompt_price=prompt, completion_price=completion, overrides=())
        return self


class Catalog:
    def __init__(self, models: Iterable[Json]) -> None:
        self.models: Mapping[str, Json] = {model["id"]: model for model in models}

    def find(self, model_id: str) -> Json | None:
        return self.models.get(_without_virtual_suffix(model_id))

    def resolve(self, model_id: str) -> ServedModel:
        """Return the model that serves a request for this one. Raises KeyError if `find` fails."""
        model_id = _without_virtual_suffix(model_id)
        model = self.models[model_id]
        target = ROUTED.get(model_id) or model.get("alias_target", {}).get("slug", model_id)
        model = self.models[target]
        author = target.split("/")[0]
        return ServedModel(
            id=target,
            # recorded: Claude answers under its dated slug
            shown=model["canonical_slug"] if author == "anthropic" else target,
            provider=PROVIDERS.get(author, "Simulated"),
            router=model_id if model_id.startswith("openrouter/") else None,
            prompt_price=Decimal(model["pricing"]["prompt"]),
            completion_price=Decimal(model["pricing"]["completion"]),
            reads_files="file" in model["architecture"]["input_modalities"],
            draws="image" in model["architecture"]["output_modalities"],
            image_price=Decimal(
                model["pricing"].get("image_output", model["pricing"]["completion"])
            ),
            overrides=_overrides(model["pricing"]),
        )

    def listed(self, query: Mapping[str, str], default_output: str = "text") -> list[Json]:
        """Return the models that pass the filters; unknown filters are ignored."""
        output = _words(query.get("output_modalities", default_output))
        inputs = _words(query.get("input_modalities", ""))
        parameters = _words(query.get("supported_parameters", ""))
        text = query.get("q", "").lower()
        return [
            model
            for model in self.models.values()
            if ("all" in output or output & set(model["architecture"]["output_modalities"]))
            and inputs <= set(model["architecture"]["input_modalities"])
            and parameters <= set(model["supported_parameters"])
            and (text in model["id"].lower() or text in model["name"].lower())
        ]


def load_catalog(simulated: Iterable[Simulated]) -> Catalog:
    file = Path(__file__).with_name("model_catalog.json")
    realistic: list[Json] = json.loads(file.read_text(encoding="utf-8"))
    return Catalog([*realistic, *map(_simulated_model, simulated)])


def page_of(models: list[Json], query: Mapping[str, str], url: str) -> Json:
    """Return a page in OpenRouter's envelope, or the whole list without `offset` and `limit`.

    Raises ValueError, which names the invalid field.
    """
    if "offset" not in query and "limit" not in query:
        return {"data": models, "total_count": len(models), "links": {"next": None}}
    offset = _number(query, "offset", 0, 0, 1_000_000)
    limit = _number(query, "limit", PAGE_DEFAULT, 1, PAGE_MAX)
    after = offset + limit
    following = None
    if after < len(models):
        following = f"{url}?{urlencode({**query, 'offset': after, 'limit': limit})}"
    return {
        "data": models[offset:after],
        "total_count": len(models),
        "links": {"next": following},
    }


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    given = query.get(name, str(default))
    if not given.isdecimal() or not low <= int(given) <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {given!r}")
    return int(given)


def _overrides(pricing: Json) -> tuple[tuple[int, Decimal, Decimal], ...]:
    """Return the prices of long prompts, those of the longest first."""
    steps = [
        (step["min_prompt_tokens"], Decimal(step["prompt"]), Decimal(step["completion"]))
        for step in pricing.get("overrides", ())
        if "min_prompt_tokens" in step
    ]
    return tuple(sorted(steps, reverse=True))


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


def _without_virtual_suffix(model: str) -> str:
    for suffix in VIRTUAL_SUFFIXES:
        model = model.removesuffix(suffix)
    return model


def _simulated_model(simulated: Simulated) -> Json:
    prompt, completion = PAID if simulated.paid else FREE
    pricing: Json = {"prompt": prompt, "completion": completion}
    if simulated.long_from is not None:
        double = {name: str(2 * Decimal(price)) for name, price in pricing.items()}
        pricing["overrides"] = [{"min_prompt_tokens": simulated.long_from, **double}]
    return {
        "id": simulated.name,
        "canonical_slug": simulated.name,
        "hugging_face_id": None,
        "name": f"Simulated: {simulated.name.removeprefix('sim/')}",
        "created": 1763769600,
        "description": simulated.line,
        "context_length": simulated.context,
        "architecture": {
            "modality": f"text->{simulated.output}",
            "input_modalities": ["text"],
            "output_modalities": [simulated.output],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": pricing,
        "top_provider": {
            "context_length": simulated.context,
            "max_completion_tokens": min(16384, simulated.context),
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "top_p"]
        if simulated.plain
        else [
            "include_reasoning",
            "max_tokens",
            "parallel_tool_calls",
            "reasoning",
            "response_format",
            "seed",
            "stop",
            "structured_outputs",
            "temperature",
            "tool_choice",
            "tools",
            "top_p",
        ],
        "default_parameters": {},
        "supported_voices": None,
        "knowledge_cutoff": None,
        "expiration_date": None,
        "links": {"details": f"/api/v1/models/{simulated.name}/endpoints"},
    }
