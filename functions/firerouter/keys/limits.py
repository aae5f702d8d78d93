"""How long the keys' room waits, and how long it keeps a key. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What the key pool and the vault do at run time."""

    read_s: float = 5.0  # one read of Secret Manager
    write_s: float = 5.0  # one call that changes something there
    fresh_s: float = 300.0  # a key is used without another read
    stale_s: float = 3600.0  # Secret Manager may be unavailable that long
    deprioritized_s: float = 60.0  # after a refusal, the other keys of the slot go first
