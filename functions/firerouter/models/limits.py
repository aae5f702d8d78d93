"""How long the catalog may be, how large its parts are, and how old it may get. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatalogLimits:
    """What the catalog does at run time. In 2026, 421 models were 0.7 MB of OpenRouter's JSON."""

    fetch_s: float = 20.0  # all pages of OpenRouter's list together
    read_s: float = 5.0  # one read of Firestore
    write_s: float = 5.0  # one commit to Firestore
    fresh_s: float = 300.0  # in memory, before an instance looks for a newer list
    stale_s: float = 1800.0  # then served once more while it looks
    old_s: float = 26 * 3600.0  # a daily refresh is overdue: fetched anew, and called stale
    pages_max: int = 10  # of OpenRouter's list
    models_max: int = 5_000
    shard_max_chars: int = 900_000  # of ASCII; a document ends at 1 MiB
    name_max_chars: int = 128
    description_max_chars: int = 400
    words_max: int = 64  # of a model's parameters or modalities
