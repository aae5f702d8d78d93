"""What a call is held to: the limits of its user, of its feature, and of the app."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UserBlocked
from ..features import AppSettings, Feature
from ..ledger import Caps, FeatureLimits, OwnLimitsStore, Payer, resolve
from ..users import Caller


class UserCaps:
    """Puts the limits of a call together. One per instance."""

    def __init__(self, own_limits: OwnLimitsStore, grant: Callable[[str, int], None]) -> None:
        """`grant` is told how many requests a minute a user may send."""
        self._own_limits = own_limits
        self._grant = grant

    async def of(
        self, caller: Caller, app: AppSettings, feature: Feature | None
    ) -> tuple[Caps, Payer]:
        """Return what a call may take, and as whom its user is counted.

        Args:
            caller: The user.
            app: The app's settings.
            feature: The feature that is called; None where none is.

        Raises:
            UserBlocked: An admin has blocked the user.
            LedgerUnavailable, FirestoreForbidden: The user's own limits cannot be read.
        """
        own = await self._own_limits.get(caller.uid)
        if own.blocked:
            raise UserBlocked
        user, tier = resolve(app.policy(), own, tier=caller.tier, anonymous=caller.anonymous)
        self._grant(caller.uid, user.requests_per_minute)
        own_caps = feature.settings.caps if feature is not None else FeatureLimits()
        caps = Caps(user=user, feature=own_caps, ceiling=app.ceiling)
        return caps, Payer(tier=tier, anonymous=caller.anonymous)
