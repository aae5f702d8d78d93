"""Models as values, and what an ID that somebody typed means. Pure.

    OpenRouter's object --read_models--> Model <--dump_models, load_models--> JSON text to store
                                           |------to_wire------> what clients get

Reading is tolerant: an entry without a usable ID is skipped and counted, a malformed field counts
as missing. Prices are Decimal, in US dollars per million tokens; OpenRouter's own are decimal
strings in US dollars per token, and "-1" means that the price depends on the request.
The object: https://openrouter.ai/docs/guides/overview/models
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from .. import limits as wire_limits
from ..contract import one_line
from .ids import is_free
from .limits import CatalogLimits
from .pricing import (
    ExtraPrice,
    Price,
    PriceTier,
    all_prices,
    costs,
    overrides_of,
    read_extra_prices,
    read_price,
    read_price_tiers,
)

# each capability: the list of OpenRouter's that reveals it, and the entry there
CAPABILITIES: Final[Mapping[str, tuple[str, str]]] = {
    "tools": ("supported_parameters", "tools"),
    "structuredOutputs": ("supported_parameters", "structured_outputs"),
    "json": ("supported_parameters", "response_format"),
    "reasoning": ("supported_parameters", "reasoning"),
    "temperature": ("supported_parameters", "temperature"),
    "webSearch": ("supported_parameters", "web_search_options"),
    "vision": ("input_modalities", "image"),
    "files": ("input_modalities", "file"),
    "audio": ("input_modalities", "audio"),
    "video": ("input_modalities", "video"),
    "imageOutput": ("output_modalities", "image"),
    "audioOutput": ("output_modalities", "audio"),
    "videoOutput": ("output_modalities", "video"),
    "embeddings": ("output_modalities", "embeddings"),
}


# these work with any ID without being listed; the last two are also listed for some models
VIRTUAL_SUFFIXES: Final = frozenset({"nitro", "floor", "online", "exacto", "thinking", "extended"})


PRESET: Final = "@preset/"


ROUTERS: Final = "openrouter/"


# billed by tokens only; others are billed by the song or the image, whatever a token costs
BY_TOKEN: Final = frozenset({"text", "embeddings"})


CHARS_PER_TOKEN: Final = 4  # of English text on average, for estimates


EXPIRES_SOON_DAYS: Final = 14  # warn if OpenRouter withdraws the model within that time


_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


_ID: Final = re.compile(r"~?[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._:-]*")


@dataclass(frozen=True, slots=True)
class Model:
    """A model. Prices are in US dollars per million tokens, lengths in tokens.

    This is the only description of a model: the JSON names are the field names in camelCase, and
    stored JSON omits values that equal the default.

    Attributes:
        provider: The author, which is the first part of the ID.
        provider_name: The author's name for people, if OpenRouter lists it.
        created: Unix time.
        expiration_date: When OpenRouter withdraws the model, if that is known.
        long_prompt_tokens: From so many tokens of the prompt on, it costs more; None if it doesn't.
        long_prompt_price: What it costs then at most, for the prompt.
        long_completion_price: Likewise, for the completion.
        prices: What is billed besides the tokens of prompt and completion.
        price_tiers: Other prices, for long prompts or certain hours.
        free: Whether no use of it is ever billed.
        variant: What follows the colon in the ID, such as `free` or `batch`.
        alias_target: The ID that an alias such as `~author/name-latest` stands for.
        reasoning_required: Whether reasoning can't be turned off.
        reasoning_efforts: The efforts that it supports; empty if OpenRouter does not say.
        image_parameters: The parameters that OpenRouter's image API accepts for it; empty if it
            lists none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        alias_generator=to_camel, extra="forbid", hide_input_in_errors=True
    )

    id: str
    name: str
    provider: str
    provider_name: str = ""
    description: str = ""
    canonical_slug: str = ""
    created: int | None = None
    expiration_date: date | None = None
    context_length: int | None = None
    max_completion_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    supported_parameters: tuple[str, ...] = ()
    moderated: bool = False
    prompt_price: Price = None
    completion_price: Price = None
    long_prompt_tokens: int | None = None
    long_prompt_price: Price = None
    long_completion_price: Price = None
    prices: tuple[ExtraPrice, ...] = ()
    price_tiers: tuple[PriceTier, ...] = ()
    free: bool = False
    variant: str | None = None
    alias_target: str | None = None
    reasoning_required: bool = False
    reasoning_efforts: tuple[str, ...] = ()
    image_parameters: tuple[str, ...] = ()

    def expires_soon(self, today: date) -> date | None:
        """Return when OpenRouter withdraws the model, if that is soon or already past."""
        expires = self.expiration_date
        if expires is None or expires > today + timedelta(EXPIRES_SOON_DAYS):
            return None
        return expires

    def prices_at(self, prompt_tokens: int) -> tuple[Price, Price]:
        """Return the highest prices of prompt and completion if the prompt has so many tokens."""
        if self.long_prompt_tokens is not None and prompt_tokens >= self.long_prompt_tokens:
            return self.long_prompt_price, self.long_completion_price
        return self.prompt_price, self.completion_price

    def to_wire(self) -> dict[str, object]:
        """Return what clients get: prices are numbers or "dynamic", unknown values are left out."""
        wire: dict[str, object] = {}
        for wire_name, name, default in _wire_fields():
            value = getattr(self, name)
            if value != default or wire_name in _LISTS_ON_THE_WIRE:
                convert = _TO_WIRE.get(type(value))
                wire[wire_name] = convert(value) if convert else value
        wire.setdefault("moderated", False)
        wire.setdefault("free", False)
        return wire


