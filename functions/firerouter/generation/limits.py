"""Limits of generations: durations, sizes, concurrency."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import limits
from ..files import BYTES_PER_TOKEN_MIN
from ..ledger import LedgerLimits


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """How much of a conversation a model is sent."""

    history_max_bytes: int = 256_000  # of earlier messages: some 64,000 tokens
    context_default_tokens: int = 8_192  # of a model that the catalog does not know
    answer_default_tokens: int = 1_024  # reserved for the answer if the feature sets no maximum
    bytes_per_token_min: int = BYTES_PER_TOKEN_MIN  # of UTF-8, where something has to fit


@dataclass(frozen=True, slots=True)
class GenerationLimits:
    """The bounds of `generation`, with the unit last in each name."""

    # One generation
    total_s: float = limits.TOTAL_S
    listeners_max: int = 5  # of one answer: the same request again, tabs and devices that resume
    question_wait_s: float = 1.0  # an answer waits this long for its question to be stored
    settle_s: float = LedgerLimits().settle_before_result_s  # storing what precedes the result
    result_max_bytes: int = 700_000  # a stored result: a document holds at most 1 MiB
    partial_json_every_s: float = 0.25
    partial_json_max_chars: int = 100_000  # of a longer answer, no more JSON is streamed

    prompts: PromptLimits = field(default_factory=PromptLimits)

    # Titles and summaries, by the helper model
    helper_call_s: float = 20.0  # one call, its retries included
    helper_wait_s: float = 1.0  # a finished answer waits this long for the helper model
    title_after_s: float = 1.0  # from the start of a first answer, so that there is text to read
    title_reads_max_chars: int = 2_000  # of the question, and of its answer
    title_max_tokens: int = 200  # some models reason first
    summary_max_tokens: int = 1_500
    summary_max_chars: int = 6_000

    # Comparisons
    judge_reads_max_chars: int = 60_000  # of the question and all answers

    # Embeddings
    batch_inputs: int = 128  # of one request to OpenRouter
    batch_chars: int = 500_000
    token_max_chars: int = 8  # an upper bound of the characters of a token, in any language

    # The reconciler, which runs every five minutes
    reconcile_s: float = 60.0  # after that, it starts nothing more
    reconcile_end_s: float = 45.0  # to finish what it has started; both fit into 120 s
    reconcile_page: int = 100  # entries read at a time
    results_page: int = 300  # results removed by one commit
    reconcile_at_once: int = 4  # entries at a time
    rescue_s: float = 3600.0  # after admission; then an entry is closed without its answer
    cost_pause_s: float = 240.0  # before an unknown cost is requested again; it grows with time
    cost_sought_s: float = 86_400.0  # after the answer's end; then the estimate stands
