"""What an answer may cost at most, reserved in every budget while it is in progress. Pure.

The worst case is linear in the tokens that the model may write, so if it does not fit into what is
left of a budget, a division gives the largest number of tokens that does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

USEFUL_TOKENS: Final = 256  # an answer is never shortened below this
# Every limit refuses an absurd price or length in the catalog, and no counter overflows
NANO_USD_MAX: Final = 10**15  # a million dollars
TOKENS_MAX: Final = 10**12


@dataclass(frozen=True, slots=True)
class LaterRequests:
    """Requests that one generation may make besides its first: a repair, a title, a summary.

    If an instance is killed before it records one of them, nobody knows whether it was made.

    Attributes:
        count: How many may be billed.
        nano_usd: What they may cost together.
    """

    count: int = 0
    nano_usd: int = 0

    @classmethod
    def from_document(cls, value: object) -> LaterRequests:
        """Read an entry's field, which may be malformed."""
        fields = value if isinstance(value, Mapping) else {}
        numbers = (fields.get("count"), fields.get("nanoUsd"))
        return cls(*(number if type(number) is int and number > 0 else 0 for number in numbers))

    def to_document(self) -> dict[str, int]:
        return {"count": self.count, "nanoUsd": min(self.nano_usd, NANO_USD_MAX)}

    def __add__(self, other: LaterRequests) -> LaterRequests:
        return LaterRequests(self.count + other.count, self.nano_usd + other.nano_usd)


NONE_LATER: Final = LaterRequests()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """The worst case of one generation.

    Attributes:
        base_nano_usd: What it costs apart from its completion: the prompt, images, files, tools.
        nano_usd_per_token: What each completion token costs.
        base_tokens: All tokens but those of its completion.
        tokens_per_token: How often each completion token may count: twice if it may be repaired.
        completion_tokens: The most tokens that it may write.
        is_lowerable: Whether `completion_tokens` may be lowered.
        later: The part of it that is for requests after, or beside, the first one.
    """

    base_nano_usd: int = 0
    nano_usd_per_token: Decimal = Decimal(0)
    base_tokens: int = 0
    tokens_per_token: int = 1
    completion_tokens: int = 0
    is_lowerable: bool = False
    later: LaterRequests = NONE_LATER

    @property
    def nano_usd(self) -> int:
        """What it may cost, in nano dollars, rounded up."""
        written = math.ceil(self.nano_usd_per_token * self.completion_tokens)
        return min(self.base_nano_usd + written, NANO_USD_MAX)

    @property
    def tokens(self) -> int:
        """How many tokens it may read and write."""
        tokens = self.base_tokens + self.tokens_per_token * self.completion_tokens
        return min(tokens, TOKENS_MAX)

    def lowered(self, completion_tokens: int) -> Reserve:
        """Return the worst case of an answer that is limited to this many tokens."""
        if not self.is_lowerable or self.completion_tokens <= completion_tokens:
            return self
        return replace(self, completion_tokens=completion_tokens)


NOTHING: Final = Reserve()


def lower(
    reserves: Sequence[Reserve], *, nano_usd: int | None = None, tokens: int | None = None
) -> list[Reserve] | None:
    """Return reserves with fewer completion tokens, so that all of them fit together.

    All are limited to the same number of tokens, the largest that fits; shorter ones stay as they
    are.

    Args:
        reserves: The worst case of each generation.
        nano_usd: What is left of the budget; None if there is no budget.
        tokens: How many tokens are left; None if tokens are not limited.

    Returns:
        The lowered reserves; None if an answer would have fewer than USEFUL_TOKENS, or if nothing
        changes.
    """
    lowest, highest = USEFUL_TOKENS, max((r.completion_tokens for r in reserves), default=0)
    if lowest > highest or not _fit([r.lowered(lowest) for r in reserves], nano_usd, tokens):
        return None
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        if _fit([r.lowered(middle) for r in reserves], nano_usd, tokens):
            lowest = middle
        else:
            highest = middle - 1
    found = [reserve.lowered(lowest) for reserve in reserves]
    return None if found == list(reserves) else found


def _fit(reserves: Sequence[Reserve], nano_usd: int | None, tokens: int | None) -> bool:
    fits = nano_usd is None or sum(reserve.nano_usd for reserve in reserves) <= nano_usd
    return fits and (tokens is None or sum(reserve.tokens for reserve in reserves) <= tokens)
