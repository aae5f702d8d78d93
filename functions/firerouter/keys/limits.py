"""How long calls to Secret Manager may take, and how long a key is cached. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """The limits of the key pool and the vault."""

    read_s: float = 5.0  # one read of Secret Manager
    write_s: float = 5.0  # one call that changes something there
    fresh_s: float = 300.0  # a cached key is used without another read
    stale_s: float = 3600.0  # an older one is still used while it is fetched again
    refusal_noted_s: float = 60.0  # of one key by one instance, until it is stored again
    deprioritized_s: float = 60.0  # after a refusal, the other keys of the slot go first
