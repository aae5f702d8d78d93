"""Which calls of the helper model go beside an answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..conversations import Thread
from ..features import FREE_MODEL, FeatureSettings
from .limits import GenerationLimits


@dataclass(frozen=True, slots=True)
class HelperPlan:
    """The calls beside one answer, and the most that they read and write together.

    Attributes:
        model: The helper model; None if it is not called.
        prompt_chars: What it reads.
        completion_tokens: What it may write.
        calls: How often it is called.
    """

    model: str | None = None
    prompt_chars: int = 0
    completion_tokens: int = 0
    calls: int = 0


def helper_plan(
    settings: FeatureSettings, thread: Thread | None, limits: GenerationLimits
) -> HelperPlan:
    """Return what is called beside the answer: for a title, for a summary, or for nothing."""
    read = written = calls = 0
    if wants_title(settings, thread):
        read += 2 * limits.title_reads_max_chars
        written += limits.title_max_tokens
        calls += 1
    if thread is not None and thread.to_summarize:
        read += sum(len(turn.text) for turn in thread.to_summarize)
        read += len(thread.summary.text) if thread.summary else 0
        written += limits.summary_max_tokens
        calls += 1
    if not calls:
        return HelperPlan()
    return HelperPlan(settings.helper_model or FREE_MODEL, read, written, calls)


def wants_title(settings: FeatureSettings, thread: Thread | None) -> bool:
    """Return whether the helper model is to name the conversation."""
    if thread is None or settings.titles != "model":
        return False
    return thread.place.is_new and thread.place.persisted
