"""Firestore: reads, commits, their failures, the audit of admins' changes, paths."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .audit import Audit, Change
    from .commits import AWAY, GUARD_FAILED, NOT_STORABLE, commit
    from .config import ConfigDocument, StoredConfig
    from .config_limits import ConfigLimits
    from .errors import (
        AlreadyExists,
        Conflict,
        FirestoreError,
        Forbidden,
        Missing,
        NotStorable,
        Unavailable,
        translated,
    )
    from .paths import key_of
    from .pieces import cut
    from .reads import READ_S, Snapshot, get, get_all, query

__all__ = (
    "AWAY",
    "GUARD_FAILED",
    "NOT_STORABLE",
    "READ_S",
    "AlreadyExists",
    "Audit",
    "Change",
    "ConfigDocument",
    "ConfigLimits",
    "Conflict",
    "FirestoreError",
    "Forbidden",
    "Missing",
    "NotStorable",
    "Snapshot",
    "StoredConfig",
    "Unavailable",
    "commit",
    "cut",
    "get",
    "get_all",
    "key_of",
    "query",
    "translated",
)
__getattr__ = lazily(
    __name__,
    {
        "audit": ("Audit", "Change"),
        "config": ("ConfigDocument", "StoredConfig"),
        "config_limits": ("ConfigLimits",),
        "commits": ("AWAY", "GUARD_FAILED", "NOT_STORABLE", "commit"),
        "errors": (
            "AlreadyExists",
            "Conflict",
            "FirestoreError",
            "Forbidden",
            "Missing",
            "NotStorable",
            "Unavailable",
            "translated",
        ),
        "paths": ("key_of",),
        "pieces": ("cut",),
        "reads": ("READ_S", "Snapshot", "get", "get_all", "query"),
    },
)
