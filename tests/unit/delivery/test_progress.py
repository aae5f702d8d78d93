"""How often progress is stored: late and seldom, for each piece is a write."""

from firerouter import limits


def test_progress_is_kept_late_and_seldom() -> None:
    assert limits.PROGRESS_AFTER_S >= 2
    assert min(limits.PROGRESS_EVERY_S, limits.PROGRESS_LIVE_S) >= 1
