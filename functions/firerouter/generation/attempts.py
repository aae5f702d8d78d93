"""Attempts, as a result shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract import AttemptInfo
from ..openrouter import Attempt


def infos_of(attempts: Iterable[Attempt]) -> list[AttemptInfo]:
    """Return the attempts as a result shows them: the model, and why it failed if it did."""
    return [
        {"model": attempt.model}
        if attempt.reason is None
        else {"model": attempt.model, "reason": attempt.reason}
        for attempt in attempts
    ]
