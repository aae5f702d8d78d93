"""Bounds that are promised, and that other tests change to save time."""

from firerouter.delivery import ProgressLimits

LIMITS = ProgressLimits()


def test_progress_is_stored_late_and_seldom() -> None:
    assert LIMITS.after_s >= 2
    assert min(LIMITS.every_s, LIMITS.live_s) >= 1