# clients get these even if they are empty
_LISTS_ON_THE_WIRE: Final = frozenset(
    {"inputModalities", "outputModalities", "capabilities", "supportedParameters"}
)


def _list_to_wire(items: Sequence[object]) -> list[object]:
    """Return a list of what clients get for each item."""
    return [item.to_wire() if isinstance(item, (ExtraPrice, PriceTier)) else item for item in items]


# conversions of types that JSON lacks
_TO_WIRE: Final[Mapping[type, Callable[..., object]]] = {
    tuple: _list_to_wire,
    Decimal: float,
    date: date.isoformat,
}


@cache
def _wire_fields() -> tuple[tuple[str, str, object], ...]:
    """Return the name on the wire, the name and the default of each field."""
    return tuple((to_camel(known.name), known.name, known.default) for known in fields(Model))


@cache
def _adapter() -> TypeAdapter[tuple[Model, ...]]:
    """Return the codec, which is built at first use because that takes milliseconds."""
    return TypeAdapter(tuple[Model, ...])


def dump_models(models: Sequence[Model]) -> str:
    """Return models as ASCII JSON text."""
    dumped = _adapter().dump_json(
        tuple(models), by_alias=True, exclude_defaults=True, ensure_ascii=True
    )
    return dumped.decode()


def load_models(text: str) -> tuple[Model, ...]:
    """Return the models that `dump_models` was given. Raises ValueError for any other text."""
    return _adapter().validate_json(text)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is known about an ID that a caller or a settings document names.

    Attributes:
        requested: The ID as it was written.
        model: The catalog's entry for it without suffixes and preset, if there is one.
        target: The entry that an alias stands for.
        suffixes: The virtual suffixes, as they were written.
        preset: A preset of the OpenRouter account, which may change anything. An ID may consist of
            a preset alone, without a model.
        is_router: Whether the ID is a router, which picks a model for each request.
    """

    requested: str
    model: Model | None
    target: Model | None = None
    suffixes: tuple[str, ...] = ()
    preset: str | None = None
    is_router: bool = False

    @property
    def effective_model(self) -> Model | None:
        """The entry that describes the model: for an alias, the one that it stands for."""
        return self.target or self.model

    @property
    def is_unknown(self) -> bool:
        """Whether the catalog should have an entry for it, and has none."""
        return self.model is None and self.preset is None and not self.is_router

    @property
    def free(self) -> bool:
        """Whether no use of it is ever billed: by its name, or by the catalog."""
        if is_free(self.requested):
            return True
        paid = self.preset is not None or "online" in self.suffixes  # each search is billed
        return self.effective_model is not None and self.effective_model.free and not paid


@dataclass(frozen=True, slots=True)
class ModelList:
    """All models, ordered by ID.

    Attributes:
        generation: Changes whenever the models do.
        fetched_at: When OpenRouter sent them.
    """

    generation: int
    fetched_at: datetime
    models: tuple[Model, ...]
    _by_id: dict[str, Model] = field(init=False, repr=False, compare=False)
    _wire: dict[str, dict[str, object]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {model.id: model for model in self.models})
        object.__setattr__(self, "_wire", {})

    def to_wire(self, model: Model) -> dict[str, object]:
        """Return what clients get for one of the models; it is built only once."""
        wire = self._wire.get(model.id)
        if wire is None:
            wire = self._wire[model.id] = model.to_wire()
        return wire

    @property
    def usable(self) -> tuple[Model, ...]:
        """The models that a callable can use: all but those of the batch API."""
        return tuple(model for model in self.models if model.variant != "batch")

    def get(self, id_: str) -> Model | None:
        """Return the model that is listed under exactly this ID."""
        return self._by_id.get(id_)

    def resolve(self, requested: str) -> Resolved:
        """Return what an ID means, as people write it.

        It may have suffixes or a preset, and may be an alias or a router.
        """
        id_, _, preset = requested.partition(PRESET)
        suffixes: list[str] = []
        while id_ not in self._by_id:
            shorter, _, suffix = id_.rpartition(":")
            if suffix not in VIRTUAL_SUFFIXES or not shorter:
                break
            id_ = shorter
            suffixes.insert(0, suffix)
        model = self._by_id.get(id_.removesuffix("@") if preset else id_)
        return Resolved(
            requested=requested,
            model=model,
            target=self._by_id.get(model.alias_target or "") if model else None,
            suffixes=tuple(suffixes),
            preset=preset or None,
            is_router=id_.startswith(ROUTERS),
        )


def read_models(
    entries: Iterable[object], limits: CatalogLimits = CatalogLimits()
) -> tuple[tuple[Model, ...], int]:
    """Read OpenRouter's list.

    Returns:
        The models, ordered by ID, and how many entries were malformed or duplicates.
    """
    models: dict[str, Model] = {}
    skipped = 0
    for entry in entries:
        model = read_model(entry, limits)
        if model is None or model.id in models:
            skipped += 1
        else:
            models[model.id] = model
    return tuple(models[id_] for id_ in sorted(models)), skipped


def read_image_parameters(
    document: object, limits: CatalogLimits = CatalogLimits()
) -> dict[str, tuple[str, ...]]:
    """Return the parameters that OpenRouter's image API accepts for each model, from its list."""
    data = document.get("data") if isinstance(document, dict) else None
    return {
        str(entry.get("id")): _words([*_object(entry, "supported_parameters")], limits)
        for entry in (data if isinstance(data, list) else ())
        if isinstance(entry, dict)
    }


