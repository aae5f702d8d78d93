"""The ledger: every generation gets an entry before OpenRouter is called, settled once after."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .admission import Admitted, Answered
    from .allowance import Allowance, LimitLeft
    from .caps import (
        ANONYMOUS,
        CapPolicy,
        Caps,
        Ceiling,
        FeatureLimits,
        LimitsOverride,
        OwnLimits,
        UserLimits,
        read_override,
        resolve,
    )
    from .entry import (
        RUNNING,
        Admission,
        AttemptRecord,
        ConversationLink,
        Correction,
        Cost,
        EntryField,
        EntryState,
        FeatureUse,
        OpenEntry,
        Outcome,
        Payer,
        Place,
        RequestKey,
        Status,
        StoredEntry,
        cost_of_all,
        run_deadline,
    )
    from .ids import comparison_ids, comparison_request, generation_id, payload_hash
    from .leases import Leases
    from .ledger import Ledger
    from .limits import LedgerLimits
    from .malformed import count_at
    from .own_limits import OwnLimitsStore, read_own_limits
    from .quotas import Counter, Windows, counters, has_limits, in_words
    from .reserve import NOTHING, USEFUL_TOKENS, LaterRequests, Reserve
    from .retention import Retention
    from .stop_request import Stop
    from .store import LedgerStore
else:
    __getattr__ = lazily(
        __name__,
        {
            "admission": (
                "Admitted",
                "Answered",
            ),
            "allowance": ("Allowance", "LimitLeft"),
            "caps": (
                "ANONYMOUS",
                "CapPolicy",
                "Caps",
                "Ceiling",
                "FeatureLimits",
                "LimitsOverride",
                "OwnLimits",
                "UserLimits",
                "read_override",
                "resolve",
            ),
            "entry": (
                "Admission",
                "AttemptRecord",
                "ConversationLink",
                "Correction",
                "Cost",
                "EntryField",
                "EntryState",
                "FeatureUse",
                "OpenEntry",
                "Outcome",
                "Payer",
                "Place",
                "RUNNING",
                "RequestKey",
                "Status",
                "StoredEntry",
                "cost_of_all",
                "run_deadline",
            ),
            "ids": (
                "comparison_ids",
                "comparison_request",
                "generation_id",
                "payload_hash",
            ),
            "leases": ("Leases",),
            "ledger": ("Ledger",),
            "limits": ("LedgerLimits",),
            "malformed": ("count_at",),
            "own_limits": (
                "OwnLimitsStore",
                "read_own_limits",
            ),
            "quotas": ("Counter", "Windows", "counters", "has_limits", "in_words"),
            "reserve": (
                "LaterRequests",
                "NOTHING",
                "Reserve",
                "USEFUL_TOKENS",
            ),
            "retention": ("Retention",),
            "stop_request": ("Stop",),
            "store": ("LedgerStore",),
        },
    )

__all__ = (
    "ANONYMOUS",
    "NOTHING",
    "RUNNING",
    "USEFUL_TOKENS",
    "Admission",
    "Admitted",
    "Allowance",
    "Answered",
    "AttemptRecord",
    "CapPolicy",
    "Caps",
    "Ceiling",
    "ConversationLink",
    "Correction",
    "Cost",
    "Counter",
    "EntryField",
    "EntryState",
    "FeatureLimits",
    "FeatureUse",
    "LaterRequests",
    "Leases",
    "Ledger",
    "LedgerLimits",
    "LedgerStore",
    "LimitLeft",
    "LimitsOverride",
    "OpenEntry",
    "Outcome",
    "OwnLimits",
    "OwnLimitsStore",
    "Payer",
    "Place",
    "RequestKey",
    "Reserve",
    "Retention",
    "Status",
    "Stop",
    "StoredEntry",
    "UserLimits",
    "Windows",
    "comparison_ids",
    "comparison_request",
    "cost_of_all",
    "count_at",
    "counters",
    "generation_id",
    "has_limits",
    "in_words",
    "payload_hash",
    "read_override",
    "read_own_limits",
    "resolve",
    "run_deadline",
)
