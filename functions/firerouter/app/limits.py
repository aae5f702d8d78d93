"""What an instance may take: the bounds of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..conversations import ConversationLimits
from ..files import FileLimits
from ..generation import PromptLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field a room."""

    conversations: ConversationLimits = field(default_factory=ConversationLimits)
    files: FileLimits = field(default_factory=FileLimits)
    prompts: PromptLimits = field(default_factory=PromptLimits)
