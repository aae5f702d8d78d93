"""OpenRouter's models as values of ours, and what an id that somebody typed stands for. Pure.

    OpenRouter's object --read_models--> Model <--> a document of plain JSON values
                                           |------> what clients get

Reading is tolerant: an entry that makes no sense is left out and counted, a field that makes none
is as good as absent. Prices are Decimal, US dollars per million tokens; OpenRouter's own are
decimal strings, US dollars per token, and "-1" says that the price depends on what is asked.
The object: https://openrouter.ai/docs/guides/overview/models
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from .. import limits
from ..contract import Capability
from .ids import is_free

Price = Decimal | Literal["dynamic"] | None  # None: not known


# which of OpenRouter's lists, and what in it, makes each capability
CAPABILITIES: Final[Mapping[Capability, tuple[str, str]]] = {
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


# work on any id without being listed; the last two are listed for some models as well
VIRTUAL_SUFFIXES: Final = frozenset({"nitro", "floor", "online", "exacto", "thinking", "extended"})


PRESET: Final = "@preset/"


ROUTERS: Final = "openrouter/"


# billed by the token alone: others cost per song or per image, whatever their token price says
BY_TOKEN: Final = frozenset({"text", "embeddings"})


TOKENS_PER_PRICE: Final = 1_000_000


CHARS_PER_TOKEN: Final = 4  # of English, by and large: for estimates, marked as such


_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


_ID: Final = re.compile(r"~?[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._:-]*")


_PRICE: Final = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,24})?([eE]-?[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Prices are US dollars per million tokens, lengths are tokens.

    created: Unix time. provider: the author part of the id. free: nothing of it is ever billed.
    variant: what follows the id's colon, such as free or batch. alias_target: the id behind a
    `~...-latest`. reasoning_required: it can not be switched off. reasoning_efforts: those it
    takes, empty where it does not say. image_parameters: what OpenRouter's image API takes for it,
    empty where that does not say.
    """

    id: str
    name: str
    provider: str
    description: str = ""
    canonical_slug: str = ""
    created: int | None = None
    expiration_date: str | None = None  # YYYY-MM-DD
    context_length: int | None = None
    max_completion_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    supported_parameters: tuple[str, ...] = ()
    moderated: bool = False
    prompt_price: Price = None
    completion_price: Price = None
    free: bool = False
    variant: str | None = None
    alias_target: str | None = None
    reasoning_required: bool = False
    reasoning_efforts: tuple[str, ...] = ()
    image_parameters: tuple[str, ...] = ()

    def expires_soon(self, today: date) -> date | None:
        """When OpenRouter takes it away, where that is known and near."""
        if self.expiration_date is None:
            return None
        expires = date.fromisoformat(self.expiration_date)
        return expires if expires <= today + timedelta(limits.MODEL_EXPIRES_SOON_DAYS) else None

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values under the wire's names, the empty ones left out; prices are text."""
        values = self._values()
        for name in ("promptPrice", "completionPrice"):
            if isinstance(price := values.get(name), Decimal):
                values[name] = f"{price:f}"
        return values

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Model:
        """What `to_document` gave. Raises KeyError, TypeError, ValueError, ArithmeticError."""
        values = {_FIELDS[name]: value for name, value in document.items()}
        for name in ("prompt_price", "completion_price"):
            if (price := values.get(name)) not in (None, "dynamic"):
                values[name] = Decimal(price)
        for name in _LISTS:
            values[name] = tuple(values.get(name, ()))
        return cls(**values)

    def to_wire(self) -> dict[str, Any]:
        """What clients get: prices are numbers or "dynamic", what is not known is left out."""
        values = self._values()
        values.setdefault("moderated", False)
        values.setdefault("free", False)
        for name in ("promptPrice", "completionPrice"):
            if isinstance(price := values.get(name), Decimal):
                values[name] = float(price)
        return values

    def _values(self) -> dict[str, Any]:
        values = {}
        for wire, name in _FIELDS.items():
            value = getattr(self, name)
            if isinstance(value, tuple):
                if value or name not in _RARE:
                    values[wire] = list(value)
            elif value is not None and value != "" and value is not False:
                values[wire] = value
        return values


