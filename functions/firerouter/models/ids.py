"""What a model's ID alone reveals. Pure."""

from __future__ import annotations

import re
from typing import Final

_FREE: Final = re.compile(r"[^:@]+:free")


def is_free(id_: str) -> bool:
    """Return whether an ID is free by its name: a free variant, or the router to free models."""
    # a second suffix may be billed (:online is), and a preset may use any model
    return bool(_FREE.fullmatch(id_)) or id_ == "openrouter/free"


_CLAUDE: Final = re.compile(r"~?anthropic/")


def takes_cache_control(id_: str) -> bool:
    """Return whether a model caches prompts only if the request says so.

    This is so for Claude. Other models cache automatically or not at all, and with
    `require_parameters`, a provider that does not know the field would be skipped.
    """
    return _CLAUDE.match(id_) is not None
