"""What the ledger may take: seconds of Firestore, days that documents are kept."""

from __future__ import annotations

from dataclasses import dataclass

from .. import limits


@dataclass(frozen=True, slots=True)
class LedgerLimits:
    """The bounds of `ledger`, with the unit last in each name."""

    admit_s: float = 8.0  # one commit that admits, gives back, closes or corrects
    undo_pauses_s: tuple[float, ...] = (0.5, 2.0, 8.0)  # before each look for a lost admission
    note_after_s: float = 0.5  # a generation that ends sooner notes its attempts with its end
    note_s: float = 5.0  # one commit of a note
    settle_s: float = 30.0  # all tries to settle; after them the reconciler has to
    settle_pause_s: float = 0.5  # between two of them
    settle_before_result_s: float = 3.0  # after the response Cloud Run may stop the CPU

    run_s: float = limits.TOTAL_S  # that an instance may work on one generation
    queued_max_s: float = 120.0  # that a task may take to arrive; later it counts as lost

    entry_ttl_days: int = 90
    window_ttl_days: int = 2
