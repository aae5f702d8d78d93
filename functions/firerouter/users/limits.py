"""The run-time limits of users: how callers are verified, and how often each may call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What a call costs where it is not a model that answers: see `CallLimits`
CallKind = Literal["any", "ask", "look", "stop", "change", "export", "admin"]


@dataclass(frozen=True, slots=True)
class IdentityLimits:
    """The bounds of `users.identity`, with the unit last in each name."""

    replay_threads: int = 8  # that ask App Check whether a token was used before
    verify_s: float = 4.0  # one token, waiting for its turn included
    token_fresh_s: float = 300.0  # that a verified token is remembered
    tokens_max: int = 2_000  # remembered at once
    leeway_s: int = 10  # by which the clocks of those who issue tokens and ours may differ
    account_fresh_s: float = 300.0  # that an account is not looked up again
    accounts_max: int = 10_000  # remembered at once, and looked up in one go
    account_lookup_s: float = 10.0  # one look at up to 100 accounts
    keys_fetch_s: float = 3.0  # one request for Google's public keys
    keys_fresh_s: float = 6 * 3600.0
    keys_outage_pause_s: float = 2.0  # before the next request after a failure


@dataclass(frozen=True, slots=True)
class Pace:
    """How often one user may call: so many times a minute, and so many times at once."""

    per_minute: int
    at_once: int


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How often one user may call one instance.

    A call that reads or sends much counts as several (`Call.weigh`). What the worst day of one
    caller costs at these paces is in docs/security.md: run ./scripts/worst-day after a change.

    Attributes:
        any: The callable `api`, whatever it is called for; what it reaches is counted as well.
        ask: What asks a model. Where an app's `requestsPerMinute` is higher, that counts.
        look: What reads little.
        stop: What stops an answer.
        change: What writes, or deletes.
        export: What reads everything.
        admin: What only admins may call.
    """

    any: Pace = Pace(300, 150)
    ask: Pace = Pace(120, 60)
    look: Pace = Pace(40, 60)
    stop: Pace = Pace(60, 30)
    change: Pace = Pace(60, 30)
    export: Pace = Pace(10, 300)  # 30,000 documents, or 30 MB, before it slows down
    admin: Pace = Pace(600, 300)
    anonymous_share: float = 0.25  # of all this, for a user whose next account costs nothing
    buckets_max: int = 10_000  # that an instance remembers: some 2 MB

    def of(self, kind: CallKind) -> Pace:
        """Return how often one user may call what is of this kind."""
        pace: Pace = getattr(self, kind)
        return pace
