"""Admins look at features: what is set, what may be set, and whether a call would be answered."""

from __future__ import annotations

import asyncio
from typing import cast

from ..callable import Call, CallableError
from ..contract import (
    AppDetails,
    DraftInfo,
    FeatureDetails,
    FeatureDetailsList,
    GetFeatureSettings,
    KeySource,
    SettingInfo,
    fields_of,
    parse,
)
from ..errors import FeatureUnknown
from ..features import (
    DEFAULTS,
    AppSettings,
    FeatureSettings,
    FeatureStore,
    Finding,
    Review,
    StoredFeature,
)
from ..keys import KeyPool, KeySlots
from ..users import Caller
from .app_settings import AppSettingsAdmin, malformed_fields
from .features import FeatureAdmin
from .obstacles import malformed_parts, obstacles


class FeatureOverview:
    """The callable `get_feature_settings`. One per instance."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_admin: AppSettingsAdmin,
        keys: KeyPool,
        feature_admin: FeatureAdmin,
    ) -> None:
        self._features = features
        self._app_admin = app_admin
        self._keys = keys
        self._feature_admin = feature_admin

    async def get(self, call: Call[Caller]) -> FeatureDetailsList:
        """Return a feature or all of them, and what may be set: `{features, fields, app}`.

        Raises FeatureUnknown, SettingsUnavailable.
        """
        request = parse(GetFeatureSettings, {} if call.data is None else call.data)
        if request.feature is None:
            stored = {
                id_: await self._feature_admin.recorded(id_, one)
                for id_, one in (await self._features.read_all()).items()
            }
        else:
            one = await self._feature_admin.read(request.feature)
            if one.is_absent:
                raise FeatureUnknown(field="feature")
            stored = {request.feature: one}
        fields, app, slots = await asyncio.gather(
            asyncio.to_thread(fields_of, FeatureSettings), self._app(), self._keys.slots()
        )
        features = [await self._details(id_, one, slots) for id_, one in stored.items()]
        return {"features": features, "fields": cast(list[SettingInfo], fields), "app": app}

    async def _app(self) -> AppDetails:
        stored = await self._app_admin.read()
        fields = await asyncio.to_thread(fields_of, AppSettings)
        return {
            "revision": stored.revision,
            "settings": stored.settings.to_json(),
            "problems": [finding.to_wire() for finding in malformed_fields(stored)],
            "fields": cast(list[SettingInfo], fields),
        }

    async def _details(self, id_: str, stored: StoredFeature, slots: KeySlots) -> FeatureDetails:
        feature = stored.feature
        review = Review()
        if feature is not None:
            review = await self._feature_admin.review(feature.settings, feature.settings)
        blocking = [*obstacles(stored, review), *(await self._key_problems(id_))]
        if feature is None:
            blocking = [*malformed_parts(stored), *blocking]
        broken = [] if feature is None else malformed_parts(stored)
        details: FeatureDetails = {
            "feature": id_,
            "builtIn": id_ in DEFAULTS,
            "enabled": feature is not None and feature.enabled,
            "revision": feature.revision if feature else 0,
            "settings": feature.settings.to_json() if feature else None,
            "defaults": (
                DEFAULTS[id_].settings if id_ in DEFAULTS else FeatureSettings()
            ).to_json(),
            "draft": cast(DraftInfo, feature.draft.to_document())
            if feature and feature.draft
            else None,
            "key": key_source(id_, slots),
            "canAnswer": not blocking,
            "problems": [finding.to_wire() for finding in (*blocking, *broken)],
            "warnings": [finding.to_wire() for finding in review.warnings],
        }
        if stored.saved_at:
            details["savedAt"] = stored.saved_at.isoformat()
        if stored.saved_by:
            details["savedBy"] = stored.saved_by
        return details

    async def _key_problems(self, id_: str) -> list[Finding]:
        """Return why the feature has no key to send a request with."""
        try:
            await self._keys.slot(id_).get()
        except CallableError as error:
            return [Finding("key", error.reason, error.admin_message)]
        return []


def key_source(feature: str, slots: KeySlots) -> KeySource:
    """Return which keys a feature uses."""
    own = slots.keys_of(feature)
    entries = own or slots.default
    if entries is None:  # first boot: the secret's newest version
        return {"source": "default", "count": 1, "lastFour": None}
    return {
        "source": ("own" if own else "default") if entries else "none",
        "count": len(entries),
        "lastFour": entries[0].last_four if entries else None,
    }
