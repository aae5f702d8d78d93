"""The requests of `list_features` and `set_preferences`."""

from __future__ import annotations

from .base import Record
from .fields import ModelId, Name


class ListFeatures(Record):
    """List the features that are switched on, as this user may see them."""


class SetPreferences(Record):
    """Choose the user's own default model for a feature."""

    feature: Name
    """The feature."""
    model: ModelId | None = None
    """One of the feature's `models`. Default: the feature's own model, whatever was chosen
    before."""
