"""Users: who calls and how often, what they prefer, and the names OpenRouter knows them by."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .account_lookup import Account, Accounts
    from .call_rates import CallRates
    from .identity import APP_CHECK_KEYS_URL, Caller, Identity
    from .limits import CallKind, CallLimits, IdentityLimits
    from .preferences import PreferenceStore
    from .pseudonyms import Pseudonyms
    from .token_replay import APP_CHECK_ROOT, TokenReplay
else:
    __getattr__ = lazily(
        __name__,
        {
            "account_lookup": (
                "Account",
                "Accounts",
            ),
            "call_rates": ("CallRates",),
            "identity": (
                "APP_CHECK_KEYS_URL",
                "Caller",
                "Identity",
            ),
            "limits": (
                "CallKind",
                "CallLimits",
                "IdentityLimits",
            ),
            "preferences": ("PreferenceStore",),
            "pseudonyms": ("Pseudonyms",),
            "token_replay": (
                "APP_CHECK_ROOT",
                "TokenReplay",
            ),
        },
    )

__all__ = (
    "APP_CHECK_KEYS_URL",
    "APP_CHECK_ROOT",
    "Account",
    "Accounts",
    "CallKind",
    "CallLimits",
    "CallRates",
    "Caller",
    "Identity",
    "IdentityLimits",
    "PreferenceStore",
    "Pseudonyms",
    "TokenReplay",
)
