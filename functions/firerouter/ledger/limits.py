"""Limits of the ledger: how long commits may take, and when documents expire."""

from __future__ import annotations

from dataclasses import dataclass

from .. import limits


@dataclass(frozen=True, slots=True)
class LedgerLimits:
    """The bounds of `ledger`, with the unit last in each name."""

    admit_s: float = 8.0  # one commit that admits, gives back, closes or corrects
    admit_tries: int = 6  # of one call: refused calls of others may leave room after all
    admit_pause_s: float = 0.1  # at most, between two of them
    undo_pauses_s: tuple[float, ...] = (0.5, 2.0, 8.0)  # before each look for a lost admission
    note_after_s: float = 0.5  # a generation that ends sooner notes its attempts with its end
    note_s: float = 5.0  # one commit of a note
    note_before_retry_s: float = 1.0  # a retry waits this long for the note of the failure
    settle_s: float = 30.0  # all attempts to settle; after that, the reconciler does it
    settle_pause_s: float = 0.5  # between two of them
    settle_before_result_s: float = 3.0  # after the response, Cloud Run may throttle the CPU

    run_s: float = limits.TOTAL_S  # how long an instance may work on one generation
    queued_max_s: float = 120.0  # how long a task may take to arrive; then it counts as lost

    # A place among a user's answers in progress is free this long after its instance has died
    lease_s: float = 50.0
    lease_renewal_s: float = 15.0  # between two renewals, while a generation runs that long
    running_max: int = 50  # running entries of one user that are read to free places

    # The ceiling of the app
    ceiling_shards_max: int = 64  # documents that count it: a busy instance uses more of them
    ceiling_shards_min: int = 4
    ceiling_fresh_s: float = 5.0  # the sum of all shards is cached for this long
    ceiling_stale_s: float = 10.0  # and for this long while it is being re-read
    ceiling_exact_from: float = 0.8  # above this share of the ceiling, each call reads the sum

    # What is remembered of refusals: see `known_refusals`
    refused_users: int = 5_000  # that an instance remembers
    refused_cost_s: float = 60.0  # what is freed as answers end elsewhere, or are corrected
    refused_place_s: float = 2.0

    # What admins set for single users
    own_limits_fresh_s: float = 10.0  # used without another read
    own_limits_stale_s: float = 15.0  # used while it is re-read: a block takes effect within this
    own_limits_users: int = 2_000  # users whose limits an instance caches

    window_ttl_days: int = 40  # a month plus time to correct its costs; see also `Retention`
    minutes_removed: int = 3  # counters of past minutes that each call removes