def read_model(entry: object, limits: CatalogLimits = CatalogLimits()) -> Model | None:
    """Return the model in an entry of OpenRouter's list; None if it has no usable ID."""
    if not isinstance(entry, dict):
        return None
    id_ = entry.get("id")
    if (
        not isinstance(id_, str)
        or len(id_) > wire_limits.MODEL_ID_MAX_CHARS
        or not _ID.fullmatch(id_)
    ):
        return None
    architecture = _object(entry, "architecture")
    top = _object(entry, "top_provider")
    lists = {
        "supported_parameters": _words(entry.get("supported_parameters"), limits),
        "input_modalities": _words(architecture.get("input_modalities"), limits),
        "output_modalities": _words(architecture.get("output_modalities"), limits),
    }
    pricing, reasoning = _object(entry, "pricing"), _object(entry, "reasoning")
    prompt, completion = read_price(pricing.get("prompt")), read_price(pricing.get("completion"))
    long_tokens, long_prompt, long_completion = _long_prices(pricing, prompt, completion)
    variant = id_.partition(":")[2] or None
    alias_target = _object(entry, "alias_target").get("slug")
    return Model(
        id=id_,
        name=_text(entry.get("name"), limits.name_max_chars) or id_,
        provider=id_.partition("/")[0].removeprefix("~"),
        provider_name=_provider_name(entry.get("name"), limits),
        description=_text(entry.get("description"), limits.description_max_chars),
        canonical_slug=_text(entry.get("canonical_slug"), wire_limits.MODEL_ID_MAX_CHARS),
        created=_count(entry.get("created")),
        expiration_date=_date(entry.get("expiration_date")),
        context_length=_count(entry.get("context_length")) or _count(top.get("context_length")),
        max_completion_tokens=_count(top.get("max_completion_tokens")),
        capabilities=tuple(
            capability for capability, (where, what) in CAPABILITIES.items() if what in lists[where]
        ),
        moderated=top.get("is_moderated") is True,
        prompt_price=prompt,
        completion_price=completion,
        long_prompt_tokens=long_tokens,
        long_prompt_price=long_prompt,
        long_completion_price=long_completion,
        prices=read_extra_prices(pricing),
        price_tiers=read_price_tiers(pricing, limits),
        free=prompt == completion == 0
        and not any(map(costs, all_prices(pricing)))
        and (variant == "free" or BY_TOKEN.issuperset(lists["output_modalities"])),
        variant=variant,
        alias_target=_text(alias_target, wire_limits.MODEL_ID_MAX_CHARS) or None,
        reasoning_required=reasoning.get("mandatory") is True,
        reasoning_efforts=_words(reasoning.get("supported_efforts"), limits),
        **lists,
    )


