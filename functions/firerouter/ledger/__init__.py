"""The ledger: every generation gets an entry before OpenRouter is called, settled once after."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .caps import Caps, FeatureLimits, UserLimits
    from .entry import (
        RUNNING,
        Admission,
        AttemptRecord,
        ConversationLink,
        EntryField,
        EntryState,
        FeatureUse,
        OpenEntry,
        Outcome,
        Place,
        RequestKey,
        Status,
        Stop,
        StoredEntry,
        run_deadline,
    )
    from .ids import comparison_ids, comparison_request, generation_id, payload_hash
    from .ledger import Admitted, Answered, Ledger
    from .limits import LedgerLimits
    from .store import LedgerStore
else:
    __getattr__ = lazily(
        __name__,
        {
            "caps": (
                "Caps",
                "FeatureLimits",
                "UserLimits",
            ),
            "entry": (
                "Admission",
                "AttemptRecord",
                "ConversationLink",
                "EntryField",
                "EntryState",
                "FeatureUse",
                "OpenEntry",
                "Outcome",
                "Place",
                "RUNNING",
                "RequestKey",
                "Status",
                "Stop",
                "StoredEntry",
                "run_deadline",
            ),
            "ids": (
                "comparison_ids",
                "comparison_request",
                "generation_id",
                "payload_hash",
            ),
            "ledger": (
                "Admitted",
                "Answered",
                "Ledger",
            ),
            "limits": ("LedgerLimits",),
            "store": ("LedgerStore",),
        },
    )

__all__ = (
    "RUNNING",
    "Admission",
    "Admitted",
    "Answered",
    "AttemptRecord",
    "Caps",
    "ConversationLink",
    "EntryField",
    "EntryState",
    "FeatureLimits",
    "FeatureUse",
    "Ledger",
    "LedgerLimits",
    "LedgerStore",
    "OpenEntry",
    "Outcome",
    "Place",
    "RequestKey",
    "Status",
    "Stop",
    "StoredEntry",
    "UserLimits",
    "comparison_ids",
    "comparison_request",
    "generation_id",
    "payload_hash",
    "run_deadline",
)
