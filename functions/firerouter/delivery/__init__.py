"""A generation on another instance: its progress, its queue, its stop."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .follower import Follower
    from .handover import Claim, Handover, QueuedRequest
    from .limits import DeliveryLimits, ProgressLimits, QueueLimits, StopLimits
    from .progress import Piece, Progress, Repair, latest
    from .queue import TaskQueue
    from .stop import StopCallable
    from .stop_signals import StopSignals

__all__ = (
    "Claim",
    "DeliveryLimits",
    "Follower",
    "Handover",
    "Piece",
    "Progress",
    "ProgressLimits",
    "QueueLimits",
    "QueuedRequest",
    "Repair",
    "StopCallable",
    "StopLimits",
    "StopSignals",
    "TaskQueue",
    "latest",
)
__getattr__ = lazily(
    __name__,
    {
        "follower": ("Follower",),
        "handover": ("Claim", "Handover", "QueuedRequest"),
        "limits": ("DeliveryLimits", "ProgressLimits", "QueueLimits", "StopLimits"),
        "progress": ("Piece", "Progress", "Repair", "latest"),
        "queue": ("TaskQueue",),
        "stop": ("StopCallable",),
        "stop_signals": ("StopSignals",),
    },
)
