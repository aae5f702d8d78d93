"""What a model costs, as OpenRouter lists it. Pure.

OpenRouter's prices are decimal strings in US dollars per token, and "-1" means that the price
depends on the request. Ours are Decimal, in US dollars per million tokens; requests and searches
are billed by the piece. Reading is tolerant: what is malformed counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from .limits import CatalogLimits

TOKENS_PER_PRICE: Final = 1_000_000
_PRICE: Final = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,24})?([eE]-?[0-9]{1,2})?", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
# billed by the piece and not by the token, each by what
_BY_PIECE: Final[Mapping[str, Unit]] = {"request": "request", "web_search": "search"}
_OWN_FIELDS: Final = frozenset({"prompt", "completion"})  # of a model, and of a tier
NO_PRICES: Final = frozenset(
    {"discount", "overrides", "min_prompt_tokens", "utc_start", "utc_end", "utc_days"}
)

_CONFIG: Final = ConfigDict(alias_generator=to_camel, extra="forbid", hide_input_in_errors=True)


def price_text(price: Decimal) -> str:
    """Return a price as text, without an exponent."""
    return f"{price:f}"


# None if the price is not known
Price = Annotated[Decimal, PlainSerializer(price_text, return_type=str)] | Literal["dynamic"] | None
Unit = Literal["million tokens", "request", "search"]


@dataclass(frozen=True, slots=True)
class ExtraPrice:
    """A price besides those of prompt and completion, such as `imageOutput` or `webSearch`."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    usd: Price
    per: Unit = "million tokens"

    def to_wire(self) -> dict[str, object]:
        return {"name": self.name, "usd": _number(self.usd), "per": self.per}


@dataclass(frozen=True, slots=True)
class PriceTier:
    """Other prices, for prompts of a certain length or hours of the day (UTC).

    Attributes:
        min_prompt_tokens: It holds for prompts of more tokens than these.
        utc_start: It holds from this time on, as a number: 1630 is 16:30.
        utc_end: It holds until this time, which may be on the next day.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    min_prompt_tokens: int | None = None
    utc_start: int | None = None
    utc_end: int | None = None
    utc_days: tuple[str, ...] = ()
    prompt_price: Price = None
    completion_price: Price = None
    prices: tuple[ExtraPrice, ...] = ()

    def to_wire(self) -> dict[str, object]:
        wire: dict[str, object] = {
            "minPromptTokens": self.min_prompt_tokens,
            "utcStart": self.utc_start,
            "utcEnd": self.utc_end,
            "utcDays": list(self.utc_days) or None,
            "promptPrice": _number(self.prompt_price),
            "completionPrice": _number(self.completion_price),
            "prices": [price.to_wire() for price in self.prices] or None,
        }
        return {name: value for name, value in wire.items() if value is not None}


def read_price(value: object) -> Price:
    """Return US dollars per million tokens, given a price per token."""
    return _scaled(value, TOKENS_PER_PRICE)


def read_extra_prices(pricing: Mapping[str, object]) -> tuple[ExtraPrice, ...]:
    """Return all prices but those of prompt and completion; those that are nothing are left out."""
    found = []
    for name, value in pricing.items():
        if name in _OWN_FIELDS | NO_PRICES or not _NAME.fullmatch(name):
            continue
        unit = _BY_PIECE.get(name)
        usd = read_price(value) if unit is None else _scaled(value, 1)
        if usd:
            found.append(ExtraPrice(to_camel(name), usd, unit or "million tokens"))
    return tuple(sorted(found, key=lambda price: price.name))


def read_price_tiers(
    pricing: Mapping[str, object], limits: CatalogLimits = CatalogLimits()
) -> tuple[PriceTier, ...]:
    """Return the prices for certain prompts and hours; where several hold, the last one counts."""
    return tuple(
        PriceTier(
            min_prompt_tokens=_count(tier.get("min_prompt_tokens")),
            utc_start=_count(tier.get("utc_start")),
            utc_end=_count(tier.get("utc_end")),
            utc_days=_days(tier.get("utc_days")),
            prompt_price=read_price(tier.get("prompt")),
            completion_price=read_price(tier.get("completion")),
            prices=read_extra_prices(tier),
        )
        for tier in overrides_of(pricing)[: limits.tiers_max]
    )


def all_prices(pricing: Mapping[str, object]) -> Iterator[object]:
    """Yield all prices as OpenRouter lists them, those for certain hours and prompts included."""
    for prices in (pricing, *overrides_of(pricing)):
        yield from (price for name, price in prices.items() if name not in NO_PRICES)


def overrides_of(pricing: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the prices for certain hours and prompts, as OpenRouter lists them."""
    overrides = pricing.get("overrides")
    listed = overrides if isinstance(overrides, list) else []
    return [prices for prices in listed if isinstance(prices, dict)]


def costs(price: object) -> bool:
    """Return whether a price is other than zero; a malformed price counts as such."""
    return price is not None and read_price(price) != 0


def _scaled(value: object, factor: int) -> Price:
    if isinstance(value, float) or (type(value) is int and -1 <= value <= TOKENS_PER_PRICE):
        value = str(value)
    if not isinstance(value, str) or not _PRICE.fullmatch(value):
        return None
    price = Decimal(value)
    if price < 0:
        return "dynamic"
    return (price * factor).normalize() if price else Decimal(0)


def _number(price: Price) -> float | str | None:
    return float(price) if isinstance(price, Decimal) else price


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def _days(value: object) -> tuple[str, ...]:
    days = value if isinstance(value, list) else []
    return tuple(str(day)[:16] for day in days[:7] if isinstance(day, (str, int)))
