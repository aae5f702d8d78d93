"""Limits of the ledger: how long commits may take, and when documents expire."""

from __future__ import annotations

from dataclasses import dataclass

from .. import limits


@dataclass(frozen=True, slots=True)
class LedgerLimits:
    """The bounds of `ledger`, with the unit last in each name."""

    admit_s: float = 8.0  # one commit that admits, undoes that, closes or corrects
    undo_pauses_s: tuple[float, ...] = (0.5, 2.0, 8.0)  # before each search for a lost admission
    note_after_s: float = 0.5  # a generation that ends sooner records its attempts when it ends
    note_s: float = 5.0  # one commit of a note
    settle_s: float = 30.0  # all attempts to settle; after that, the reconciler does it
    settle_pause_s: float = 0.5  # between two of them
    settle_before_result_s: float = 3.0  # after the response, Cloud Run may throttle the CPU

    run_s: float = limits.TOTAL_S  # how long an instance may work on one generation
    queued_max_s: float = 120.0  # how long a task may take to arrive; then it counts as lost

    entry_ttl_days: int = 90
    window_ttl_days: int = 2
