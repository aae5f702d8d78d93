"""The ledger: every generation is an entry before OpenRouter is called, settled once after it."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .caps import FeatureLimits, UserLimits
    from .ids import comparison_ids, comparison_request, generation_id, payload_hash
    from .ledger import Admission, Entry, Ledger, Outcome, Status, deadline
    from .store import AttemptRecord, LedgerStore, StoredEntry

__all__ = (
    "Admission",
    "AttemptRecord",
    "Entry",
    "FeatureLimits",
    "Ledger",
    "LedgerStore",
    "Outcome",
    "Status",
    "StoredEntry",
    "UserLimits",
    "comparison_ids",
    "comparison_request",
    "deadline",
    "generation_id",
    "payload_hash",
)
__getattr__ = lazily(
    __name__,
    {
        "caps": (
            "FeatureLimits",
            "UserLimits",
        ),
        "ids": (
            "comparison_ids",
            "comparison_request",
            "generation_id",
            "payload_hash",
        ),
        "ledger": (
            "Admission",
            "Entry",
            "Ledger",
            "Outcome",
            "Status",
            "deadline",
        ),
        "store": (
            "AttemptRecord",
            "LedgerStore",
            "StoredEntry",
        ),
    },
)
