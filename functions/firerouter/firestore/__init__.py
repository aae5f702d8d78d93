"""Firestore: reads, commits, their failures, the audit of admins' changes, paths."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .audit import Audit, Change
    from .commits import AWAY, GUARD_FAILED, NOT_STORABLE, commit, create, put
    from .errors import (
        AlreadyExists,
        Conflict,
        FirestoreError,
        Forbidden,
        Missing,
        NotStorable,
        Unavailable,
        mapped,
        translated,
    )
    from .limits import FirestoreLimits
    from .paths import GENERATIONS, Paths, key_of
    from .pieces import cut
    from .raw import ListenStream, database_name, generated_client, listen
    from .reads import READ_S, Document, Snapshot, content, count, get, get_all, query

__all__ = (
    "AWAY",
    "GENERATIONS",
    "GUARD_FAILED",
    "NOT_STORABLE",
    "READ_S",
    "AlreadyExists",
    "Audit",
    "Change",
    "Conflict",
    "Document",
    "FirestoreError",
    "FirestoreLimits",
    "Forbidden",
    "ListenStream",
    "Missing",
    "NotStorable",
    "Paths",
    "Snapshot",
    "Unavailable",
    "commit",
    "content",
    "count",
    "create",
    "cut",
    "database_name",
    "generated_client",
    "get",
    "get_all",
    "key_of",
    "listen",
    "mapped",
    "put",
    "query",
    "translated",
)
__getattr__ = lazily(
    __name__,
    {
        "audit": ("Audit", "Change"),
        "commits": ("AWAY", "GUARD_FAILED", "NOT_STORABLE", "commit", "create", "put"),
        "errors": (
            "AlreadyExists",
            "Conflict",
            "FirestoreError",
            "Forbidden",
            "Missing",
            "NotStorable",
            "Unavailable",
            "mapped",
            "translated",
        ),
        "limits": ("FirestoreLimits",),
        "paths": ("GENERATIONS", "Paths", "key_of"),
        "pieces": ("cut",),
        "raw": ("ListenStream", "database_name", "generated_client", "listen"),
        "reads": ("READ_S", "Document", "Snapshot", "content", "count", "get", "get_all", "query"),
    },
)
