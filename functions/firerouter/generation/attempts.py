"""Attempts, as a result shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract import AttemptInfo
from ..openrouter import Attempt


def infos_of(attempts: Iterable[Attempt], *, for_admin: bool = False) -> list[AttemptInfo]:
    """Return the attempts as a result shows them: the model, and why it failed if it did.

    Args:
        attempts: The attempts.
        for_admin: Whether an admin is testing settings, and reads what OpenRouter said as well.
    """
    return [_info(attempt, for_admin=for_admin) for attempt in attempts]


def _info(attempt: Attempt, *, for_admin: bool) -> AttemptInfo:
    info: AttemptInfo = {"model": attempt.model}
    if attempt.reason is not None:
        info["reason"] = attempt.reason
    if for_admin and attempt.upstream_reason is not None:
        info["upstreamReason"] = attempt.upstream_reason
    return info
