"""How long calls to Firestore may take, unless a package has limits of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FirestoreLimits:
    """The bounds of `firestore`, with the unit last in each name."""

    change_s: float = 8.0  # an admin's change and its audit entry


@dataclass(frozen=True, slots=True)
class ConfigLimits:
    """The limits of `config.ConfigDocument`."""

    read_s: float = 5.0  # one read of the document
    write_s: float = 8.0  # one write without an audit entry
    fresh_s: float = 4.0  # cached: used without another read
    stale_s: float = 8.0  # used once more while it is read again: changes take effect within 10 s
    attempts: int = 5  # at one change, while other parts are changed
