"""OpenRouter keys: in Secret Manager, in which order they serve, and without ever printing one."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .pool import Keys
    from .secret import Secret
    from .slots import Entries, KeyEntry, KeySlots, read_slots
    from .vault import Vault

__all__ = (
    "Entries",
    "KeyEntry",
    "KeySlots",
    "Keys",
    "Secret",
    "Vault",
    "read_slots",
)
__getattr__ = lazily(
    __name__,
    {
        "pool": ("Keys",),
        "secret": ("Secret",),
        "slots": (
            "Entries",
            "KeyEntry",
            "KeySlots",
            "read_slots",
        ),
        "vault": ("Vault",),
    },
)
