"""What an instance may take: the limits of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..admin import AdminLimits
from ..delivery import DeliveryLimits
from ..features import SettingsLimits
from ..firestore import ConfigLimits, FirestoreLimits
from ..keys import KeyLimits
from ..ledger import LedgerLimits
from ..models import CatalogLimits
from ..users import IdentityLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field per room."""

    admin: AdminLimits = field(default_factory=AdminLimits)
    config: ConfigLimits = field(default_factory=ConfigLimits)
    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)
    features: SettingsLimits = field(default_factory=SettingsLimits)
    firestore: FirestoreLimits = field(default_factory=FirestoreLimits)
    identity: IdentityLimits = field(default_factory=IdentityLimits)
    keys: KeyLimits = field(default_factory=KeyLimits)
    ledger: LedgerLimits = field(default_factory=LedgerLimits)
    models: CatalogLimits = field(default_factory=CatalogLimits)
