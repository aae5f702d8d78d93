"""What `GET /generation` says of an answer after the fact: its tokens, and what was charged. Pure.

Told for answers that were stopped, cut or never read to their end as well; known a while after the
answer's end, and a 404 until then.
"""

from __future__ import annotations

from typing import Any

from ..errors import UpstreamMalformed
from .usage import Usage, read_count, read_price


def read_generation(document: Any) -> Usage:
    """The body of `GET /generation`; its cost is never None. Raises UpstreamMalformed."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise UpstreamMalformed
    cost = read_price(data.get("total_cost"))
    if cost is None:
        raise UpstreamMalformed
    return Usage(
        prompt_tokens=_tokens(data, "prompt") or 0,
        completion_tokens=_tokens(data, "completion") or 0,
        reasoning_tokens=read_count(data.get("native_tokens_reasoning")),
        cached_tokens=read_count(data.get("native_tokens_cached")),
        cost_nano_usd=cost,
    )


def _tokens(data: dict[str, Any], kind: str) -> int | None:
    """By the model's own tokenizer, as in `usage`; else by the one that all are compared by."""
    native = read_count(data.get(f"native_tokens_{kind}"))
    return read_count(data.get(f"tokens_{kind}")) if native is None else native
