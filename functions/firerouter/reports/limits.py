"""What reports may take: entries counted at a time, documents read, seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """The bounds of `reports`, with the unit last in each name."""

    # Roll-ups, which are made every five minutes
    roll_up_s: float = 200.0  # after this, no further page is read
    roll_page_entries: int = 500  # counted in one commit
    roll_increments_max: int = 450  # of one document in one commit: Firestore allows 500
    roll_read_s: float = 20.0  # one page of entries
    roll_commit_s: float = 30.0  # one commit; the three together fit into the function's 300 s
    roll_overlap_s: float = 120.0  # a commit may become visible this long after its time
    roll_pause_s: float = 0.2  # at most, before re-reading a page that another run counted

    # Erasing and exporting a user's data
    erase_s: float = 200.0  # after this, nothing more is begun: the next call continues
    erase_end_s: float = 40.0  # to finish what was begun; both fit into the callables' 300 s
    erase_stop_looks: int = 40  # checks whether stopped answers have ended
    erase_stop_pause_s: float = 0.25  # between two checks: ten seconds in all
    erase_page_entries: int = 20  # of one commit: none adds more than 22 numbers to a document
    erase_days_at_once: int = 100  # whose roll-ups are read
    erase_progress_days: int = 3  # after admission: what was left of the progress has expired
    erase_batch: int = 200  # documents deleted at once
    erase_tries: int = 5  # of one commit, while others change the same documents
    export_s: float = 20.0  # one read
    export_page_bytes: int = 2_000_000  # a page ends with the item that reaches this
    export_read_max: int = 20  # documents read at once
    export_entries: int = 100  # entries read at once

    # A report
    report_documents_max: int = 10_000  # read for one page: takes some seconds
    report_reads_at_once: int = 4  # days
    report_read_s: float = 20.0  # one query
    top_users_read: int = 100  # of each day, those with the highest cost or most requests
    top_users_compared: int = 3  # times as many users as are listed are looked up exactly

    # Refusals, as an instance counts them
    refusals_flush_s: float = 60.0  # between two writes
    refusals_write_s: float = 5.0
    refusals_max: int = 1_000  # counters that wait for a write

    # Alerts
    alert_shares: tuple[int, ...] = (100, 80, 50)  # percent of a ceiling, highest first
    alert_ttl_days: int = 90
    unusual_days: int = 7  # whose median a day is compared with
    unusual_factor: int = 3
    unusual_min_usd: float = 1.0  # a day that cost less is never unusual
    account_after_s: float = 6 * 3600.0  # after a day's end; by then most estimates are corrected
    account_share: float = 0.01  # a difference gives an alert if it exceeds this share
    account_min_usd: float = 0.10  # and this amount
    alert_read_s: float = 10.0
    alert_write_s: float = 10.0
