"""What the caller and the ledger get when a generation has ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from ..callable import encode
from ..contract import (
    Notice,
    PromptResult,
    Timing,
    result_fields,
    to_stored,
)
from ..errors import UpstreamError
from ..files import without_image_data
from ..ledger import Outcome, Status
from ..models import CHARS_PER_TOKEN
from ..openrouter import Answer, Usage, total
from .answer import AdmittedGeneration, AnswerOutcome, all_attempts
from .attempts import infos_of
from .cache import CachedAnswer
from .exits import Ending
from .limits import GenerationLimits
from .prompts import count_chars
from .tool_turns import to_client

REASONING_NOT_KEPT: Final[Notice] = {
    "reason": "reasoning_not_kept",
    "message": "The model's reasoning was too long to send back. The model continues without it.",
}
FINISHED: Final = frozenset({"stop", "length"})


# -- for the caller --------------------------------------------------------------------------------


def build_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, status: Status
) -> PromptResult:
    """Return what the caller gets for a generation that ended with `status`."""
    if outcome.cached is not None:
        result = _cached_result(generation, outcome, outcome.cached)
    else:
        result = _answer_result(generation, outcome, status)
    return _with_json(generation, result)


def minimal_result(generation: AdmittedGeneration, outcome: AnswerOutcome) -> PromptResult:
    """Return what a generation is settled with if building its result failed."""
    usage = usage_of(outcome) or Usage(0, 0)
    answer = outcome.answer
    result = {
        **_ids(generation),
        "model": generation.prepared.upstream.models[0],
        "text": outcome.cached["text"] if outcome.cached else answer.text if answer else "",
        "usage": usage.to_wire(estimate_nano_usd=_spent_estimate(generation, outcome)),
        "timing": _timing(outcome),
    }
    return cast(PromptResult, result)


def _answer_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, status: Status
) -> PromptResult:
    answer, upstream = outcome.answer, generation.prepared.upstream
    usage = usage_of(outcome) or _guessed_usage(generation, outcome)
    lost = answer is not None and answer.reasoning_details_too_long
    notices = [*outcome.notices, *([REASONING_NOT_KEPT] if lost else [])]
    result = {
        **_ids(generation),
        "model": answer.model if answer else upstream.models[0],
        "provider": answer.provider if answer else None,
        "text": answer.text if answer else "",
        **(_beside_text(answer, upstream.tool_names) if answer else {}),
        "images": [image.to_wire() for image in outcome.images] or None,
        "finishReason": answer.finish_reason if answer and status == "done" else "stopped",
        "usage": usage.to_wire(estimate_nano_usd=_spent_estimate(generation, outcome)),
        "timing": _timing(outcome),
        "cached": False,
        "notices": notices or None,
        "attempts": infos_of(outcome.attempts),
    }
    return cast(PromptResult, {name: value for name, value in result.items() if value is not None})


def _beside_text(answer: Answer, tools: frozenset[str]) -> dict[str, object]:
    return {
        "reasoning": answer.reasoning or None,
        "toolCalls": [to_client(call, tools) for call in answer.tool_calls] or None,
        "reasoningDetails": answer.reasoning_details or None,
        "citations": answer.citations or None,
    }


def _cached_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, cached: CachedAnswer
) -> PromptResult:
    """Return the result of a cached answer: OpenRouter was not called, so nothing is billed."""
    usage = {n: v for n, v in cached["usage"].items() if n != "costIsEstimate"}
    images = [image.to_wire() for image in outcome.images]
    result = {
        **cached,
        **_ids(generation),
        "usage": {**usage, "cost": 0.0},
        "timing": _timing(outcome),
        "cached": True,
        **({"images": images} if images else {}),
        **({"notices": list(outcome.notices)} if outcome.notices else {}),
        "attempts": [],
    }
    return cast(PromptResult, result)


def _with_json(generation: AdmittedGeneration, result: PromptResult) -> PromptResult:
    """Add the JSON value of a complete answer, or a notice that it is not valid."""
    if result["finishReason"] not in FINISHED:
        return result
    found = result_fields(result["text"], generation.prepared.upstream.response_format)
    notice = found.pop("notice", None)
    notices = [*result.get("notices", []), notice] if notice else None
    return cast(PromptResult, {**result, **found, **({"notices": notices} if notices else {})})


def _ids(generation: AdmittedGeneration) -> dict[str, object]:
    feature, thread = generation.prepared.feature, generation.prepared.thread
    return {
        "generationId": generation.active.id,
        **(thread.place.ids() if thread else {}),
        "feature": feature.id,
        "revision": feature.revision,
    }


def _timing(outcome: AnswerOutcome) -> Timing:
    if outcome.first_token_ms is None:
        return {"totalMs": outcome.total_ms}
    return {"firstTokenMs": outcome.first_token_ms, "totalMs": outcome.total_ms}


# -- what it cost ----------------------------------------------------------------------------------


def usage_of(outcome: AnswerOutcome) -> Usage | None:
    """Return the usage of all answers together; None if OpenRouter did not report all of it."""
    answers = [answer for answer in (outcome.replaced, outcome.answer) if answer]
    if any(attempt.reason == "stopped" for attempt in outcome.attempts):
        return None  # it may be charged without being reported
    known = [answer.usage for answer in answers if answer.usage is not None]
    if not known or len(known) < len(answers):
        return None
    if len(known) == 1:
        return known[0]
    unpriced = any(usage.cost_nano_usd is None for usage in known)
    return replace(total(known), cost_nano_usd=None) if unpriced else total(known)


def _guessed_usage(generation: AdmittedGeneration, outcome: AnswerOutcome) -> Usage:
    """Estimate the tokens of an answer that was cut off, stopped or never begun."""
    sent = sum(map(count_chars, outcome.upstream.messages)) if outcome.attempts else 0
    answer = outcome.answer
    written = len(answer.text) + len(answer.reasoning) if answer else 0
    return Usage(sent // CHARS_PER_TOKEN, written // CHARS_PER_TOKEN)


def _spent_estimate(generation: AdmittedGeneration, outcome: AnswerOutcome) -> int:
    """Return the cost to assume if OpenRouter reports none: nothing if nothing was sent."""
    return generation.entry.admission.reserve_nano_usd if outcome.attempts else 0


# -- for the ledger --------------------------------------------------------------------------------


def build_outcome(
    generation: AdmittedGeneration,
    outcome: AnswerOutcome,
    ending: Ending,
    result: PromptResult,
    limits: GenerationLimits,
) -> Outcome:
    """Return how the ledger entry ends."""
    failure = ending.failure
    return Outcome(
        status=ending.status,
        model=result["model"],
        provider=result.get("provider"),
        finish_reason=result.get("finishReason") if failure is None else None,
        error=failure.reason if failure else None,
        usage=result["usage"],
        cost_nano_usd=_cost(generation, outcome, ending),
        timing=result["timing"],
        attempts=tuple(all_attempts(outcome)),
        result=_stored_result(generation, ending, result, limits),
    )


def _cost(generation: AdmittedGeneration, outcome: AnswerOutcome, ending: Ending) -> int | None:
    """Return what the generation cost in total, in nano dollars; None if it is not known."""
    usage = usage_of(outcome)
    reported = usage.cost_nano_usd if usage else None
    refused = isinstance(ending.failure, UpstreamError) and outcome.answer is None
    if reported is None and (refused or not _spent_estimate(generation, outcome)):
        reported = 0  # no answer began, and OpenRouter does not charge for that
    spent = [reported, *(call.cost_nano_usd for call in outcome.helper_calls)]
    if not generation.entry.admission.reserve_nano_usd:
        return sum(cost or 0 for cost in spent)  # the models are free: nothing is ever billed
    known = [cost for cost in spent if cost is not None]
    return sum(known) if len(known) == len(spent) else None


def _stored_result(
    generation: AdmittedGeneration,
    ending: Ending,
    result: PromptResult,
    limits: GenerationLimits,
) -> Mapping[str, object] | None:
    """Return the result as the ledger stores it for a repeated request; None if it does not."""
    writer = generation.writer
    deleted = writer is not None and writer.deleted  # including its content
    if ending.failure or deleted or not generation.keeps_result:
        return None
    stored = without_image_data(to_stored(result))
    return stored if len(encode(stored)) <= limits.result_max_bytes else None
