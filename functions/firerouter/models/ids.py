"""What a model's id says by itself. Pure."""

from __future__ import annotations

import re
from typing import Final

_FREE: Final = re.compile(r"[^:@]+:free")


def is_free(asked: str) -> bool:
    """Whether asking it is free by its name alone: a free variant, or the router to those."""
    # a second suffix may be billed (:online is), and a preset may ask anything
    return bool(_FREE.fullmatch(asked)) or asked == "openrouter/free"


_CLAUDE: Final = re.compile(r"~?anthropic/")


def takes_cache_control(model: str) -> bool:
    """Whether the prompt is only cached when that is asked for, for the whole of a request.

    Claude's providers want to be asked. Others cache by themselves, or not at all; one that does
    not know the field would be left out where `require_parameters` is set.
    """
    return _CLAUDE.match(model) is not None
