"""What a caller and the ledger get of a generation that has ended. Pure."""

from __future__ import annotations

from typing import Any, Final

from .. import limits
from ..callable import CallableError, encode
from ..contract import response_format
from ..errors import UpstreamError
from ..features import AppSettings, Feature, Notices
from ..files import images, length
from ..ledger import AttemptRecord, OpenEntry, Outcome, Status
from ..models import CHARS_PER_TOKEN, is_free
from ..openrouter import AttemptLog, ChatRequest, Usage, nano_usd
from .active import ActiveGeneration, AdmittedGeneration
from .tool_turns import told

THOUGHTS_NOT_KEPT: Final = {
    "reason": "reasoning_not_kept",
    "message": "The model thought too long for it to be sent back: it goes on without.",
}


def reserve(models: list[str], app: AppSettings) -> int:
    """What to hold of the day's budget, in nano dollars: nothing for free models."""
    free = app.free_models_only or all(
        map(is_free, models)
    )  # of others `ModelChoice` let none through
    return 0 if free else nano_usd(app.limits.reserve_usd)


def build_result(job: AdmittedGeneration, status: Status) -> dict[str, Any]:
    """What the caller gets (docs/wire.md)."""
    running, ask, feature, entry = job.running, job.ask, job.feature, job.entry
    answer = running.answer
    if running.kept is not None:
        return _formed(_again(running, running.kept, feature), ask)
    text, reasoning = running.written()
    usage = running.usage()
    if usage is None:  # cut, stopped or never begun: what was sent and written is what we know
        asked = (
            sum(length(message["content"]) for message in ask.messages)
            if running.tries.attempts
            else 0
        )
        usage = Usage(asked // CHARS_PER_TOKEN, (len(text) + len(reasoning)) // CHARS_PER_TOKEN)
    finished = answer.finish_reason if answer and status == "done" else "stopped"
    result = {
        "generationId": running.id,
        **running.place(),
        "feature": feature.id,
        "revision": feature.revision,
        "model": answer.model if answer else ask.models[0],
        "provider": answer.provider if answer else None,
        "text": text,
        "reasoning": reasoning or None,
        "toolCalls": [told(call, ask.tools) for call in answer.tool_calls] or None
        if answer
        else None,
        "reasoningDetails": (answer.reasoning_details or None) if answer else None,
        "citations": (answer.citations or None) if answer else None,
        "images": running.drawn.all or None,
        "finishReason": finished,
        "usage": usage.to_wire(estimate_nano_usd=_spent_estimate(running, entry)),
        "timing": _timing(running),
        "cached": False,
        "notices": _notices(running) or None,
        "attempts": [
            {name: value for name, value in (("model", a.model), ("reason", a.reason)) if value}
            for a in running.tries.attempts
        ],
    }
    return _formed({n: value for n, value in result.items() if value is not None}, ask)


def minimal_result(job: AdmittedGeneration) -> dict[str, Any]:
    """Of an answer that no result can be made of: what its entry is settled with."""
    running = job.running
    usage = running.usage() or Usage(0, 0)
    return {
        "generationId": running.id,
        **running.place(),
        "model": job.ask.models[0],
        "text": running.text(),
        "usage": usage.to_wire(estimate_nano_usd=_spent_estimate(running, job.entry)),
        "timing": _timing(running),
    }


def _notices(running: ActiveGeneration) -> Notices:
    lost = running.answer is not None and running.answer.reasoning_details_too_long
    return [*running.notices, *([THOUGHTS_NOT_KEPT] if lost else [])]


def _formed(result: dict[str, Any], ask: ChatRequest) -> dict[str, Any]:
    """With the JSON that a whole answer is, or the notice that it is none."""
    if result["finishReason"] not in ("stop", "length"):
        return result
    found = response_format.told(result["text"], ask.format)
    notice = found.pop("notice", None)
    notices = [*result.get("notices", []), notice] if notice else None
    return {**result, **found, **({"notices": notices} if notices else {})}


def _again(running: ActiveGeneration, kept: dict[str, Any], feature: Feature) -> dict[str, Any]:
    """An answer that was kept: nothing was asked, nothing is billed."""
    usage = {n: v for n, v in kept["usage"].items() if n != "costIsEstimate"}
    return {
        **kept,
        "generationId": running.id,
        **running.place(),
        "feature": feature.id,
        "revision": feature.revision,
        "usage": {**usage, "cost": 0.0},
        "timing": _timing(running),
        "cached": True,
        **({"images": drawn} if (drawn := running.drawn.all) else {}),
        **({"notices": running.notices} if running.notices else {}),
        "attempts": [],
    }


def _timing(running: ActiveGeneration) -> dict[str, int]:
    timing = {"firstTokenMs": running.first_token_ms, "totalMs": running.elapsed_ms()}
    return {name: value for name, value in timing.items() if value is not None}


def _spent_estimate(running: ActiveGeneration, entry: OpenEntry) -> int:
    """Without a word from OpenRouter: nothing was spent if nothing was sent."""
    return entry.admission.reserve_nano_usd if running.tries.attempts else 0


def build_outcome(
    running: ActiveGeneration,
    entry: OpenEntry,
    status: Status,
    failure: CallableError | None,
    result: dict[str, Any],
) -> Outcome:
    """How the ledger's entry ends."""
    answer, usage = running.answer, running.usage()
    reported = usage.cost_nano_usd if usage else None
    refused = isinstance(failure, UpstreamError) and answer is None
    if reported is None and (refused or not _spent_estimate(running, entry)):
        reported = 0  # no answer began: OpenRouter does not charge for those
    spent = [reported, *(aside.cost_nano_usd for aside in running.asides)]
    if not entry.admission.reserve_nano_usd:
        spent = [cost or 0 for cost in spent]  # of free models: none of it is ever billed
    gone = running.thread is not None and running.thread.deleted  # with all that was said in it
    repeatable = running.lasts(entry) and not (failure or gone)
    stored = images.kept(response_format.kept(result))
    kept = repeatable and len(encode(stored)) <= limits.RESULT_MAX_BYTES
    return Outcome(
        status=status,
        model=result["model"],
        provider=result.get("provider"),
        finish_reason=result.get("finishReason") if failure is None else None,
        error=failure.reason if failure else None,
        usage=result["usage"],
        cost_nano_usd=None if None in spent else sum(cost for cost in spent if cost),
        timing=result["timing"],
        attempts=all_attempts(running),
        result=stored if kept else None,
    )


def all_attempts(running: ActiveGeneration) -> list[AttemptRecord]:
    """All of them as the ledger keeps them: the answer's, then those beside it."""
    beside = [
        noted for aside in running.asides for noted in attempt_records(aside.tries, aside.purpose)
    ]
    return [*attempt_records(running.tries), *beside]


def attempt_records(tries: AttemptLog, purpose: str | None = None) -> list[AttemptRecord]:
    """Each attempt as the ledger keeps it."""
    return [
        AttemptRecord(a.model, a.upstream_id, a.reason, a.key_version, purpose)
        for a in tries.attempts
    ]
