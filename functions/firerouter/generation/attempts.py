"""Attempts, as the ledger and results represent them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract import AttemptInfo
from ..ledger import AttemptRecord
from ..openrouter import Attempt


def records_of(attempts: Iterable[Attempt], purpose: str | None = None) -> list[AttemptRecord]:
    """Return the attempts as records. `purpose`: "title" or "summary" for the helper model's."""
    return [
        AttemptRecord(
            model=attempt.model,
            upstream_id=attempt.upstream_id,
            reason=attempt.reason,
            key_version=attempt.key_version,
            purpose=purpose,
        )
        for attempt in attempts
    ]


def infos_of(attempts: Iterable[Attempt]) -> list[AttemptInfo]:
    """Return the attempts as a result shows them: the model, and why it failed if it did."""
    return [
        {"model": attempt.model}
        if attempt.reason is None
        else {"model": attempt.model, "reason": attempt.reason}
        for attempt in attempts
    ]
