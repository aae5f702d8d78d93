"""Admins change what features do: save, reset, restore, and drafts for a part of the users.

Every change is one commit of the feature, its new revision and the audit's entry, guarded by the
version of what it was made from. One that was made from an older revision is refused with both
versions; one that collides with something else in the document is made again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from .. import limits, log
from ..callable import Call, CallableError
from ..contract import (
    DropDraft,
    PromoteDraft,
    ResetFeature,
    RestoreFeature,
    SaveFeatureSettings,
    parse,
)
from ..errors import FeatureUnknown, InvalidArgument, SettingsChanged
from ..features import (
    DEFAULTS,
    AppSettingsStore,
    FeatureSettings,
    FeatureStore,
    Review,
    StoredFeature,
    review_settings,
)
from ..models import Catalog
from ..users import Caller
from . import revisions
from .revisions import Plan, Who


class FeatureAdmin:
    """The use cases that change features. One an instance.

    Each answers `{feature, enabled, revision, settings, draft, changes, warnings}` and raises
    SettingsChanged, SettingsUnavailable, InvalidArgument beside what it names itself.
    """

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        catalog: Catalog,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._catalog = catalog
        self._now = now

    async def save(self, call: Call[Caller]) -> dict[str, Any]:
        """Let other settings serve everybody, or with `draftPercent` a part of the users; without
        settings, switch the feature on or off. Raises SettingsRefused, FeatureUnknown."""
        request = parse(SaveFeatureSettings, call.data)
        id_, percent = request.feature, request.draft_percent
        who = Who.of(call, "save_feature_settings", request.note)
        if request.settings is None:
            # nothing else is looked at: somebody may be in a hurry
            enabled = bool(request.enabled)
            return await self._change(
                id_, who, request.revision, lambda stored, _: revisions.switched(stored, enabled)
            )
        trial = percent is not None
        stored = await self._features.read(id_)
        if stored.feature is None:
            await self._check_room(trial=trial)
        _, before = revisions.looked_at(stored, trial=trial)
        settings, found = await self.check(request.settings, before)
        if request.validate_only:
            warnings = [finding.to_wire() for finding in found.warnings]
            return {"feature": id_, "valid": True, "warnings": warnings}

        def plan(stored: StoredFeature, number: int) -> Plan:
            if percent is not None:
                return revisions.on_trial(stored, settings, number, percent)
            return revisions.served(stored, id_, settings, number, request.enabled)

        base = request.revision or 0
        return await self._change(id_, who, base, plan, found=found, trial=trial)

    async def reset(self, call: Call[Caller]) -> dict[str, Any]:
        """Let the built-in settings serve again, as a new revision. Raises SettingsRefused."""
        request = parse(ResetFeature, call.data)
        if request.feature not in DEFAULTS:
            sentence = "Only built-in features can be reset. Restore a revision of this one."
            raise InvalidArgument(sentence, field="feature")
        who = Who.of(call, "reset_feature_settings", request.note)
        settings = DEFAULTS[request.feature].settings
        return await self._go_back(settings, request.feature, request.revision, who)

    async def restore(self, call: Call[Caller]) -> dict[str, Any]:
        """Let an older revision's settings serve again, as a new revision.

        Raises RevisionUnknown, SettingsInvalid, SettingsRefused.
        """
        request = parse(RestoreFeature, call.data)
        who = Who.of(call, "restore_feature_settings", request.note)
        settings = await self._features.revision(request.feature, request.restore)
        return await self._go_back(settings, request.feature, request.revision, who)

    async def promote_draft(self, call: Call[Caller]) -> dict[str, Any]:
        """Let the draft serve everybody. Raises NoDraft, FeatureUnknown, SettingsRefused."""
        request = parse(PromoteDraft, call.data)
        who = Who.of(call, "promote_draft", request.note)
        feature = (await self._features.read(request.feature)).feature
        draft = feature.draft if feature else None
        found = await self._once_more(draft.settings) if draft else None
        return await self._change(
            request.feature, who, request.revision, revisions.promoted, found=found, trial=True
        )

    async def drop_draft(self, call: Call[Caller]) -> dict[str, Any]:
        """End the draft. Raises NoDraft, FeatureUnknown."""
        request = parse(DropDraft, call.data)
        who = Who.of(call, "drop_draft", request.note)
        return await self._change(
            request.feature,
            who,
            request.revision,
            lambda stored, _: revisions.dropped(stored),
            trial=True,
        )

    async def check(
        self, values: Any, before: FeatureSettings | None
    ) -> tuple[FeatureSettings, Review]:
        """`values` as settings, looked at field by field: types and ranges, then the catalog.

        before: what they replace. Raises SettingsRefused.
        """
        try:
            settings = FeatureSettings.model_validate(values, by_alias=True, by_name=False)
        except ValidationError as error:
            raise revisions.invalid(error) from None
        found = await self._review(settings, before)
        if found.errors:
            raise revisions.refused(found)
        return settings, found

    async def replace(
        self,
        id_: str,
        settings: FeatureSettings,
        base: int,
        who: Who,
        found: Review,
    ) -> dict[str, Any]:
        """Let settings serve that nobody typed just now, whatever was found of them.

        Raises SettingsChanged.
        """

        def plan(stored: StoredFeature, number: int) -> Plan:
            return revisions.served(stored, id_, settings, number)

        return await self._change(id_, who, base, plan, found=found)

    # -- the change ----------------------------------------------------------------------------

    async def _go_back(
        self, settings: FeatureSettings, id_: str, base: int, who: Who
    ) -> dict[str, Any]:
        return await self.replace(id_, settings, base, who, await self._once_more(settings))

    async def _once_more(self, settings: FeatureSettings) -> Review:
        """What served before may serve again, whatever became of its models since; but nothing
        that costs money where nothing may. Raises SettingsRefused."""
        found = await self._review(settings, settings)
        if paid := [finding for finding in found.errors if finding.reason == "paid_model"]:
            raise revisions.refused(Review(errors=paid, warnings=found.warnings))
        return Review(found.models, warnings=[*found.errors, *found.warnings])

    async def _change(
        self,
        id_: str,
        who: Who,
        base: int | None,
        plan: Callable[[StoredFeature, int], Plan],
        *,
        found: Review | None = None,
        trial: bool = False,
    ) -> dict[str, Any]:
        """Commit what `plan` makes of the stored feature and the number of its next revision.

        base: the revision it is made from, None where that does not matter. trial: it is about
        the draft.
        """
        found = found or Review()
        for attempt in range(limits.CHANGE_TRIES):
            stored = await self._features.read(id_)
            made = plan(stored, await self._next_number(id_, stored) + attempt)
            seen, _ = revisions.looked_at(stored, trial=trial)
            if base is not None and base != seen:
                raise revisions.outdated(stored, made, base, trial=trial)
            now = self._now()
            beside: dict[str, Any] = {"savedAt": now, "savedBy": who.uid}
            if found.models is not None:
                beside["prices"] = revisions.prices(made.feature, found.models)
            if revisions.is_as_stored(made, stored, beside.get("prices")):
                return made.to_wire(found)
            try:
                await self._features.save(
                    stored,
                    made.feature,
                    revisions.entry(who, stored, made.feature),
                    beside=beside,
                    revision=made.revision(who, seen, now),
                    promoted=made.promoted,
                )
            except SettingsChanged:
                continue
            log.info(who.action, feature=id_, revision=made.feature.revision)
            return made.to_wire(found)
        raise SettingsChanged

    async def _next_number(self, id_: str, stored: StoredFeature) -> int:
        feature = stored.feature
        drafted = feature.draft.revision if feature and feature.draft else 0
        kept = await self._features.newest_number(id_)
        return max(kept, drafted, feature.revision if feature else 0) + 1

    async def _review(self, settings: FeatureSettings, before: FeatureSettings | None) -> Review:
        app = await self._app_settings.get()
        models = None
        try:
            models = await self._catalog.get()
        except CallableError as error:
            log.warning("settings_not_checked", reason=error.reason)
        known = frozenset(before.models() if before else ())
        free_only, today = app.free_models_only, self._now().date()
        return review_settings(settings, models, free_only=free_only, known=known, today=today)

    async def _check_room(self, *, trial: bool) -> None:
        """Whether there may be one more feature."""
        if trial:
            raise FeatureUnknown("Save the feature first, then a draft of it.", field="feature")
        if len(await self._features.all()) >= limits.FEATURES_MAX:
            sentence = f"An app may have {limits.FEATURES_MAX} features at most."
            raise InvalidArgument(sentence, field="feature")
