"""Firestore: commits, the audit of admins' changes, paths."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .audit import Audit, Change
    from .commits import AWAY, GUARD_FAILED, NOT_STORABLE, commit
    from .paths import key_of

__all__ = ("AWAY", "GUARD_FAILED", "NOT_STORABLE", "Audit", "Change", "commit", "key_of")
__getattr__ = lazily(
    __name__,
    {
        "audit": (
            "Audit",
            "Change",
        ),
        "commits": (
            "AWAY",
            "GUARD_FAILED",
            "NOT_STORABLE",
            "commit",
        ),
        "paths": ("key_of",),
    },
)
