"""Firestore: reads, commits, their failures, the audit log of admins' changes, paths."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .audit import Audit, Change
    from .batch import Batch
    from .commits import commit, create, put
    from .config import ConfigDocument, StoredConfig
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
    from .limits import ConfigLimits, FirestoreLimits
    from .paths import ERASED_USER, GENERATIONS, NO_USER, Paths, is_document_id, key_of
    from .pieces import cut
    from .raw import (
        ListenStream,
        database_name,
        generated_client,
        listen,
        remove_interceptors,
    )
    from .reads import READ_S, Document, Snapshot, content, count, get, get_all, pages, query
else:
    __getattr__ = lazily(
        __name__,
        {
            "audit": (
                "Audit",
                "Change",
            ),
            "batch": ("Batch",),
            "commits": (
                "commit",
                "create",
                "put",
            ),
            "config": (
                "ConfigDocument",
                "StoredConfig",
            ),
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
            "limits": (
                "ConfigLimits",
                "FirestoreLimits",
            ),
            "paths": (
                "ERASED_USER",
                "GENERATIONS",
                "NO_USER",
                "Paths",
                "is_document_id",
                "key_of",
            ),
            "pieces": ("cut",),
            "raw": (
                "ListenStream",
                "database_name",
                "generated_client",
                "listen",
                "remove_interceptors",
            ),
            "reads": (
                "Document",
                "READ_S",
                "Snapshot",
                "content",
                "count",
                "get",
                "get_all",
                "pages",
                "query",
            ),
        },
    )

__all__ = (
    "ERASED_USER",
    "GENERATIONS",
    "NO_USER",
    "READ_S",
    "AlreadyExists",
    "Audit",
    "Batch",
    "Change",
    "ConfigDocument",
    "ConfigLimits",
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
    "StoredConfig",
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
    "is_document_id",
    "key_of",
    "listen",
    "mapped",
    "pages",
    "put",
    "query",
    "remove_interceptors",
    "translated",
)
