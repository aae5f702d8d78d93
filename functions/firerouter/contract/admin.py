"""What admins send: the data of their callables, read as `contract` reads everybody's."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from .. import limits
from .base import Record
from .fields import Name, Number
from .prompts import ExecutePrompt


def _key(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", value.strip()):
        raise PydanticCustomError("key", "must be printable ASCII without spaces")
    return value.strip()


Position = Annotated[int, Field(ge=1, le=limits.KEYS_MAX)]


class TestConnection(Record):
    """The data of `test_openrouter_connection`: a candidate key, or the place of a stored one.

    feature: one that has keys of its own; without it the default ones are meant.
    position: the first, if it is not given.
    """

    key: Annotated[str, AfterValidator(_key)] | None = Field(
        default=None, min_length=limits.KEY_MIN_CHARS, max_length=limits.KEY_MAX_CHARS, repr=False
    )
    feature: Name | None = None
    position: Position = 1

    @model_validator(mode="after")
    def _one_key(self) -> TestConnection:
        if self.key is not None and self.model_fields_set & {"feature", "position"}:
            raise PydanticCustomError("key", "give either key or the place of a stored one")
        return self


class SetKey(Record):
    """The data of `set_openrouter_key`: the key that is to serve.

    feature: which is to have it as its own. It need not exist yet.
    position: its place in the order; the key that is there is replaced, one past the end appends.
    """

    key: Annotated[str, AfterValidator(_key)] = Field(
        min_length=limits.KEY_MIN_CHARS, max_length=limits.KEY_MAX_CHARS, repr=False
    )
    feature: Name | None = None
    position: Position = 1


class RemoveKey(Record):
    """The data of `remove_openrouter_key`: one key of a slot, or without a position all of them."""

    feature: Name | None = None
    position: Position | None = None


class RefreshCatalog(Record):
    """The data of `refresh_catalog`: none."""


Note = Annotated[str, Field(max_length=limits.NOTE_MAX_CHARS)]
Revision = Annotated[int, Field(ge=0, lt=2**53)]


class SaveFeatureSettings(Record):
    """The data of `save_feature_settings`.

    settings: all of them, as FeatureSettings has them; what is not given returns to its default.
    enabled: on or off; alone, the settings stay as they are.
    revision: the one that the settings were made from, 0 for a feature that is new.
    draft_percent: of the users, who get these settings as a draft; nobody else does.
    note: why, for whoever reads the revisions. validate_only: look, but save nothing.
    """

    feature: Name
    settings: dict[str, Any] | None = None
    enabled: bool | None = None
    revision: Revision | None = None
    draft_percent: Annotated[Number, Field(ge=0, le=100)] | None = None
    note: Note = ""
    validate_only: bool = False

    @model_validator(mode="after")
    def _one_change(self) -> SaveFeatureSettings:
        if self.settings is None:
            if self.enabled is None:
                raise PydanticCustomError("settings", "give settings, or enabled, or both")
            if self.draft_percent is not None or self.validate_only:
                raise PydanticCustomError("settings", "settings are required for that")
        elif self.enabled is not None and self.draft_percent is not None:
            raise PydanticCustomError(
                "enabled", "enabled is for everybody: save it apart from a draft"
            )
        return self


class ResetFeature(Record):
    """The data of `reset_feature_settings`. revision: the one that serves, as was looked at."""

    feature: Name
    revision: Revision
    note: Note = ""


class RestoreFeature(Record):
    """The data of `restore_feature_settings`. restore: the revision whose settings are to serve."""

    feature: Name
    revision: Revision
    restore: Revision
    note: Note = ""


class PromoteDraft(Record):
    """The data of `promote_draft`. revision: the draft's."""

    feature: Name
    revision: Revision
    note: Note = ""


class DropDraft(PromoteDraft):
    """The data of `drop_draft`. revision: the draft's."""


class TestFeatureSettings(ExecutePrompt):
    """The data of `test_feature_settings`: a prompt, and the settings to try it with.

    settings: as `save_feature_settings` takes them; None for those that are stored.
    """

    settings: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _stateless(self) -> TestFeatureSettings:
        if self.conversation_id is not None:
            raise PydanticCustomError("conversation", "a test is written down in no conversation")
        return self


class SaveAppSettings(Record):
    """The data of `save_app_settings`. settings: those that change. revision: of those seen."""

    settings: dict[str, Any]
    revision: Revision
    note: Note = ""
