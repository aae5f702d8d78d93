"""Features: their settings, and which models they may ask."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .abilities import paid_extras
    from .app_settings import AppSettings, AppSettingsStore, GeneralSettings, StoredAppSettings
    from .defaults import DEFAULTS
    from .listing import FeatureListing
    from .model_choice import ModelChoice, Notices, left_out
    from .review import Finding, Review, review_settings
    from .settings import EMBEDDING, FREE_MODEL, IMAGE, Draft, Feature, FeatureSettings, differences
    from .store import FeatureStore, StoredFeature
    from .template import render

__all__ = (
    "DEFAULTS",
    "EMBEDDING",
    "FREE_MODEL",
    "IMAGE",
    "AppSettings",
    "AppSettingsStore",
    "Draft",
    "Feature",
    "FeatureListing",
    "FeatureSettings",
    "FeatureStore",
    "Finding",
    "GeneralSettings",
    "ModelChoice",
    "Notices",
    "Review",
    "StoredAppSettings",
    "StoredFeature",
    "differences",
    "left_out",
    "paid_extras",
    "render",
    "review_settings",
)
__getattr__ = lazily(
    __name__,
    {
        "abilities": ("paid_extras",),
        "app_settings": (
            "AppSettings",
            "AppSettingsStore",
            "GeneralSettings",
            "StoredAppSettings",
        ),
        "defaults": ("DEFAULTS",),
        "listing": ("FeatureListing",),
        "model_choice": (
            "ModelChoice",
            "Notices",
            "left_out",
        ),
        "review": (
            "Finding",
            "Review",
            "review_settings",
        ),
        "settings": (
            "Draft",
            "EMBEDDING",
            "FREE_MODEL",
            "Feature",
            "FeatureSettings",
            "IMAGE",
            "differences",
        ),
        "store": (
            "FeatureStore",
            "StoredFeature",
        ),
        "template": ("render",),
    },
)
