"""The run-time limits of delivery to other instances: seconds, pauses, sizes, days."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import limits


@dataclass(frozen=True, slots=True)
class ProgressLimits:
    """How often the progress of a long answer is stored, and how often it is read."""

    after_s: float = 2.0  # an answer that ends sooner stores none
    every_s: float = 2.0
    live_s: float = 1.0  # of an answer that all its clients follow by its progress
    first_looks_s: tuple[float, ...] = (0.3, 0.3, 0.4)  # pauses after the first reads of it
    write_s: float = 5.0  # one piece
    delete_s: float = 3.0  # all pieces, before the result goes out
    erase_s: float = 8.0  # all that is left of a generation that no instance runs
    followers_max: int = 5  # of one answer, on one instance
    follow_max_s: float = limits.TOTAL_S  # after that, a follower's own function has to end
    ttl_days: int = 1


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How answers that need no listener get to the function that runs them."""

    enqueue_s: float = 8.0  # one call to Cloud Tasks
    threads: int = 4  # for those calls, which block
    delivery_deadline_s: int = 390  # of one delivery: above the function's own timeout of 360 s
    claim_s: float = 8.0  # one commit
    claim_pauses_s: tuple[float, ...] = (0.5, 2.0, 0.0)  # after each try to claim a generation
    part_chars: int = 900_000  # ASCII; a document holds at most 1 MiB
    write_s: float = 5.0  # one part of a queued request
    ttl_days: int = 1


@dataclass(frozen=True, slots=True)
class StopLimits:
    """How a stop reaches the instance that runs the generation."""

    write_s: float = 8.0
    look_pauses_s: tuple[float, ...] = (0.5, 1.2)  # before looking again for a new request
    listen_after_s: float = 0.15  # an answer that ends sooner opens no listener
    open_s: float = 10.0  # until a new listener is up to date
    rest_s: float = 10.0  # that a listener stays open after the last generation
    first_pause_s: float = 0.1  # after the listener broke; doubled each time it breaks again
    max_pause_s: float = 10.0


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """The bounds of `delivery`, with the unit last in each name."""

    progress: ProgressLimits = field(default_factory=ProgressLimits)
    queue: QueueLimits = field(default_factory=QueueLimits)
    stops: StopLimits = field(default_factory=StopLimits)
