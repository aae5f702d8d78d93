"""The response of `GET /generation`: an answer's tokens, and what was charged. Pure.

It also covers answers that were stopped, cut off or never read to their end. OpenRouter has it
shortly after the answer's end, and returns 404 until then.
"""

from __future__ import annotations

from ..errors import UpstreamMalformed
from .json_fields import Json, as_object
from .usage import Usage, read_cost, read_price, read_tokens


def read_generation(document: object) -> Usage:
    """Read the body of `GET /generation`. Raises UpstreamMalformed.

    Its cost is None if a provider billed the owner's own key but the amount is not reported.
    """
    data = as_object(as_object(document).get("data"))
    charged = data.get("total_cost")
    if read_price(charged) is None:
        raise UpstreamMalformed
    cost, byok = read_cost(charged, data.get("is_byok"), data.get("upstream_inference_cost"))
    return Usage(
        prompt_tokens=_read_tokens(data, "prompt") or 0,
        completion_tokens=_read_tokens(data, "completion") or 0,
        reasoning_tokens=read_tokens(data.get("native_tokens_reasoning")),
        cached_tokens=read_tokens(data.get("native_tokens_cached")),
        cost_nano_usd=cost,
        byok_nano_usd=byok,
    )


def _read_tokens(data: Json, kind: str) -> int | None:
    """Return the count of the model's own tokenizer, like `usage`, or else OpenRouter's count."""
    native = read_tokens(data.get(f"native_tokens_{kind}"))
    return read_tokens(data.get(f"tokens_{kind}")) if native is None else native
