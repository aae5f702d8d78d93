"""What is left of a user's limits, as the user may see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

from ..callable import Call
from ..contract import Allowance, GetAllowance, parse
from ..errors import LedgerUnavailable
from ..features import AppSettingsStore, FeatureStore
from ..firestore import translated
from ..ledger import NOTHING, Counter, LedgerStore, LimitLeft, Windows, counters, has_limits
from ..users import Caller
from .user_caps import UserCaps


class AllowanceCallable:
    """The callable `get_allowance`."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        user_caps: UserCaps,
        store: LedgerStore,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._user_caps = user_caps
        self._store = store
        self._now = now

    async def get_allowance(self, call: Call[Caller]) -> Allowance:
        """Return `{limits, running, tier?}`.

        Raises:
            UserBlocked: An admin has blocked the user.
            FeatureUnknown, FeatureDisabled: The feature that is named cannot be called.
            LedgerUnavailable, SettingsUnavailable: Firestore did not answer.
        """
        request = parse(GetAllowance, call.data)
        uid, app = call.caller.uid, await self._app_settings.get()
        feature = None
        if request.feature is not None:
            feature = (await self._features.get(request.feature)).for_user(uid)
        caps, payer = await self._user_caps.of(call.caller, app, feature)
        own = feature.id if feature is not None and has_limits(caps.feature) else None
        windows = Windows(at=self._now(), feature=own)
        moved = [
            one for one in counters(caps, windows, (NOTHING,), requests=0) if one.max is not None
        ]
        with translated(LedgerUnavailable, "allowance_not_read"):
            totals, running = await asyncio.gather(
                self._store.totals(uid, windows, moved), self._store.running_of(uid)
            )
        limits = [_limit(counter, total) for counter, total in zip(moved, totals, strict=True)]
        tier = {} if payer.tier is None else {"tier": payer.tier}
        return cast(Allowance, {"limits": limits, "running": [one.id for one in running], **tier})


def _limit(counter: Counter, total: int) -> dict[str, object]:
    """Return a limit, and what is used and left of it."""
    info: dict[str, object] = {
        "limit": counter.cap,
        "max": counter.max,
        "used": counter.to_wire(total),
        "left": LimitLeft.of(counter, total).to_wire(),
    }
    return info if counter.ends is None else {**info, "resetsAt": counter.resets_at}
