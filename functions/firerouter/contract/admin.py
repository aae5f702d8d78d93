"""The requests of the callables for admins."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from .. import limits
from .base import Record, without_nulls
from .fields import Matches, Name, Number, invalid_part
from .prompts import ExecutePrompt


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


Key = Annotated[
    str,
    BeforeValidator(_stripped),  # as it was pasted
    Field(min_length=limits.KEY_MIN_CHARS, max_length=limits.KEY_MAX_CHARS),
    Matches(r"[\x21-\x7e]+", "must be printable ASCII without spaces"),
]
Position = Annotated[int, Field(ge=1, le=limits.KEYS_MAX)]
Note = Annotated[str, Field(max_length=limits.NOTE_MAX_CHARS)]
Revision = Annotated[int, Field(ge=0, le=limits.WHOLE_NUMBER_MAX)]
Removed = Annotated[
    list[Annotated[str, Field(max_length=limits.NAME_MAX_CHARS)]],
    Field(max_length=limits.REMOVED_MAX),
]
Percent = Annotated[Number, Field(ge=0, le=100)]

_KEY_FIELDS: Final = frozenset({"feature", "position"})


class TestConnection(Record):
    """Check a key with OpenRouter: a stored one, or one that is not stored yet. This is free."""

    key: Key | None = Field(default=None, repr=False)
    """A key that is not stored yet. Not allowed with `feature` or `position`."""
    feature: Name | None = None
    """A feature that has keys of its own. Default: the default keys."""
    position: Position = 1
    """The key's place in the order."""

    @model_validator(mode="after")
    def _one_key(self) -> TestConnection:
        if self.key is not None and self.model_fields_set & _KEY_FIELDS:
            raise invalid_part("key", "is not allowed with feature or position")
        return self


class SetKey(Record):
    """Validate an OpenRouter key with OpenRouter, store it and make it active.

    The key that it replaces is disabled in Secret Manager. No call ever returns a key.
    """

    key: Key = Field(repr=False)
    """The key."""
    feature: Name | None = None
    """The feature whose own key it becomes; the feature need not exist yet. Default: it becomes one
    of the default keys."""
    position: Position = 1
    """Its place in the order. The key that is there is replaced; one past the end appends."""


class RemoveKey(Record):
    """Remove one OpenRouter key, all default keys, or all keys of one feature."""

    feature: Name | None = None
    """The feature whose own keys to remove. Default: the default keys."""
    position: Position | None = None
    """The place of the key to remove; the ones after it move up. Default: all of them."""


class ListKeys(Record):
    """List the OpenRouter keys, each checked with OpenRouter. This is free. No call ever returns a
    key."""


class RefreshCatalog(Record):
    """Fetch the list of models from OpenRouter now, even if the stored one is recent."""


class GetFeatureSettings(Record):
    """Get what a settings dialog needs: the settings of a feature, or of all, and every field's
    bounds and help."""

    feature: Name | None = None
    """The feature. Default: all of them, the built-in ones included."""


class SaveFeatureSettings(Record):
    """Change a feature's settings, or save a draft of them for a share of the users.

    Saving a new name creates a feature.
    """

    feature: Name
    """The feature."""
    settings: dict[str, object] | None = None
    """The settings to change, as [FeatureSettings](#featuresettings) describes them; the others
    stay as they are. Required unless `enabled` is given."""
    remove: Removed = Field(default_factory=list)
    """Settings to unset, such as `temperature` or `limits.usdPerDay`: their defaults hold again."""
    replace: bool = False
    """Whether `settings` are all of the settings: then one that is not given is unset."""
    enabled: bool | None = None
    """Switches the feature on or off. Without `settings`, this creates no revision and requires no
    `revision`."""
    revision: Revision | None = None
    """The revision that the settings were based on, or the draft's with `draftPercent`, if there
    is a draft. Default: 0, for a feature that was never saved."""
    draft_percent: Percent | None = None
    """Makes these settings a draft for this share of the users, in percent; it is always the same
    users. Unchanged settings with another percentage remain the same draft."""
    note: Note = ""
    """The reason, for other admins who read the revisions."""
    validate_only: bool = False
    """Validate the settings and save nothing."""

    @model_validator(mode="after")
    def _one_change(self) -> SaveFeatureSettings:
        if self.settings is None:
            if self.enabled is None:
                raise invalid_part("settings", "or enabled is required")
            if self.draft_percent is not None or self.validate_only or self.replace or self.remove:
                what = "is required with draftPercent, validateOnly, remove and replace"
                raise invalid_part("settings", what)
        elif self.enabled is not None and self.draft_percent is not None:
            raise invalid_part("enabled", "applies to all users: save it separately from a draft")
        return self


