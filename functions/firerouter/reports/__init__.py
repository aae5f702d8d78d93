"""Reports: what the generations of each day came to, by feature, model, revision, tier and user."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .limits import ReportLimits
    from .rollup import RollUp
    from .usage_store import UsageStore
else:
    __getattr__ = lazily(
        __name__,
        {
            "limits": ("ReportLimits",),
            "rollup": ("RollUp",),
            "usage_store": ("UsageStore",),
        },
    )

__all__ = (
    "ReportLimits",
    "RollUp",
    "UsageStore",
)
