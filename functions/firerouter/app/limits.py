"""What an instance may take: the bounds of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..delivery import DeliveryLimits
from ..firestore import FirestoreLimits
from ..ledger import LedgerLimits
from ..users import IdentityLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field a room."""

    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)
    firestore: FirestoreLimits = field(default_factory=FirestoreLimits)
    identity: IdentityLimits = field(default_factory=IdentityLimits)
    ledger: LedgerLimits = field(default_factory=LedgerLimits)
