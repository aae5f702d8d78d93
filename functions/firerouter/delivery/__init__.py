"""A generation on another instance: its progress, its queue, its stop."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .follower import Follower
    from .handover import Handover, QueuedRequest
    from .progress import Progress, latest
    from .queue import TaskQueue
    from .stop import StopCallable
    from .stop_signals import StopSignals

__all__ = (
    "Follower",
    "Handover",
    "Progress",
    "QueuedRequest",
    "StopCallable",
    "StopSignals",
    "TaskQueue",
    "latest",
)
__getattr__ = lazily(
    __name__,
    {
        "follower": ("Follower",),
        "handover": (
            "Handover",
            "QueuedRequest",
        ),
        "progress": (
            "Progress",
            "latest",
        ),
        "queue": ("TaskQueue",),
        "stop": ("StopCallable",),
        "stop_signals": ("StopSignals",),
    },
)
