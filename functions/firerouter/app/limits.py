"""What an instance may take: the limits of each room, handed to it when its parts are built."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..admin import AdminLimits
from ..features import SettingsLimits
from ..firestore import ConfigLimits
from ..keys import KeyLimits
from ..models import CatalogLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """One field per room."""

    admin: AdminLimits = field(default_factory=AdminLimits)
    config: ConfigLimits = field(default_factory=ConfigLimits)
    features: SettingsLimits = field(default_factory=SettingsLimits)
    keys: KeyLimits = field(default_factory=KeyLimits)
    models: CatalogLimits = field(default_factory=CatalogLimits)
