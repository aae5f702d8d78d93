"""What an instance may take: the limits of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..callable import WireLimits
from ..delivery import DeliveryLimits
from ..firestore import FirestoreLimits
from ..ledger import LedgerLimits
from ..openrouter import OpenRouterLimits
from ..users import IdentityLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field per room."""

    callable: WireLimits = field(default_factory=WireLimits)
    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)
    firestore: FirestoreLimits = field(default_factory=FirestoreLimits)
    identity: IdentityLimits = field(default_factory=IdentityLimits)
    ledger: LedgerLimits = field(default_factory=LedgerLimits)
    openrouter: OpenRouterLimits = field(default_factory=OpenRouterLimits)
