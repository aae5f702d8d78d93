"""OpenRouter keys: stored in Secret Manager, ordered in slots, never printed."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .limits import KeyLimits
    from .pool import KeyPool
    from .refusals import (
        KeyRefusal,
        KeyRefusals,
    )
    from .secret import Secret
    from .slot_store import KeySlotStore, StoredKeySlots
    from .slots import KeyEntries, KeyEntry, KeySlots
    from .source import KeySource
    from .vault import Vault
else:
    __getattr__ = lazily(
        __name__,
        {
            "limits": ("KeyLimits",),
            "pool": ("KeyPool",),
            "refusals": (
                "KeyRefusal",
                "KeyRefusals",
            ),
            "secret": ("Secret",),
            "slot_store": (
                "KeySlotStore",
                "StoredKeySlots",
            ),
            "slots": (
                "KeyEntries",
                "KeyEntry",
                "KeySlots",
            ),
            "source": ("KeySource",),
            "vault": ("Vault",),
        },
    )

__all__ = (
    "KeyEntries",
    "KeyEntry",
    "KeyLimits",
    "KeyPool",
    "KeyRefusal",
    "KeyRefusals",
    "KeySlotStore",
    "KeySlots",
    "KeySource",
    "Secret",
    "StoredKeySlots",
    "Vault",
)
