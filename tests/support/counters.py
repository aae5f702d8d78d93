"""A user's counters, as tests add them up from the documents of their windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Windows = Mapping[str, Mapping[str, Any]]  # documents by id, as below quotas/{user}/windows


def spent(windows: Windows) -> int:
    """Return the nano dollars of all days, reserved and spent."""
    return _of_days(windows, "nanoUsd")


def tokens(windows: Windows) -> int:
    """Return the tokens of all days, reserved and counted."""
    return _of_days(windows, "tokens")


def requests(windows: Windows, feature: str | None = None) -> int:
    """Return the requests of all days, of a feature with limits of its own if one is named."""
    if feature is not None:
        windows = {
            month: document.get("features", {}).get(feature, {})
            for month, document in windows.items()
        }
    return _of_days(windows, "requests")


def running(windows: Windows) -> int:
    """Return the answers in progress."""
    count: int = windows.get("concurrent", {}).get("count", 0)
    return count


def by_day(windows: Windows, name: str) -> dict[str, int]:
    """Return a counter of each day: `{"20261120": 7}`."""
    return {
        f"{month}{day}": fields.get(name, 0)
        for month, document in windows.items()
        for day, fields in document.get("days", {}).items()
    }


def _of_days(windows: Windows, name: str) -> int:
    return sum(by_day(windows, name).values())