class ResetFeature(Record):
    """Make a built-in feature's original settings active again, as a new revision."""

    feature: Name
    """The feature, one of the built-in ones."""
    revision: Revision
    """The active revision, to detect that another admin has changed the feature meanwhile."""
    note: Note = ""
    """The reason, for other admins who read the revisions."""


class RestoreFeature(Record):
    """Make the settings of an older revision active again, as a new revision."""

    feature: Name
    """The feature."""
    revision: Revision
    """The active revision, to detect that another admin has changed the feature meanwhile."""
    restore: Revision
    """The revision whose settings become active again; 0 for the built-in settings."""
    note: Note = ""
    """The reason, for other admins who read the revisions."""


class DeleteFeature(Record):
    """Delete a feature of your own. Its calls are refused from then on.

    Its revisions are kept: `restore_feature_settings` brings it back.
    """

    feature: Name
    """The feature, which is not a built-in one."""
    revision: Revision
    """The active revision, to detect that another admin has changed the feature meanwhile."""
    note: Note = ""
    """The reason, for other admins who read the audit log."""


class PromoteDraft(Record):
    """Make a feature's draft active for all users."""

    feature: Name
    """The feature."""
    revision: Revision
    """The draft's revision, to detect that another admin has changed the draft meanwhile."""
    note: Note = ""
    """The reason, for other admins who read the revisions."""


class DropDraft(PromoteDraft):
    """Discard a feature's draft. Its users get the active settings again."""


class TestFeatureSettings(ExecutePrompt):
    """Try settings with one prompt, before any user gets them.

    This also works for features that are switched off. The ledger marks the generation as a test.
    """

    settings: dict[str, object] | None = None
    """The settings to try, as [save_feature_settings](save_feature_settings.md) takes them: those
    that are not given are the stored ones. Default: the settings that are stored."""
    remove: Removed = Field(default_factory=list)
    """Settings to unset, as save_feature_settings takes them."""
    replace: bool = False
    """Whether `settings` are all of the settings: then one that is not given is unset."""

    @model_validator(mode="after")
    def _stateless(self) -> TestFeatureSettings:
        if self.conversation_id is not None:
            raise invalid_part("conversationId", "is not allowed: a test is not stored")
        return self


class SaveAppSettings(Record):
    """Change settings of the app as a whole."""

    settings: Annotated[dict[str, object], BeforeValidator(without_nulls)]
    """The settings to change, as [AppSettings](#appsettings) describes them; the others stay as
    they are."""
    remove: Annotated[
        list[Literal["limits.requestsPerDay", "limits.tokensPerDay"]], Field(max_length=2)
    ] = Field(default_factory=list)
    """Limits that no longer hold, of those that have no default."""
    revision: Revision
    """The revision that the change is based on; 0 if these settings were never saved."""
    note: Note = ""
    """The reason, for other admins who read the audit log."""
    validate_only: bool = False
    """Validate the settings, list what would not work any more with them, and save nothing."""


class RestoreAppSettings(Record):
    """Make the app's settings of an older revision active again, as a new revision."""

    revision: Revision
    """The active revision, to detect that another admin has changed the settings meanwhile."""
    restore: Revision
    """The revision whose settings become active again; 0 for those of a new app."""
    note: Note = ""
    """The reason, for other admins who read the audit log."""
