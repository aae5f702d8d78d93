"""What a call is held to: the limits of its user, of its feature, and of the app."""

from __future__ import annotations

from ..errors import UserBlocked
from ..features import AppSettings, Feature
from ..ledger import Caps, FeatureLimits, OwnLimitsStore, Payer, resolve
from ..users import Caller


class UserCaps:
    """Puts the limits of a call together. One per instance."""

    def __init__(self, own_limits: OwnLimitsStore) -> None:
        self._own_limits = own_limits

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
        own_caps = feature.settings.caps if feature is not None else FeatureLimits()
        caps = Caps(user=user, feature=own_caps, ceiling=app.ceiling)
        return caps, Payer(tier=tier, anonymous=caller.anonymous)
