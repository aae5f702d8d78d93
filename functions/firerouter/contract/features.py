"""The data of `list_features` and `set_preferences`."""

from __future__ import annotations

from .base import Record
from .fields import (
    ModelId,
    Name,
)


class ListFeatures(Record):
    """The data of `list_features`: none."""


class SetPreferences(Record):
    """The data of `set_preferences`. model: the user's own default; None for the feature's."""

    feature: Name
    model: ModelId | None
