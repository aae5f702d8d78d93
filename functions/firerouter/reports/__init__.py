"""Reports: usage and cost of each day; one user's data, to export or erase."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .account_check import AccountCheck
    from .alerts import Alerts
    from .anonymous_usage import AnonymousUsage
    from .cost_check import CostCheck
    from .erasure import Erased, Erasure
    from .limits import ReportLimits
    from .personal_export import PersonalExport
    from .refusal_counts import RefusalCounts
    from .rollup import RollUp
    from .sums import COUNTED_FIELDS, Contribution, contribution_of, flatten, of_cell
    from .upkeep import UsageUpkeep
    from .usage_report import UsageReportCallable
    from .usage_store import UsageStore
    from .user_data import UserDataCallables
else:
    __getattr__ = lazily(
        __name__,
        {
            "account_check": ("AccountCheck",),
            "alerts": ("Alerts",),
            "anonymous_usage": ("AnonymousUsage",),
            "cost_check": ("CostCheck",),
            "erasure": (
                "Erased",
                "Erasure",
            ),
            "limits": ("ReportLimits",),
            "personal_export": ("PersonalExport",),
            "refusal_counts": ("RefusalCounts",),
            "rollup": ("RollUp",),
            "sums": (
                "COUNTED_FIELDS",
                "Contribution",
                "contribution_of",
                "flatten",
                "of_cell",
            ),
            "upkeep": ("UsageUpkeep",),
            "usage_report": ("UsageReportCallable",),
            "usage_store": ("UsageStore",),
            "user_data": ("UserDataCallables",),
        },
    )

__all__ = (
    "COUNTED_FIELDS",
    "AccountCheck",
    "Alerts",
    "AnonymousUsage",
    "Contribution",
    "CostCheck",
    "Erased",
    "Erasure",
    "PersonalExport",
    "RefusalCounts",
    "ReportLimits",
    "RollUp",
    "UsageReportCallable",
    "UsageStore",
    "UsageUpkeep",
    "UserDataCallables",
    "contribution_of",
    "flatten",
    "of_cell",
)
