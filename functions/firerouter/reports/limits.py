"""What reports may take: entries counted at a time, documents read, seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """The bounds of `reports`, with the unit last in each name."""

    # Roll-ups, which are made every five minutes
    roll_up_s: float = 200.0  # then no further page is read
    roll_page_entries: int = 500  # counted in one commit
    roll_increments_max: int = 450  # of one document in one commit: Firestore allows 500
    roll_read_s: float = 20.0  # one page of entries
    roll_commit_s: float = 30.0  # one commit; both, and `roll_up_s`, inside the function's 300 s
    roll_overlap_s: float = 120.0  # a commit's time is known so much before the commit is seen
    roll_pause_s: float = 0.2  # at most, before a page is read again that was counted elsewhere
