"""Reports: what the generations of each day came to, by feature, model, revision, tier and user."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .limits import ReportLimits
    from .refusal_counts import RefusalCounts
    from .rollup import RollUp
    from .sums import COUNTED_FIELDS, Contribution, contribution_of, flatten
    from .usage_report import UsageReportCallable
    from .usage_store import UsageStore
else:
    __getattr__ = lazily(
        __name__,
        {
            "limits": ("ReportLimits",),
            "refusal_counts": ("RefusalCounts",),
            "rollup": ("RollUp",),
            "sums": (
                "COUNTED_FIELDS",
                "Contribution",
                "contribution_of",
                "flatten",
            ),
            "usage_report": ("UsageReportCallable",),
            "usage_store": ("UsageStore",),
        },
    )

__all__ = (
    "COUNTED_FIELDS",
    "Contribution",
    "RefusalCounts",
    "ReportLimits",
    "RollUp",
    "UsageReportCallable",
    "UsageStore",
    "contribution_of",
    "flatten",
)
