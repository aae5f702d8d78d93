"""The response of `GET /generation`: an answer's tokens, and what was charged. Pure.

It also covers answers that were stopped, cut off or never read to their end. OpenRouter has it some
time after the answer's end, and returns 404 until then.
"""

from __future__ import annotations

from ..errors import UpstreamMalformed
from .json_fields import Json, as_count, as_object
from .usage import Usage, read_price


def read_generation(document: object) -> Usage:
    """Read the body of `GET /generation`. Its cost is never None. Raises UpstreamMalformed."""
    data = as_object(as_object(document).get("data"))
    cost = read_price(data.get("total_cost"))
    if cost is None:
        raise UpstreamMalformed
    return Usage(
        prompt_tokens=_read_tokens(data, "prompt") or 0,
        completion_tokens=_read_tokens(data, "completion") or 0,
        reasoning_tokens=as_count(data.get("native_tokens_reasoning")),
        cached_tokens=as_count(data.get("native_tokens_cached")),
        cost_nano_usd=cost,
    )


def _read_tokens(data: Json, kind: str) -> int | None:
    """Return the count of the model's own tokenizer, as in `usage`, or else OpenRouter's count."""
    native = as_count(data.get(f"native_tokens_{kind}"))
    return as_count(data.get(f"tokens_{kind}")) if native is None else native