def _object(entry: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object, max_chars: int) -> str:
    """Return a text on one line, without control characters."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value[: 2 * max_chars].split())
    line = " ".join(one_line(line).split())
    return line[:max_chars]


def _provider_name(name: object, limits: CatalogLimits) -> str:
    """Return the author's name, which OpenRouter puts before the model's: "OpenAI: GPT-5"."""
    author, colon, _ = _text(name, limits.name_max_chars).partition(": ")
    return author if colon else ""


def _words(value: object, limits: CatalogLimits) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    words = (word for word in value if isinstance(word, str) and _WORD.fullmatch(word))
    return tuple(dict.fromkeys(words))[: limits.words_max]


def _count(value: object) -> int | None:
    """Return a positive whole number, which may be 4096.0 in JSON."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value < 2**53 else None


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _long_prices(
    pricing: Mapping[str, object], prompt: Price, completion: Price
) -> tuple[int | None, Price, Price]:
    """Return from how many tokens of the prompt on a model costs more, and how much at most.

    Of several steps, it is the lowest bound and the highest price; one that concerns certain hours
    only has no bound.
    """
    if not isinstance(prompt, Decimal) or not isinstance(completion, Decimal):
        return None, None, None
    bounds, highest = [], (prompt, completion)
    for prices in overrides_of(pricing):
        own = (
            _at_least(prices.get("prompt"), prompt),
            _at_least(prices.get("completion"), completion),
        )
        if own != (prompt, completion):
            bounds.append(_count(prices.get("min_prompt_tokens")) or 1)
            highest = max(own[0], highest[0]), max(own[1], highest[1])
    return (min(bounds), *highest) if bounds else (None, None, None)


def _at_least(value: object, least: Decimal) -> Decimal:
    price = read_price(value)
    return max(price, least) if isinstance(price, Decimal) else least
