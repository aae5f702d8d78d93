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

    # Erasing and exporting all that is a user's
    erase_s: float = 200.0  # then nothing more is begun: the next call goes on
    erase_end_s: float = 40.0  # to finish what was begun; both inside the callables' 300 s
    erase_stop_looks: int = 40  # whether answers in progress have ended, once they were stopped
    erase_stop_pause_s: float = 0.25  # between two of them: ten seconds together
    erase_page_entries: int = 20  # of one commit: none adds more than 22 numbers to a document
    erase_days_at_once: int = 100  # whose roll-ups are looked into
    erase_progress_days: int = 3  # after admission: what was left of it has expired by then
    erase_batch: int = 200  # documents deleted at once
    erase_tries: int = 5  # of one commit, where others change the same documents
    export_s: float = 20.0  # one read
    export_page_bytes: int = 2_000_000  # of an answer: then it ends with the item at hand
    export_read_max: int = 20  # documents read at once
    export_entries: int = 100  # entries read at once

    # A report
    report_documents_max: int = 10_000  # read for one page of it: some seconds' work
    report_reads_at_once: int = 4  # days
    report_read_s: float = 20.0  # one query
    top_users_read: int = 100  # of each day, those with the highest cost
    top_users_compared: int = 3  # times as many as are listed are added up

    # Refusals, as an instance counts them
    refusals_flush_s: float = 60.0  # at most one write in this time
    refusals_write_s: float = 5.0
    refusals_max: int = 1_000  # counters that wait for a write

    # Alerts
    alert_shares: tuple[int, ...] = (100, 80, 50)  # per cent of a ceiling, the highest first
    alert_ttl_days: int = 90
    unusual_days: int = 7  # whose median a day is compared with
    unusual_factor: int = 3
    unusual_min_usd: float = 1.0  # a day that cost less is never unusual
    account_after_s: float = 6 * 3600.0  # after a day's end; by then most estimates are corrected
    account_share: float = 0.01  # a difference is an alert if it is more than this share
    account_min_usd: float = 0.10  # and more than this
    alert_read_s: float = 10.0
    alert_write_s: float = 10.0
