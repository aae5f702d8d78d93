"""Features: their settings, and the models that they may use."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .abilities import (
        DEFAULT_MODELS,
        paid_extras,
    )
    from .app_settings import AppSettings, read_app_settings
    from .app_settings_store import AppSettingsStore, StoredAppSettings
    from .defaults import DEFAULTS
    from .feature import Draft, Feature, StoredFeature, differences, same_settings
    from .limits import SettingsLimits
    from .listing import FeatureListing
    from .low_caps import (
        features_over_caps,
        low_caps_of_app,
        low_caps_of_feature,
        low_caps_of_user,
    )
    from .model_choice import ModelChoice
    from .patch import (
        patched,
    )
    from .review import Finding, Review, review_settings
    from .selection import ModelSelection, SupportedRequest, unsupported_notice
    from .settings import EMBEDDING, FREE_MODEL, IMAGE, FeatureSettings
    from .store import FeatureStore
    from .template import render
else:
    __getattr__ = lazily(
        __name__,
        {
            "abilities": (
                "DEFAULT_MODELS",
                "paid_extras",
            ),
            "app_settings": (
                "AppSettings",
                "read_app_settings",
            ),
            "app_settings_store": (
                "AppSettingsStore",
                "StoredAppSettings",
            ),
            "defaults": ("DEFAULTS",),
            "feature": (
                "Draft",
                "Feature",
                "StoredFeature",
                "differences",
                "same_settings",
            ),
            "limits": ("SettingsLimits",),
            "listing": ("FeatureListing",),
            "low_caps": (
                "features_over_caps",
                "low_caps_of_app",
                "low_caps_of_feature",
                "low_caps_of_user",
            ),
            "model_choice": ("ModelChoice",),
            "patch": ("patched",),
            "review": (
                "Finding",
                "Review",
                "review_settings",
            ),
            "selection": (
                "ModelSelection",
                "SupportedRequest",
                "unsupported_notice",
            ),
            "settings": (
                "EMBEDDING",
                "FREE_MODEL",
                "FeatureSettings",
                "IMAGE",
            ),
            "store": ("FeatureStore",),
            "template": ("render",),
        },
    )

__all__ = (
    "DEFAULTS",
    "DEFAULT_MODELS",
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
    "ModelChoice",
    "ModelSelection",
    "Review",
    "SettingsLimits",
    "StoredAppSettings",
    "StoredFeature",
    "SupportedRequest",
    "differences",
    "features_over_caps",
    "low_caps_of_app",
    "low_caps_of_feature",
    "low_caps_of_user",
    "paid_extras",
    "patched",
    "read_app_settings",
    "render",
    "review_settings",
    "same_settings",
    "unsupported_notice",
)
