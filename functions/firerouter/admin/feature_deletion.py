"""Admins delete features of their own. What was saved of them stays: it can be restored."""

from __future__ import annotations

from .. import log
from ..callable import Call
from ..contract import DeleteFeature, FeatureDeleted, FindingInfo, parse
from ..errors import FeatureUnknown, InvalidArgument, SettingsChanged
from ..features import DEFAULTS, FeatureStore
from ..firestore import Change
from ..keys import KeyPool
from ..users import Caller
from . import revisions
from .features import FeatureAdmin
from .limits import AdminLimits


class FeatureDeletion:
    """The callable `delete_feature`. One per instance."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        feature_admin: FeatureAdmin,
        keys: KeyPool,
        limits: AdminLimits = AdminLimits(),
    ) -> None:
        self._features = features
        self._feature_admin = feature_admin
        self._keys = keys
        self._limits = limits

    async def delete(self, call: Call[Caller]) -> FeatureDeleted:
        """Delete a feature, draft included: `{feature, deleted, revision, warnings}`.

        Its revisions stay, so that their numbers go on if a feature gets the same ID again.

        Raises:
            InvalidArgument: It is a built-in one.
            FeatureUnknown: There is none.
            SettingsChanged: It is not at the revision that the admin saw.
            SettingsUnavailable: It is not known whether it was deleted.
        """
        request = parse(DeleteFeature, call.data)
        id_ = request.feature
        if id_ in DEFAULTS:
            sentence = "Built-in features can't be deleted. Switch it off instead, or reset it."
            raise InvalidArgument(sentence, field="feature")
        for _ in range(self._limits.attempts):
            stored = await self._feature_admin.read(id_)
            if stored.version is None:
                raise FeatureUnknown(field="feature")
            seen, _settings = revisions.seen_revision(stored, about_draft=False)
            if seen != request.revision:
                raise revisions.feature_conflict(stored, {}, request.revision, about_draft=False)
            feature = stored.feature
            change = Change(
                by=call.caller.uid,
                email=call.caller.email,
                action="delete_feature",
                target=f"features/{id_}",
                before=feature.to_document() if feature else None,
                after=None,
                note=request.note,
            )
            try:
                await self._features.delete(id_, stored, change)
            except SettingsChanged:
                continue  # it was switched on or off meanwhile, or has another revision
            log.info("delete_feature", feature=id_, revision=seen)
            warnings = await self._left_over(id_)
            return {"feature": id_, "deleted": True, "revision": seen, "warnings": warnings}
        raise SettingsChanged

    async def _left_over(self, id_: str) -> list[FindingInfo]:
        if not (await self._keys.slots()).keys_of(id_):
            return []
        message = (
            "The feature's own keys are still stored. Remove them with remove_openrouter_key, or "
            "they are used again if a feature gets the same name."
        )
        return [{"field": "feature", "reason": "keys_left", "message": message}]
