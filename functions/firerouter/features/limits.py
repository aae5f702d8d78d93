"""How old cached settings may be, and how many features are read. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingsLimits:
    """What the store of features does at run time."""

    read_s: float = 5.0  # one read of a document, or of a page of them
    fresh_s: float = 4.0  # settings are used without another read
    stale_s: float = 8.0  # used once more while they are read: a change is effective within 10 s
    features_max: int = 200  # that an app may have
    revisions_read: int = 10  # newest ones that are searched for settings that are valid
