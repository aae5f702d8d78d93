"""Admins change the settings of the app as a whole."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from .. import log
from ..callable import Call
from ..contract import SaveAppSettings, parse
from ..features import (
    AppSettingsStore,
    FeatureStore,
    Finding,
    GeneralSettings,
    ModelChoice,
    differences,
    paid_extras,
)
from ..firestore import Change
from ..users import Caller
from . import revisions


class AppSettingsAdmin:
    """The use case `save_app_settings`."""

    def __init__(
        self, *, app_settings: AppSettingsStore, features: FeatureStore, choice: ModelChoice
    ) -> None:
        self._app_settings = app_settings
        self._features = features
        self._choice = choice

    async def save(self, call: Call[Caller]) -> dict[str, Any]:
        """Change those that are given, of `{appName, referer, limits, freeModelsOnly,
        replaceGoneModels}`; the others stay.

        Answers `{revision, settings, changes, warnings}`. Raises SettingsRefused, SettingsChanged
        with both versions, SettingsUnavailable.
        """
        request = parse(SaveAppSettings, call.data)
        stored = await self._app_settings.read()
        before = stored.general.model_dump(by_alias=True)
        general = _merged(before, request.settings)
        after = general.model_dump(by_alias=True)
        if request.revision != stored.revision:
            current = {"revision": stored.revision, "settings": before}
            raise revisions.conflict(request.revision, current, after)
        changes = differences(before, after)
        revision = stored.revision
        if changes:
            change = Change(
                by=call.caller.uid,
                email=call.caller.email,
                action="save_app_settings",
                target="config/app",
                before=before,
                after=after,
                note=request.note,
            )
            revision = await self._app_settings.save_general(stored, general, change)
            log.info("save_app_settings", revision=revision)
        warnings = await self._refused_features() if general.free_models_only else []
        return {"revision": revision, "settings": after, "changes": changes, "warnings": warnings}

    async def _refused_features(self) -> list[dict[str, str]]:
        """Features that are on and would cost money: from now on they are refused."""
        found = []
        for feature in await self._features.all():
            whose = {f"the feature {feature.id}": feature.settings}
            if feature.draft:
                whose[f"the draft of the feature {feature.id}"] = feature.draft.settings
            for name, settings in whose.items():
                paid = [what for _, what in paid_extras(settings)]
                if not await self._choice.free([settings.model]):
                    paid.append(f"The model {settings.model}")
                if feature.enabled and paid:
                    message = f"{paid[0]} of {name} is not free: it is refused now."
                    found.append(Finding("freeModelsOnly", "paid_model", message).to_wire())
        return found


def _merged(before: dict[str, Any], given: dict[str, Any]) -> GeneralSettings:
    """Raises SettingsRefused."""
    own = given.get("limits")
    merged = {**before, **given}
    if isinstance(own, dict):
        merged["limits"] = {**before["limits"], **own}
    try:
        return GeneralSettings.model_validate(merged, by_alias=True, by_name=False)
    except ValidationError as error:
        raise revisions.invalid(error) from None
