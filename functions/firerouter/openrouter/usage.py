"""The `usage` of an answer, as OpenRouter counts and prices it (usage accounting in its docs)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ..contract import NANO_PER_USD

COUNT_MAX: Final = 2**53 - 1  # what JavaScript counts exactly; Firestore would refuse 2**63


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by the model's own tokenizer, and what was charged.

    cost_nano_usd: billionths of a US dollar, None when OpenRouter did not say.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nano_usd: int | None = None

    def to_wire(self, *, estimate_nano_usd: int | None = None) -> dict[str, Any]:
        """The `usage` of a result: cost in US dollars, marked when it is our estimate."""
        wire: dict[str, Any] = {
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
    """All of them together, each with a cost; nothing for none."""
    of = list(usages)
    reasoning = [usage.reasoning_tokens for usage in of if usage.reasoning_tokens is not None]
    cached = [usage.cached_tokens for usage in of if usage.cached_tokens is not None]
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in of),
        completion_tokens=sum(usage.completion_tokens for usage in of),
        reasoning_tokens=sum(reasoning) if reasoning else None,
        cached_tokens=sum(cached) if cached else None,
        cost_nano_usd=sum(usage.cost_nano_usd or 0 for usage in of),
    )


def nano_usd(usd: float) -> int:
    """US dollars in billionths, rounded up: a charge is never lost."""
    return math.ceil(Decimal(repr(usd)) * NANO_PER_USD)


def read(value: Any) -> Usage | None:
    """A chunk's `usage` object; None when it is not one. Whatever is odd in it is left out."""
    if not isinstance(value, dict):
        return None
    return Usage(
        prompt_tokens=read_count(value.get("prompt_tokens")) or 0,
        completion_tokens=read_count(value.get("completion_tokens")) or 0,
        reasoning_tokens=read_count(_get(value, "completion_tokens_details", "reasoning_tokens")),
        cached_tokens=read_count(_get(value, "prompt_tokens_details", "cached_tokens")),
        cost_nano_usd=read_price(value.get("cost")),
    )


def _get(value: dict[str, Any], *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None  # type: ignore[assignment]
    return value


def read_count(value: Any) -> int | None:
    """A number of tokens; None where it is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= COUNT_MAX else None


def read_price(usd: Any) -> int | None:
    """US dollars as JSON has them, in billionths; None where they are none."""
    if isinstance(usd, bool) or not isinstance(usd, (int, float)):
        return None
    # as a comparison: of an integer too large for a float, isfinite would raise
    return nano_usd(usd) if 0 <= usd <= COUNT_MAX // NANO_PER_USD else None
