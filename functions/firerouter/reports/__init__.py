"""Reports: what the generations of each day came to, by feature, model, revision, tier and user."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .account_check import AccountCheck
    from .alerts import Alerts
    from .cost_check import CostCheck
    from .limits import ReportLimits
    from .refusal_counts import RefusalCounts
    from .rollup import RollUp
    from .sums import COUNTED_FIELDS, Contribution, contribution_of, flatten, of_cell
    from .upkeep import UsageUpkeep
    from .usage_report import UsageReportCallable
    from .usage_store import UsageStore
else:
    __getattr__ = lazily(
        __name__,
        {
            "account_check": ("AccountCheck",),
            "alerts": ("Alerts",),
            "cost_check": ("CostCheck",),
            "limits": ("ReportLimits",),
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
        },
    )

__all__ = (
    "COUNTED_FIELDS",
    "AccountCheck",
    "Alerts",
    "Contribution",
    "CostCheck",
    "RefusalCounts",
    "ReportLimits",
    "RollUp",
    "UsageReportCallable",
    "UsageStore",
    "UsageUpkeep",
    "contribution_of",
    "flatten",
    "of_cell",
)
