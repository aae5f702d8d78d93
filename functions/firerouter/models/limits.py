"""Limits of the catalog: durations, ages and sizes. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatalogLimits:
    """The limits. In 2026, 421 models were 0.7 MB of OpenRouter's JSON."""

    fetch_s: float = 20.0  # all pages of OpenRouter's list together
    callers_wait_s: float = 3.0  # for a first list, or a newer one than one that is too old
    fetch_again_s: float = 60.0  # after a fetch that failed, or that callers did not wait for
    read_s: float = 5.0  # one read of Firestore
    write_s: float = 5.0  # one commit to Firestore
    fresh_s: float = 300.0  # in memory, before an instance checks for a newer list
    look_again_s: float = 10.0  # between two looks for a newer list because of an unknown model
    stale_s: float = 1800.0  # served once more during that check
    old_s: float = 26 * 3600.0  # a daily refresh is overdue: fetched again, and reported as stale
    pages_max: int = 10  # of OpenRouter's list
    models_max: int = 5_000
    shard_max_chars: int = 900_000  # of ASCII; a document holds at most 1 MiB
    name_max_chars: int = 128
    description_max_chars: int = 400
    tiers_max: int = 24  # of prices, per model
    words_max: int = 64  # of parameters, or modalities, per model
