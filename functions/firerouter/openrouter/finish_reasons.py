"""Why a model stopped writing, in the words of OpenRouter and of the providers behind it. Pure.

OpenRouter translates its providers' reasons into five of its own, but not all of them: some arrive
as the provider wrote them. A reason that means nothing here does not mean that the answer is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import StreamCut, UpstreamError
from .failures import from_finish_reason

_MEANINGS: Final[Mapping[str, frozenset[str]]] = {
    "stop": frozenset(
        {
            *("stop", "stop_sequence", "stop_token", "end", "end_turn", "eos", "eos_token"),
            *("complete", "completed", "finished"),
        }
    ),
    "length": frozenset(
        {
            *("length", "max_length", "model_length", "max_tokens", "max_output_tokens"),
            *("max_completion_tokens", "token_limit", "output_limit"),
            *("model_context_window_exceeded", "context_window_exceeded"),
        }
    ),
    "tool_calls": frozenset(
        {"tool_calls", "tool_call", "tool_use", "function_call", "function_calls"}
    ),
    "content_filter": frozenset(
        {
            *("content_filter", "content_filtered", "guardrail_intervened", "refusal", "safety"),
            *("unsafe", "recitation", "blocklist", "blocked", "prohibited_content", "spii"),
            *("sensitive", "moderation", "image_safety", "image_prohibited_content"),
            "image_recitation",
        }
    ),
}
_GOES_ON: Final = frozenset({"", "null", "none"})  # in place of null, in each chunk


def read_finish_reason(reason: object) -> str | UpstreamError | None:
    """Return the finish reason of a result, or the failure that it is; None if the answer goes on.

    Args:
        reason: The `finish_reason` of a choice, whatever it holds.
    """
    if not isinstance(reason, str):
        return None
    word = reason.strip().lower().replace("-", "_").removeprefix("finish_reason_")
    if word in _GOES_ON:
        return None
    meaning = next((meaning for meaning, words in _MEANINGS.items() if word in words), None)
    return meaning or from_finish_reason(word) or StreamCut()
