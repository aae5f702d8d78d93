"""What the caller and the ledger get when a generation has ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

from ..callable import CallableError, encode
from ..contract import (
    Notice,
    PromptResult,
    Timing,
    Usage,
    result_fields,
    to_stored,
)
from ..files import without_image_data
from ..ledger import AttemptRecord, Outcome, Status, cost_of_all
from ..openrouter import Answer, nano_usd
from .answer import AdmittedGeneration, AnswerOutcome
from .attempts import infos_of
from .cache import CachedAnswer
from .exits import Ending, failed_outcome, unforeseen
from .limits import GenerationLimits
from .prices import tokens_of_all, usage_of
from .tool_turns import to_client

REASONING_NOT_KEPT: Final[Notice] = {
    "reason": "reasoning_not_kept",
    "message": "The model's reasoning was too long to send back. The model continues without it.",
}
NO_TEXT: Final[Mapping[str, str]] = {
    "length": "The model used up its length limit before it wrote an answer. Allow it more tokens, "
    "or less reasoning.",
    "content_filter": "The model's content filter left nothing of its answer.",
    "stop": "The model ended after its reasoning, without an answer. Please ask again.",
}
"""Why an answer has no text, by finish reason."""
COST_FIELDS: Final = frozenset({"cost", "costIsEstimate", "costDetails"})  # of a usage
FINISHED: Final = frozenset({"stop", "length"})


class Run(Protocol):
    """The run of an answer that has ended: `answer.AnswerRun`."""

    def outcome(self) -> AnswerOutcome: ...
    def remains(self) -> AnswerOutcome: ...
    def records(self) -> list[AttemptRecord]: ...


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What comes of a generation that has ended.

    Attributes:
        ending: How it ended: as failed, if no result can be made of its answer.
        answered: What there is of the answer.
        result: The result, as its conversation and the cache hold it.
        told: The result as its caller gets it.
        outcome: How its ledger entry ends, unless its texts are deleted meanwhile.
    """

    ending: Ending
    answered: AnswerOutcome
    result: PromptResult
    told: PromptResult
    outcome: Outcome


def conclude(
    generation: AdmittedGeneration, run: Run, ending: Ending, limits: GenerationLimits
) -> Conclusion:
    """Return what comes of a generation. Whatever is wrong with its answer, it can be settled."""
    try:
        answered = run.outcome()
        result = build_result(generation, answered, ending.status)
        told = with_remaining(result, generation)
        outcome = build_outcome(generation, answered, ending, told, limits)
    except Exception as error:
        return _conclude_failed(generation, run, unforeseen(error, generation.active.trace_id))
    return Conclusion(ending, answered, result, told, outcome)


def _conclude_failed(
    generation: AdmittedGeneration, run: Run, failure: CallableError
) -> Conclusion:
    """Return what comes of a generation without a result: at what it cost, if that is known."""
    answered = run.remains()

    def price() -> tuple[Usage, list[AttemptRecord]]:
        records = run.records()
        return usage_of(tokens_of_all(answered.attempts).to_wire(), records), records

    outcome = failed_outcome(generation.entry, failure, price, trace_id=generation.active.trace_id)
    result = minimal_result(generation, answered, cast(Usage, outcome.usage))
    return Conclusion(Ending("failed", failure), answered, result, result, outcome)


# -- for the caller --------------------------------------------------------------------------------


def build_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, status: Status
) -> PromptResult:
    """Return what the caller gets for a generation that ended with `status`."""
    if outcome.cached is not None:
        result = _cached_result(generation, outcome, outcome.cached)
    else:
        result = _answer_result(generation, outcome, status)
    return _with_json(outcome, result)


def minimal_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, usage: Usage
) -> PromptResult:
    """Return what a generation is settled with where no result can be made of its answer."""
    answer = outcome.answer
    result = {
        **_ids(generation),
        "model": generation.prepared.upstream.models[0],
        "text": outcome.cached["text"] if outcome.cached else answer.text if answer else "",
        "usage": usage,
        "timing": _timing(outcome),
    }
    return cast(PromptResult, result)


def _answer_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, status: Status
) -> PromptResult:
    answer, upstream = outcome.answer, generation.prepared.upstream
    notices = [*outcome.notices, *_notices_of(answer)]
    result = {
        **_ids(generation),
        "model": answer.model if answer else upstream.models[0],
        "provider": answer.provider if answer else None,
        "text": answer.text if answer else "",
        **(_beside_text(answer, upstream.tool_names) if answer else {}),
        "images": [image.to_wire() for image in outcome.images] or None,
        "finishReason": _finish_reason(answer, status),
        "usage": _usage(outcome),
        "timing": _timing(outcome),
        "cached": False,
        "notices": notices or None,
        "attempts": infos_of(outcome.attempts, for_admin=generation.prepared.feature.test),
    }
    return cast(PromptResult, {name: value for name, value in result.items() if value is not None})


