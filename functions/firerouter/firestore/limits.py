"""What Firestore may take, for what no room has a bound of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FirestoreLimits:
    """The bounds of `firestore`, with the unit last in each name."""

    change_s: float = 8.0  # an admin's change and its audit entry
