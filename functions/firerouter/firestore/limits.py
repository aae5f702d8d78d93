"""What Firestore may take, for what no room has a bound of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FirestoreLimits:
    """The bounds of `firestore`, with the unit last in each name."""

    change_s: float = 8.0  # an admin's change and its audit entry


@dataclass(frozen=True, slots=True)
class ConfigLimits:
    """What `config.ConfigDocument` does at run time."""

    read_s: float = 5.0  # one read of the document
    write_s: float = 8.0  # one write without an audit entry
    fresh_s: float = 4.0  # used without another read
    stale_s: float = 8.0  # used once more while it is read: a change is effective within 10 s
    attempts: int = 5  # of one change, while others change other parts