def _finish_reason(answer: Answer | None, status: Status) -> str | None:
    """Return why the answer ended; None if it failed, for then the model gave no reason."""
    if status == "stopped":
        return "stopped"
    return answer.finish_reason if answer and status == "done" else None


def _notices_of(answer: Answer | None) -> Iterator[Notice]:
    """Yield what the caller should know of an answer of OpenRouter's."""
    if answer is None:
        return
    if answer.reasoning_details_too_long:
        yield REASONING_NOT_KEPT
    why = NO_TEXT.get(answer.finish_reason or "")
    if why and not (answer.text.strip() or answer.tool_calls or answer.images.count):
        yield {"reason": "no_text", "message": why}


def _beside_text(answer: Answer, tools: frozenset[str]) -> dict[str, object]:
    return {
        "refusal": answer.refusal or None,
        "reasoning": answer.reasoning or None,
        "toolCalls": [to_client(call, tools) for call in answer.tool_calls] or None,
        "reasoningDetails": answer.reasoning_details or None,
        "citations": answer.citations or None,
    }


def _cached_result(
    generation: AdmittedGeneration, outcome: AnswerOutcome, cached: CachedAnswer
) -> PromptResult:
    """Nothing was asked for the answer, so that nothing is billed but what is beside it."""
    tokens = {name: count for name, count in cached["usage"].items() if name not in COST_FIELDS}
    usage = usage_of(tokens, outcome.records)
    images = [image.to_wire() for image in outcome.images]
    result = {
        **cached,
        **_ids(generation),
        "usage": usage,
        "timing": _timing(outcome),
        "cached": True,
        **({"images": images} if images else {}),
        **({"notices": list(outcome.notices)} if outcome.notices else {}),
        "attempts": [],
    }
    return cast(PromptResult, result)


def _with_json(outcome: AnswerOutcome, result: PromptResult) -> PromptResult:
    """Add the JSON value of a complete answer, or a notice that it is not valid."""
    if result.get("finishReason") not in FINISHED:
        return result
    found = result_fields(outcome.parsed)
    notice = found.pop("notice", None)
    notices = [*result.get("notices", []), notice] if notice else None
    return cast(PromptResult, {**result, **found, **({"notices": notices} if notices else {})})


def _ids(generation: AdmittedGeneration) -> dict[str, object]:
    feature, thread = generation.prepared.feature, generation.prepared.thread
    return {
        "generationId": generation.active.id,
        **(thread.place.ids() if thread else {}),
        "feature": feature.id,
        **({} if feature.unsaved else {"revision": feature.revision}),
    }


def _timing(outcome: AnswerOutcome) -> Timing:
    if outcome.first_token_ms is None:
        return {"totalMs": outcome.total_ms}
    return {"firstTokenMs": outcome.first_token_ms, "totalMs": outcome.total_ms}


def with_remaining(result: PromptResult, generation: AdmittedGeneration) -> PromptResult:
    """Add what is left of the user's limits, once this generation has been paid for."""
    remaining, reserve = generation.remaining, generation.entry.admission.reserve
    if remaining is None:
        return result
    spent = nano_usd(result["usage"].get("cost") or 0)
    used = 0 if result.get("cached") else result["usage"]["totalTokens"]
    left = remaining.after(
        unspent_nano_usd=reserve.nano_usd - spent, unused_tokens=reserve.tokens - used
    )
    return cast(PromptResult, {**result, "remaining": left.to_wire()})


# -- what it cost ----------------------------------------------------------------------------------


def _usage(outcome: AnswerOutcome) -> Usage:
    """Return the tokens of all attempts for the answer, and what they cost, helper calls too."""
    return usage_of(tokens_of_all(outcome.attempts).to_wire(), outcome.records)


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
    cost = cost_of_all(outcome.records)
    return Outcome(
        status=ending.status,
        model=result["model"],
        provider=result.get("provider"),
        finish_reason=result.get("finishReason") if failure is None else None,
        error=failure.reason if failure else None,
        usage=result["usage"],
        cost_nano_usd=cost.nano_usd,
        cost_is_estimate=cost.is_estimate,
        timing=result["timing"],
        attempts=outcome.records,
        result=_stored_result(generation, ending, result, limits),
        retention=generation.prepared.app.retention,
    )


def _stored_result(
    generation: AdmittedGeneration,
    ending: Ending,
    result: PromptResult,
    limits: GenerationLimits,
) -> Mapping[str, object] | None:
    """Return the result as the ledger keeps it for a repetition of the request, if it does."""
    if ending.failure or generation.texts_erased or not generation.keeps_result:
        return None
    stored = without_image_data(to_stored(result))
    return stored if len(encode(stored)) <= limits.result_max_bytes else None
