"""How much an admin's call does and says at most. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdminLimits:
    """What admins' callables do at run time."""

    attempts: int = 5  # of one change, while others change what is beside it
    findings_max: int = 50  # errors, and warnings, that one refusal lists
    flags_max: int = 200  # of features whose models changed
    low_limit_usd: float = 1.0  # less than that left of a key's limit is worth a warning
    expires_soon_days: int = 7  # a key that ends sooner is worth a warning
