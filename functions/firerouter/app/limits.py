"""What an instance may take: the limits of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..callable import WireLimits
from ..openrouter import OpenRouterLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field per room."""

    callable: WireLimits = field(default_factory=WireLimits)
    openrouter: OpenRouterLimits = field(default_factory=OpenRouterLimits)
