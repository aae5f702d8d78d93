"""Admins change features: save, reset, restore, and drafts for some of the users.

Every change is one commit of the feature, its new revision and its audit entry, guarded by the
version that it was made from. A change that was made from an older revision is refused with both
versions; one that collides with another change in the document is retried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from pydantic import ValidationError

from .. import log
from ..callable import Call, CallableError
from ..contract import (
    DropDraft,
    PromoteDraft,
    ResetFeature,
    RestoreFeature,
    SaveFeatureSettings,
    parse,
)
from ..errors import (
    CatalogUnavailable,
    FeatureUnknown,
    InvalidArgument,
    RevisionUnknown,
    SettingsChanged,
    SettingsInvalid,
)
from ..features import (
    DEFAULTS,
    AppSettingsStore,
    FeatureSettings,
    FeatureStore,
    Review,
    StoredFeature,
    low_caps_of_feature,
    patched,
    review_settings,
)
from ..firestore import Change
from ..models import Catalog, ModelList
from ..users import Caller
from . import revisions
from .hand_edits import HandEdits
from .limits import AdminLimits
from .revisions import Author, FeatureChange

Json = dict[str, object]


class FeatureAdmin:
    """The callables that change features. One per instance.

    Each returns `{feature, enabled, revision, settings, draft, changes, warnings}`, and raises
    SettingsChanged, SettingsUnavailable and InvalidArgument, besides the errors that it names.
    """

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        catalog: Catalog,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: AdminLimits = AdminLimits(),
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._catalog = catalog
        self._now = now
        self._limits = limits
        self._edits = HandEdits(features, limits=limits)

    async def save(self, call: Call[Caller]) -> Json:
        """Activate settings for everybody or, with `draftPercent`, for some of the users.

        Without settings, turn the feature on or off. Raises SettingsRefused, FeatureUnknown.
        """
        request = parse(SaveFeatureSettings, call.data)
        id_, percent = request.feature, request.draft_percent
        author = Author.of(call, "save_feature_settings", request.note)
        if request.settings is None:
            # nothing else is checked: turning a feature off may be urgent
            enabled = bool(request.enabled)
            return await self._change(
                id_, author, request.revision, lambda stored, _: revisions.toggle(stored, enabled)
            )
        about_draft = percent is not None
        stored = await self.read(id_)
        if stored.is_absent:
            await self._check_new(id_, about_draft=about_draft)
        base = request.revision or 0
        before = await self._settings_at(base, id_, stored, about_draft=about_draft)
        values = (
            request.settings
            if request.replace
            else patched(before, request.settings, request.remove)
        )
        settings, review = await self.check(values, before)
        if request.validate_only:
            warnings = [finding.to_wire() for finding in review.warnings]
            return {"feature": id_, "valid": True, "warnings": warnings}

        def make(stored: StoredFeature, number: int) -> FeatureChange:
            if percent is not None:
                return revisions.draft(stored, settings, number, percent)
            return revisions.publish(stored, id_, settings, number, request.enabled)

        return await self._change(id_, author, base, make, review=review, about_draft=about_draft)

    async def reset(self, call: Call[Caller]) -> Json:
        """Activate the built-in settings again, as a new revision. Raises SettingsRefused."""
        request = parse(ResetFeature, call.data)
        if request.feature not in DEFAULTS:
            sentence = "Only built-in features can be reset. Restore an earlier revision instead."
            raise InvalidArgument(sentence, field="feature")
        author = Author.of(call, "reset_feature_settings", request.note)
        settings = DEFAULTS[request.feature].settings
        return await self._go_back(settings, request.feature, request.revision, author)

    async def restore(self, call: Call[Caller]) -> Json:
        """Activate an older revision's settings again, as a new revision.

        Raises RevisionUnknown, SettingsInvalid, SettingsRefused.
        """
        request = parse(RestoreFeature, call.data)
        author = Author.of(call, "restore_feature_settings", request.note)
        settings = await self._features.revision(request.feature, request.restore)
        if (await self.read(request.feature)).is_absent:  # it was deleted
            await self._check_new(request.feature, about_draft=False)
        return await self._go_back(settings, request.feature, request.revision, author)

    async def promote_draft(self, call: Call[Caller]) -> Json:
        """Activate the draft for everybody. Raises NoDraft, FeatureUnknown, SettingsRefused."""
        request = parse(PromoteDraft, call.data)
        author = Author.of(call, "promote_draft", request.note)
        feature = (await self.read(request.feature)).feature
        draft = feature.draft if feature else None
        return await self._change(
            request.feature,
            author,
            request.revision,
            revisions.promote,
            review=await self._review_again(draft.settings) if draft else None,
            about_draft=True,
        )

    async def drop_draft(self, call: Call[Caller]) -> Json:
        """End the draft. Raises NoDraft, FeatureUnknown."""
        request = parse(DropDraft, call.data)
        return await self._change(
            request.feature,
            Author.of(call, "drop_draft", request.note),
            request.revision,
            lambda stored, _: revisions.discard_draft(stored),
            about_draft=True,
        )

    async def read(self, id_: str) -> StoredFeature:
        """Return a feature as it is stored now, with edits in the console recorded."""
        return await self.recorded(id_, await self._features.read(id_))

    async def recorded(self, id_: str, stored: StoredFeature) -> StoredFeature:
        """Return a feature that was just read, with edits in the console recorded."""
        return await self._edits.recorded(id_, stored)

    async def check(
        self, values: Mapping[str, object], before: FeatureSettings | None
    ) -> tuple[FeatureSettings, Review]:
        """Return `values` as settings, with warnings: types and ranges first, then the catalog.

        Args:
            values: The settings as an admin sent them.
            before: The settings that they replace.

        Raises:
            SettingsRefused: With every field that is wrong.
        """
        try:
            settings = FeatureSettings.model_validate(values, by_alias=True, by_name=False)
        except ValidationError as error:
            raise revisions.invalid(error, self._limits) from None
        review = await self.review(settings, before)
        if review.errors:
            raise revisions.refused(review, self._limits)
        return settings, review

    async def replace(
        self, id_: str, settings: FeatureSettings, base: int, author: Author, review: Review
    ) -> Json:
        """Activate settings whatever the review found: it supplies only warnings and prices.

        Raises SettingsChanged.
        """

        def make(stored: StoredFeature, number: int) -> FeatureChange:
            return revisions.publish(stored, id_, settings, number)

        return await self._change(id_, author, base, make, review=review)

    # -- the change ----------------------------------------------------------------------------

    async def _go_back(
        self, settings: FeatureSettings, id_: str, base: int, author: Author
    ) -> Json:
        review = await self._review_again(settings)
        return await self.replace(id_, settings, base, author, review)

    async def _review_again(self, settings: FeatureSettings) -> Review:
        """Review settings that were saved before: whatever became of their models is a warning.

        Raises SettingsRefused if they would be billed and the app allows only free models.
        """
        review = await self.review(settings, settings)
        if paid := [finding for finding in review.errors if finding.reason == "paid_model"]:
            raise revisions.refused(Review(errors=paid, warnings=review.warnings), self._limits)
        return Review(review.models, warnings=[*review.errors, *review.warnings])

    async def _change(
        self,
        id_: str,
        author: Author,
        base: int | None,
        make: Callable[[StoredFeature, int], FeatureChange],
        *,
        review: Review | None = None,
        about_draft: bool = False,
    ) -> Json:
        """Commit a change, and return what the admin gets.

        Args:
            id_: The feature.
            author: Who makes the change.
            base: The revision that it was made from; None if that does not matter.
            make: Returns the change, given the stored feature and the next revision's number.
            review: The review of the settings.
            about_draft: Whether the change is about the draft.
        """
        review = review or Review()
        for attempt in range(self._limits.attempts):
            stored = await self.read(id_)
            change = make(stored, await self._next_number(id_, stored) + attempt)
            models = review.models
            prices = None if models is None else revisions.prices_of(change.feature, models)
            if revisions.changes_nothing(change, stored, prices):
                return change.to_wire(review)
            seen, _ = revisions.seen_revision(stored, about_draft=about_draft)
            if base is not None and base != seen:
                yours = change.after.to_json() if change.after else {}
                raise revisions.feature_conflict(stored, yours, base, about_draft=about_draft)
            try:
                await self._save(stored, change, author, seen, prices)
            except SettingsChanged:
                continue
            log.info(author.action, feature=id_, revision=change.feature.revision)
            return change.to_wire(review)
        raise SettingsChanged

    async def _save(
        self,
        stored: StoredFeature,
        change: FeatureChange,
        author: Author,
        base: int,
        prices: list[Json] | None,
    ) -> None:
        now = self._now()
        before, after = revisions.audited_sides(stored, change.feature)
        beside: Json = {"savedAt": now, "savedBy": author.uid}
        await self._features.save(
            stored,
            change.feature,
            Change(
                by=author.uid,
                email=author.email,
                action=author.action,
                target=f"features/{change.feature.id}",
                before=before,
                after=after,
                note=author.note,
            ),
            beside=beside if prices is None else beside | {"prices": prices},
            revision=change.revision_document(author, base, now),
            promoted=change.promoted,
        )

    async def _next_number(self, id_: str, stored: StoredFeature) -> int:
        feature = stored.feature
        draft = feature.draft.revision if feature and feature.draft else 0
        newest = await self._features.newest_number(id_)
        return max(newest, draft, feature.revision if feature else 0) + 1

    async def review(self, settings: FeatureSettings, before: FeatureSettings | None) -> Review:
        """Return what is wrong with settings, or may go wrong, given those that they replace."""
        app = await self._app_settings.get(refresh=True)  # an admin may have just changed them
        models = None
        try:
            models = await self._listed(settings.model_ids())
        except CallableError as error:
            log.warning("settings_not_checked", reason=error.reason)
        review = review_settings(
            settings,
            models,
            free_only=app.free_models_only,
            known=frozenset(before.model_ids() if before else ()),
            today=self._now().date(),
        )
        review.warnings += low_caps_of_feature(settings, models, app.limits.reserve_usd)
        return review

    async def _listed(self, ids: Sequence[str]) -> ModelList:
        """Return the catalog. Unlike a user, an admin waits for the first list to be fetched."""
        try:
            return await self._catalog.get(*ids)
        except CatalogUnavailable:
            return (await self._catalog.refresh()).models

    async def _settings_at(
        self, base: int, id_: str, stored: StoredFeature, *, about_draft: bool
    ) -> FeatureSettings | None:
        """Return the settings of the revision that a change was made from, as far as it is known.

        If that is not the active one, the change will be refused with both versions.
        """
        revision, settings = revisions.seen_revision(stored, about_draft=about_draft)
        if base != revision:
            with suppress(RevisionUnknown, SettingsInvalid):
                return await self._features.revision(id_, base)
        return settings

    async def _check_new(self, id_: str, *, about_draft: bool) -> None:
        """Check that a feature with this ID may be created. Raises FeatureUnknown, InvalidArgument.

        An ID that differs from another only by case would be taken for it.
        """
        if about_draft:
            sentence = "Save the feature before you save a draft of it."
            raise FeatureUnknown(sentence, field="feature")
        ids = (await self._features.read_all()).keys()
        if same := next((one for one in ids if one.lower() == id_.lower()), None):
            sentence = (
                f"There is a feature {same} already. Choose a name that differs by more than upper "
                "and lower case."
            )
            raise InvalidArgument(sentence, field="feature")
        features_max = self._features.limits.features_max
        if len(ids) >= features_max:
            sentence = f"An app can have at most {features_max} features."
            raise InvalidArgument(sentence, field="feature")
