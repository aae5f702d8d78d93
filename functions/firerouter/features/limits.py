"""The run-time limits of features: how old cached settings may be, how much is read. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingsLimits:
    """The bounds of `FeatureStore`."""

    read_s: float = 5.0  # one read of a document, or of a page of them
    fresh_s: float = 4.0  # that settings are used without another read
    stale_s: float = 8.0  # that they are used during the next read: changes take effect within 10 s
    features_max: int = 200  # that an app may have
    revisions_read: int = 10  # the newest ones, searched for valid settings
