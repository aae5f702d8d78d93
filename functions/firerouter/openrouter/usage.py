"""The `usage` of an answer, as OpenRouter counts and prices it (its usage accounting docs)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ..contract import NANO_PER_USD
from .json_fields import COUNT_MAX, Json, as_count, as_object


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model's own tokenizer counts them, and what was charged.

    `cost_nano_usd` is in billionths of a US dollar, and None if OpenRouter reported none.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nano_usd: int | None = None

    def to_wire(self, *, estimate_nano_usd: int | None = None) -> Json:
        """Return the `usage` of a result, with its cost in US dollars, marked if estimated."""
        wire: Json = {
            "promptTokens": self.prompt_tokens,
            "completionTokens": self.completion_tokens,
            "totalTokens": self.prompt_tokens + self.completion_tokens,
        }
        if self.reasoning_tokens is not None:
            wire["reasoningTokens"] = self.reasoning_tokens
        if self.cached_tokens is not None:
            wire["cachedTokens"] = self.cached_tokens
        if self.cost_nano_usd is not None:
            wire["cost"] = self.cost_nano_usd / NANO_PER_USD
        elif estimate_nano_usd is not None:
            wire["cost"] = estimate_nano_usd / NANO_PER_USD
            wire["costIsEstimate"] = True
        return wire


def total(usages: Iterable[Usage]) -> Usage:
    """Add up usages. A cost that OpenRouter did not report counts as nothing."""
    added = list(usages)
    reasoning = [one.reasoning_tokens for one in added if one.reasoning_tokens is not None]
    cached = [one.cached_tokens for one in added if one.cached_tokens is not None]
    return Usage(
        prompt_tokens=sum(one.prompt_tokens for one in added),
        completion_tokens=sum(one.completion_tokens for one in added),
        reasoning_tokens=sum(reasoning) if reasoning else None,
        cached_tokens=sum(cached) if cached else None,
        cost_nano_usd=sum(one.cost_nano_usd or 0 for one in added),
    )


def nano_usd(usd: float) -> int:
    """Convert US dollars to billionths, rounded up so that no charge is lost."""
    return math.ceil(Decimal(repr(usd)) * NANO_PER_USD)


def read_usage(value: object) -> Usage | None:
    """Read the `usage` of a chunk; None if it is not an object. Malformed fields are ignored."""
    if not isinstance(value, dict):
        return None
    completion = as_object(value.get("completion_tokens_details"))
    prompt = as_object(value.get("prompt_tokens_details"))
    return Usage(
        prompt_tokens=as_count(value.get("prompt_tokens")) or 0,
        completion_tokens=as_count(value.get("completion_tokens")) or 0,
        reasoning_tokens=as_count(completion.get("reasoning_tokens")),
        cached_tokens=as_count(prompt.get("cached_tokens")),
        cost_nano_usd=read_price(value.get("cost")),
    )


def read_price(usd: object) -> int | None:
    """Convert a JSON number of US dollars to billionths; None if it is not a valid price."""
    if isinstance(usd, bool) or not isinstance(usd, (int, float)):
        return None
    # a comparison, because isfinite raises for an integer too large for a float
    return nano_usd(usd) if 0 <= usd <= COUNT_MAX // NANO_PER_USD else None
