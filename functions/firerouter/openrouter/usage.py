"""The `usage` of an answer, as OpenRouter counts and prices it (its usage accounting docs)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ..contract import NANO_PER_USD
from .json_fields import COUNT_MAX, Json, as_count, as_object

TOKENS_MAX: Final = 100_000_000  # of one answer; a higher count is wrong: no model can reach it


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model's own tokenizer counts them, and the cost.

    Attributes:
        cost_nano_usd: The whole cost in billionths of a US dollar, including what a provider billed
            to the owner's own key; None if OpenRouter did not report all of it.
        byok_nano_usd: The part that a provider billed to the owner's own key.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nano_usd: int | None = None
    byok_nano_usd: int = 0
    cache_write_tokens: int | None = None

    def then(self, later: Usage) -> Usage:
        """Return the usage of an answer that reports this one first. What is zero or unknown in
        the later one, and was not in this one, is what this one says."""
        is_priced = later.cost_nano_usd or self.cost_nano_usd is None
        return Usage(
            prompt_tokens=later.prompt_tokens or self.prompt_tokens,
            completion_tokens=later.completion_tokens or self.completion_tokens,
            reasoning_tokens=later.reasoning_tokens or self.reasoning_tokens,
            cached_tokens=later.cached_tokens or self.cached_tokens,
            cache_write_tokens=later.cache_write_tokens or self.cache_write_tokens,
            cost_nano_usd=later.cost_nano_usd if is_priced else self.cost_nano_usd,
            byok_nano_usd=later.byok_nano_usd if is_priced else self.byok_nano_usd,
        )

    def to_wire(self) -> Json:
        """Return the tokens as in the `usage` of a result."""
        wire: Json = {
            "promptTokens": self.prompt_tokens,
            "completionTokens": self.completion_tokens,
            "totalTokens": self.prompt_tokens + self.completion_tokens,
        }
        if self.reasoning_tokens is not None:
            wire["reasoningTokens"] = self.reasoning_tokens
        if self.cached_tokens is not None:
            wire["cachedTokens"] = self.cached_tokens
        if self.cache_write_tokens:
            wire["cacheWriteTokens"] = self.cache_write_tokens
        return wire


def total(usages: Iterable[Usage]) -> Usage:
    """Add up usages. A cost that OpenRouter did not report counts as 0."""
    added = list(usages)
    reasoning = [one.reasoning_tokens for one in added if one.reasoning_tokens is not None]
    cached = [one.cached_tokens for one in added if one.cached_tokens is not None]
    written = sum(one.cache_write_tokens or 0 for one in added)
    return Usage(
        prompt_tokens=sum(one.prompt_tokens for one in added),
        completion_tokens=sum(one.completion_tokens for one in added),
        reasoning_tokens=sum(reasoning) if reasoning else None,
        cached_tokens=sum(cached) if cached else None,
        cache_write_tokens=written or None,
        cost_nano_usd=sum(one.cost_nano_usd or 0 for one in added),
        byok_nano_usd=sum(one.byok_nano_usd for one in added),
    )


def nano_usd(usd: float | Decimal) -> int:
    """Convert US dollars to billionths, rounded up: a charge is never lost."""
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(usd))
    return math.ceil(exact * NANO_PER_USD)


def read_usage(value: object) -> Usage | None:
    """Read the `usage` of a chunk; None if it is not an object. Malformed fields are ignored."""
    if not isinstance(value, dict):
        return None
    completion = as_object(value.get("completion_tokens_details"))
    prompt = as_object(value.get("prompt_tokens_details"))
    upstream = as_object(value.get("cost_details")).get("upstream_inference_cost")
    cost, byok = read_cost(value.get("cost"), value.get("is_byok"), upstream)
    return Usage(
        prompt_tokens=read_tokens(value.get("prompt_tokens")) or 0,
        completion_tokens=read_tokens(value.get("completion_tokens")) or 0,
        reasoning_tokens=read_tokens(completion.get("reasoning_tokens")),
        cached_tokens=read_tokens(prompt.get("cached_tokens")),
        cache_write_tokens=read_tokens(prompt.get("cache_write_tokens")) or None,
        cost_nano_usd=cost,
        byok_nano_usd=byok,
    )


def read_cost(usd: object, is_byok: object, upstream_usd: object) -> tuple[int | None, int]:
    """Return an answer's whole cost, and the part that a provider billed to the owner's own key.

    With the owner's own key, OpenRouter charges only its fee, and reports separately what the
    provider bills. For other answers it reports that number too, but the cost already includes it.

    Args:
        usd: What OpenRouter charges.
        is_byok: Whether the provider was paid with the owner's own key.
        upstream_usd: What the provider bills.
    """
    cost = read_price(usd)
    if is_byok is not True:
        return cost, 0
    byok = read_price(upstream_usd)
    if cost is None or byok is None:
        return None, 0  # part of the cost is unknown
    return cost + byok, byok


def read_tokens(count: object) -> int | None:
    """Return a number of tokens; None if it is not a plausible one."""
    tokens = as_count(count)
    return tokens if tokens is not None and tokens <= TOKENS_MAX else None


def read_price(usd: object) -> int | None:
    """Convert a JSON number of US dollars to billionths; None if it is not a valid price."""
    if isinstance(usd, bool) or not isinstance(usd, (int, float)):
        return None
    # a comparison, because isfinite raises for an integer too large for a float
    return nano_usd(usd) if 0 <= usd <= COUNT_MAX // NANO_PER_USD else None