# the wire's names of a model's fields
_FIELDS: Final[Mapping[str, str]] = {
    "id": "id",
    "name": "name",
    "provider": "provider",
    "description": "description",
    "canonicalSlug": "canonical_slug",
    "created": "created",
    "expirationDate": "expiration_date",
    "contextLength": "context_length",
    "maxCompletionTokens": "max_completion_tokens",
    "inputModalities": "input_modalities",
    "outputModalities": "output_modalities",
    "capabilities": "capabilities",
    "supportedParameters": "supported_parameters",
    "moderated": "moderated",
    "promptPrice": "prompt_price",
    "completionPrice": "completion_price",
    "free": "free",
    "variant": "variant",
    "aliasTarget": "alias_target",
    "reasoningRequired": "reasoning_required",
    "reasoningEfforts": "reasoning_efforts",
    "imageParameters": "image_parameters",
}


_RARE: Final = ("reasoning_efforts", "image_parameters")  # the other lists every model has


_LISTS: Final = (
    *("input_modalities", "output_modalities", "capabilities", "supported_parameters"),
    *_RARE,
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is known of an id that a caller or a settings document names.

    model: the list's entry, with suffixes and preset taken off; None where the list has none.
    target: the entry behind an alias. suffixes: the virtual ones, as they were written.
    preset: a preset of the OpenRouter account, which may change anything; alone, it is no model.
    """

    asked: str
    model: Model | None
    target: Model | None = None
    suffixes: tuple[str, ...] = ()
    preset: str | None = None
    router: bool = False

    @property
    def alias(self) -> bool:
        return self.asked.startswith("~")

    @property
    def answers(self) -> Model | None:
        """The entry that says what it can do: the one behind an alias."""
        return self.target or self.model

    @property
    def free(self) -> bool:
        """Whether nothing that is asked of it is ever billed: by its name, or by the list."""
        if is_free(self.asked):
            return True
        paid = self.preset is not None or "online" in self.suffixes  # each search is billed
        return self.answers is not None and self.answers.free and not paid


@dataclass(frozen=True, slots=True)
class ModelList:
    """All models, ordered by id. generation: changes when they do. fetched_at: from OpenRouter."""

    generation: int
    fetched_at: datetime
    models: tuple[Model, ...]
    _by_id: dict[str, Model] = field(init=False, repr=False, compare=False)
    _wire: dict[str, dict[str, Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {model.id: model for model in self.models})
        object.__setattr__(self, "_wire", {})

    def to_wire(self, model: Model) -> dict[str, Any]:
        """What clients get of one of its models; made once, for page after page."""
        made = self._wire.get(model.id)
        if made is None:
            made = self._wire[model.id] = model.to_wire()
        return made

    def get(self, id_: str) -> Model | None:
        """The model that is listed under exactly this id."""
        return self._by_id.get(id_)

    def find(self, asked: str) -> Resolved:
        """What an id as people write it stands for: with suffixes, a preset, an alias, a router."""
        id_, _, preset = asked.partition(PRESET)
        suffixes: list[str] = []
        while id_ not in self._by_id:
            shorter, _, suffix = id_.rpartition(":")
            if suffix not in VIRTUAL_SUFFIXES or not shorter:
                break
            id_ = shorter
            suffixes.insert(0, suffix)
        model = self._by_id.get(id_.removesuffix("@") if preset else id_)
        return Resolved(
            asked=asked,
            model=model,
            target=self._by_id.get(model.alias_target or "") if model else None,
            suffixes=tuple(suffixes),
            preset=preset or None,
            router=id_.startswith(ROUTERS),
        )


def read_models(entries: Iterable[object]) -> tuple[tuple[Model, ...], int]:
    """(the models, ordered by id; how many entries made no sense or came twice)."""
    models: dict[str, Model] = {}
    skipped = 0
    for entry in entries:
        model = read_model(entry)
        if model is None or model.id in models:
            skipped += 1
        else:
            models[model.id] = model
    return tuple(models[id_] for id_ in sorted(models)), skipped


def read_image_parameters(document: object) -> dict[str, tuple[str, ...]]:
    """By model: what OpenRouter's image API takes of it, from that API's own list."""
    data = document.get("data") if isinstance(document, dict) else None
    return {
        str(entry.get("id")): _words([*_object(entry, "supported_parameters")])
        for entry in (data if isinstance(data, list) else ())
        if isinstance(entry, dict)
    }


def read_model(entry: object) -> Model | None:
    """The model in an entry of OpenRouter's list; None when it has no usable id."""
    if not isinstance(entry, dict):
        return None
    id_ = entry.get("id")
    if not isinstance(id_, str) or len(id_) > limits.MODEL_ID_MAX_CHARS or not _ID.fullmatch(id_):
        return None
    architecture = _object(entry, "architecture")
    top = _object(entry, "top_provider")
    lists = {
        "supported_parameters": _words(entry.get("supported_parameters")),
        "input_modalities": _words(architecture.get("input_modalities")),
        "output_modalities": _words(architecture.get("output_modalities")),
    }
    pricing, reasoning = _object(entry, "pricing"), _object(entry, "reasoning")
    prompt, completion = _price(pricing.get("prompt")), _price(pricing.get("completion"))
    variant = id_.partition(":")[2] or None
    alias_target = _object(entry, "alias_target").get("slug")
    return Model(
        id=id_,
        name=_text(entry.get("name"), limits.MODEL_NAME_MAX_CHARS) or id_,
        provider=id_.partition("/")[0].removeprefix("~"),
        description=_text(entry.get("description"), limits.MODEL_DESCRIPTION_MAX_CHARS),
        canonical_slug=_text(entry.get("canonical_slug"), limits.MODEL_ID_MAX_CHARS),
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
        free=prompt == completion == 0
        and not any(map(_costs, _prices(pricing)))
        and (variant == "free" or BY_TOKEN.issuperset(lists["output_modalities"])),
        variant=variant,
        alias_target=_text(alias_target, limits.MODEL_ID_MAX_CHARS) or None,
        reasoning_required=reasoning.get("mandatory") is True,
        reasoning_efforts=_words(reasoning.get("supported_efforts")),
        **lists,
    )


def _object(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object, max_chars: int) -> str:
    """On one line, without signs that do not print."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value[: 2 * max_chars].split())
    if not line.isprintable():
        line = " ".join("".join(sign for sign in line if sign.isprintable()).split())
    return line[:max_chars]


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    words = (word for word in value if isinstance(word, str) and _WORD.fullmatch(word))
    return tuple(dict.fromkeys(words))[: limits.MODEL_WORDS_MAX]


def _count(value: object) -> int | None:
    """A positive whole number, which JSON may have written as 4096.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value < 2**53 else None


def _date(value: object) -> str | None:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _price(value: object) -> Price:
    """US dollars per million tokens, of a price per token."""
    if isinstance(value, float) or (type(value) is int and -1 <= value <= TOKENS_PER_PRICE):
        value = str(value)
    if not isinstance(value, str) or not _PRICE.fullmatch(value):
        return None
    per_token = Decimal(value)
    if per_token < 0:
        return "dynamic"
    return (per_token * TOKENS_PER_PRICE).normalize() if per_token else Decimal(0)


def _prices(pricing: Mapping[str, Any]) -> Iterator[object]:
    """Every price beside `prompt` and `completion`, those of other hours and sizes included."""
    overrides = pricing.get("overrides")
    for prices in (pricing, *(overrides if isinstance(overrides, list) else ())):
        if isinstance(prices, dict):
            yield from (price for name, price in prices.items() if name not in _NO_PRICES)


_NO_PRICES: Final = frozenset(
    {"discount", "overrides", "min_prompt_tokens", "utc_start", "utc_end", "utc_days"}
)


def _costs(price: object) -> bool:
    """Whether it is a price that is not zero; one that can not be read is taken for one."""
    return price is not None and _price(price) != 0
