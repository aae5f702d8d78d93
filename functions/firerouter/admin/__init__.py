"""What admins call: settings of features and of the app, keys, checks of models, live tests."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .app_settings import AppSettingsAdmin
    from .feature_deletion import FeatureDeletion
    from .features import FeatureAdmin
    from .key_check import KeyCheck
    from .key_list import (
        KeyListing,
    )
    from .keys import KeyAdmin
    from .limits import AdminLimits
    from .model_check import ModelCheck
    from .overview import FeatureOverview
    from .preview import Preview
    from .users import UserAdmin
else:
    __getattr__ = lazily(
        __name__,
        {
            "app_settings": ("AppSettingsAdmin",),
            "feature_deletion": ("FeatureDeletion",),
            "features": ("FeatureAdmin",),
            "key_check": ("KeyCheck",),
            "key_list": ("KeyListing",),
            "keys": ("KeyAdmin",),
            "limits": ("AdminLimits",),
            "model_check": ("ModelCheck",),
            "overview": ("FeatureOverview",),
            "preview": ("Preview",),
            "users": ("UserAdmin",),
        },
    )

__all__ = (
    "AdminLimits",
    "AppSettingsAdmin",
    "FeatureAdmin",
    "FeatureDeletion",
    "FeatureOverview",
    "KeyAdmin",
    "KeyCheck",
    "KeyListing",
    "ModelCheck",
    "Preview",
    "UserAdmin",
)
