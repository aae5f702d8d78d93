"""What an instance may take: the bounds of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..conversations import ConversationLimits
from ..delivery import DeliveryLimits
from ..files import FileLimits
from ..firestore import FirestoreLimits
from ..generation import PromptLimits
from ..ledger import LedgerLimits
from ..users import IdentityLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field a room."""

    conversations: ConversationLimits = field(default_factory=ConversationLimits)
    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)
    files: FileLimits = field(default_factory=FileLimits)
    firestore: FirestoreLimits = field(default_factory=FirestoreLimits)
    identity: IdentityLimits = field(default_factory=IdentityLimits)
    ledger: LedgerLimits = field(default_factory=LedgerLimits)
    prompts: PromptLimits = field(default_factory=PromptLimits)
