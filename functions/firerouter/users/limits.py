"""The run-time limits of verifying callers: seconds, and how much is remembered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdentityLimits:
    """The bounds of `users.identity`, with the unit last in each name."""

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
