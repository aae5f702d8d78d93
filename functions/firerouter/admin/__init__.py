"""What admins call: settings of features and of the app, keys, checks of models, live tests."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .app_settings import AppSettingsAdmin
    from .features import FeatureAdmin
    from .key_check import KeyCheck
    from .keys import KeyAdmin
    from .limits import AdminLimits
    from .model_check import ModelCheck
    from .preview import Preview
    from .users import UserAdmin
else:
    __getattr__ = lazily(
        __name__,
        {
            "app_settings": ("AppSettingsAdmin",),
            "features": ("FeatureAdmin",),
            "key_check": ("KeyCheck",),
            "keys": ("KeyAdmin",),
            "limits": ("AdminLimits",),
            "model_check": ("ModelCheck",),
            "preview": ("Preview",),
            "users": ("UserAdmin",),
        },
    )

__all__ = (
    "AdminLimits",
    "AppSettingsAdmin",
    "FeatureAdmin",
    "KeyAdmin",
    "KeyCheck",
    "ModelCheck",
    "Preview",
    "UserAdmin",
)
