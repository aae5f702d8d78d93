"""The run-time limits of an instance: each room's, passed in when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..admin import AdminLimits
from ..callable import WireLimits
from ..conversations import ConversationLimits
from ..delivery import DeliveryLimits
from ..features import SettingsLimits
from ..files import FileLimits
from ..firestore import ConfigLimits, FirestoreLimits
from ..generation import GenerationLimits
from ..keys import KeyLimits
from ..ledger import LedgerLimits
from ..models import CatalogLimits
from ..openrouter import OpenRouterLimits
from ..reports import ReportLimits
from ..users import CallLimits, IdentityLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field per room."""

    admin: AdminLimits = field(default_factory=AdminLimits)
    calls: CallLimits = field(default_factory=CallLimits)
    callable: WireLimits = field(default_factory=WireLimits)
    config: ConfigLimits = field(default_factory=ConfigLimits)
    conversations: ConversationLimits = field(default_factory=ConversationLimits)
    delivery: DeliveryLimits = field(default_factory=DeliveryLimits)
    features: SettingsLimits = field(default_factory=SettingsLimits)
    files: FileLimits = field(default_factory=FileLimits)
    firestore: FirestoreLimits = field(default_factory=FirestoreLimits)
    generation: GenerationLimits = field(default_factory=GenerationLimits)
    identity: IdentityLimits = field(default_factory=IdentityLimits)
    keys: KeyLimits = field(default_factory=KeyLimits)
    ledger: LedgerLimits = field(default_factory=LedgerLimits)
    models: CatalogLimits = field(default_factory=CatalogLimits)
    openrouter: OpenRouterLimits = field(default_factory=OpenRouterLimits)
    reports: ReportLimits = field(default_factory=ReportLimits)
