"""The run-time limits of admins' calls: how much they do, and report. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdminLimits:
    """How much admins' callables do and report."""

    attempts: int = 5  # at one change, while others change the same document
    findings_max: int = 50  # errors, and warnings, that one refusal lists
    key_checks_at_once: int = 5  # of one list of keys
    flags_max: int = 200  # of features whose models changed
    low_limit_usd: float = 1.0  # left of a key's limit; below it there is a warning
    expires_soon_days: int = 7  # a key that expires sooner causes a warning
