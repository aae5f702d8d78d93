"""What a model's ID says by itself. Pure."""

from __future__ import annotations

import re
from typing import Final

_FREE: Final = re.compile(r"[^:@]+:free")


def is_free(id_: str) -> bool:
    """Return whether a model is free by its name alone: a free variant, or the router to those."""
    # a second suffix may be billed (:online is), and a preset may use any model
    return bool(_FREE.fullmatch(id_)) or id_ == "openrouter/free"


_CLAUDE: Final = re.compile(r"~?anthropic/")


def takes_cache_control(id_: str) -> bool:
    """Return whether a model caches prompts only if the request says so.

    Claude's providers need to be told. Others cache by themselves or not at all, and one that does
    not know the field would be skipped where `require_parameters` is set.
    """
    return _CLAUDE.match(id_) is not None
