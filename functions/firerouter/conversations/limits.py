"""The run-time limits of conversations: sizes of documents, and how long Firestore may take."""

from __future__ import annotations

from dataclasses import dataclass

from .. import limits as wire


@dataclass(frozen=True, slots=True)
class ConversationLimits:
    """The bounds of `conversations`, with the unit last in each name."""

    # documents: Firestore allows 1 MiB
    page_max_bytes: int = 300_000  # of the transcript; concurrent messages may exceed it
    page_item_bytes: int = 300  # of a message on a page, besides its text
    part_chars: int = 100_000  # text and reasoning of one document: 400,000 bytes each at most
    title_max_chars: int = wire.TITLE_MAX_CHARS

    # history
    pages_read_max: int = 3
    summary_max_chars: int = 6_000
    summarize_from: float = 0.75  # of the room for earlier messages
    summary_reads_max_bytes: int = 100_000  # of messages that no longer fit, for one summary

    # Firestore
    question_s: float = 5.0
    answer_s: float = 3.0  # of one attempt, and how long a result waits for all of them
    answer_retried_s: float = 30.0  # in the background, including the pauses
    answer_pause_s: float = 0.5
    change_s: float = 8.0  # an update, or one step of a deletion
    export_s: float = 10.0  # one read
    export_page_bytes: int = 4_000_000  # of an answer: then it ends with the message at hand
    export_read: int = 10  # messages read at once: each has 1 MiB at most, and its parts
    export_parts_max: int = 100  # of one message
    export_links_read: int = 300  # of messages whose texts are not read
    export_path_max: int = 50_000  # messages among which the chosen path is looked for
    delete_batch: int = 200  # documents
    erased_at_once: int = 8  # generations whose progress is looked for
    progress_gone_days: int = 3  # after admission: what was left of it has expired by then
