"""Whether the accounts of callers are still enabled, looked up beside their calls.

An ID token is valid for an hour, whatever becomes of its account meanwhile. So the account is
looked up now and then: not before the call is answered, and many accounts in one request.

    the token was issued a few minutes ago        the account was enabled then: nothing to look up
    the account was looked up a few minutes ago   as it was found
    neither                                       the call goes on, and a lookup begins

On each instance, a disabled or deleted user has at most the calls of the few minutes in which an
account counts as known, and those that arrive while it is looked up. To end them at once, an admin
blocks the user with `set_user_limits`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .. import log
from ..cache import Recent
from ..errors import SessionRevoked
from .limits import IdentityLimits

if TYPE_CHECKING:
    import firebase_admin

BATCH: Final = 100  # accounts that Firebase Authentication looks up in one request


@dataclass(frozen=True, slots=True)
class _Seen:
    """An account as it was found. Times are seconds since 1970.

    Attributes:
        at: When it was looked up.
        valid_from: Tokens that were issued before that are no longer valid. For an account that is
            disabled or gone it is the time of the lookup: one issued later proves it enabled again.
    """

    at: float
    valid_from: float = 0.0


class AccountWatch:
    """Remembers accounts, and looks them up when that is due. One per instance."""

    def __init__(
        self,
        firebase_app: Callable[[], firebase_admin.App],
        limits: IdentityLimits,
        clock: Callable[[], float],
    ) -> None:
        self._firebase_app = firebase_app
        self._limits = limits
        self._clock = clock
        self._seen: Recent[str, _Seen] = Recent(limits.accounts_max)
        self._due: dict[str, None] = {}  # in the order in which they came up
        self._lookup: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def check(self, uid: str, issued_at: float) -> None:
        """Check the account of a valid token, by what is known of it.

        Args:
            uid: The account.
            issued_at: When the token was issued.

        Raises:
            SessionRevoked: The account is disabled or gone, or its sessions were ended.
        """
        seen = self._seen.get(uid) or _Seen(0.0)
        if self._clock() - max(issued_at, seen.at) >= self._limits.account_fresh_s:
            self._begin_lookup(uid)
        if issued_at < seen.valid_from:
            raise SessionRevoked

    def _begin_lookup(self, uid: str) -> None:
        if len(self._due) < self._limits.accounts_max:
            self._due[uid] = None
        if self._lookup is None or self._lookup.done():
            self._lookup = asyncio.create_task(self._look_up())

    async def _look_up(self) -> None:
        """Look up all accounts that are due. A failure leaves what is known of them as it is."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)
        loop = asyncio.get_running_loop()
        while self._due:
            uids = [*self._due][:BATCH]
            at = self._clock()
            try:
                async with asyncio.timeout(self._limits.account_lookup_s):
                    found = await loop.run_in_executor(self._thread, self._valid_from, uids, at)
            except Exception as error:  # of the Admin SDK, its HTTP library, or its credentials
                log.warning("accounts_not_looked_up", type=type(error).__name__)
                found = {}
            for uid in uids:
                del self._due[uid]
                known = self._seen.get(uid) or _Seen(at)
                self._seen.put(uid, _Seen(at, found.get(uid, known.valid_from)))

    def _valid_from(self, uids: Sequence[str], at: float) -> Mapping[str, float]:
        """Return from when on the tokens of each account are valid. It blocks."""
        from firebase_admin import auth

        identifiers = [auth.UidIdentifier(uid) for uid in uids]
        accounts = auth.get_users(identifiers, app=self._firebase_app()).users
        enabled = {
            account.uid: account.tokens_valid_after_timestamp / 1000
            for account in accounts
            if not account.disabled
        }
        return {uid: enabled.get(uid, at) for uid in uids}
