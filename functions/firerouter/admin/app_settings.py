"""Admins change the settings of the app as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pydantic import ValidationError

from .. import log
from ..callable import Call
from ..contract import Record, SaveAppSettings, parse
from ..features import (
    AppSettings,
    AppSettingsStore,
    Feature,
    FeatureSettings,
    FeatureStore,
    Finding,
    ModelChoice,
    differences,
    low_caps_of_app,
    paid_extras,
)
from ..firestore import Change
from ..users import Caller
from . import revisions

Json = dict[str, object]


class AppSettingsAdmin:
    """The callable `save_app_settings`."""

    def __init__(
        self, *, app_settings: AppSettingsStore, features: FeatureStore, choice: ModelChoice
    ) -> None:
        self._app_settings = app_settings
        self._features = features
        self._choice = choice

    async def save(self, call: Call[Caller]) -> Json:
        """Change the given settings, of `{appName, referer, limits, retention, freeModelsOnly,
        replaceGoneModels, ...}`; the others stay as they are.

        Returns `{revision, settings, changes, warnings}`. Raises SettingsRefused, SettingsChanged
        with both versions, SettingsUnavailable.
        """
        request = parse(SaveAppSettings, call.data)
        stored = await self._app_settings.read()
        settings = merged(stored.settings, request.settings, request.remove)
        before, after = stored.settings.to_json(), settings.to_json()
        if request.revision != stored.revision:
            current = {"revision": stored.revision, "settings": before}
            raise revisions.conflict_from(request.revision, current, after)
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
            revision = await self._app_settings.save(stored, settings, change)
            log.info("save_app_settings", revision=revision)
        warnings = [*low_caps_of_app(settings)]
        if settings.free_models_only:
            warnings += await self._billed_features()
        return {
            "revision": revision,
            "settings": after,
            "changes": changes,
            "warnings": [finding.to_wire() for finding in warnings],
        }

    async def _billed_features(self) -> list[Finding]:
        """Find enabled features that would be billed: calls to them are refused."""
        findings = []
        for feature in await self._features.list_all():
            if not feature.enabled:
                continue
            for name, settings in named_settings(feature):
                billed = [what for _, what in paid_extras(settings)]
                if not await self._choice.filter_free([settings.model]):
                    billed.append(f"The model {settings.model}")
                if billed:
                    message = f"{billed[0]} isn't free, so calls to {name} are refused now."
                    findings.append(Finding("freeModelsOnly", "paid_model", message))
        return findings


def named_settings(feature: Feature) -> Iterator[tuple[str, FeatureSettings]]:
    """Yield the settings of a feature and of its draft, each with its name in a sentence."""
    yield f"the feature {feature.id}", feature.settings
    if feature.draft:
        yield f"the draft of the feature {feature.id}", feature.draft.settings


def merged(
    before: AppSettings, given: Mapping[str, object], remove: Collection[str] = ()
) -> AppSettings:
    """Return the settings with the given ones replaced. Raises SettingsRefused.

    Args:
        before: The stored settings.
        given: Those to change. Of `limits`, `ceiling` and `retention`, what is not given stays.
        remove: Limits to take away, such as `limits.requestsPerDay`.
    """
    values = {**before.to_json(), **given}
    groups: dict[str, Record] = {
        "limits": before.limits,
        "ceiling": before.ceiling,
        "retention": before.retention,
    }
    for name, part in groups.items():
        own = given.get(name, {})
        if isinstance(own, dict):
            kept = part.model_dump(by_alias=True)
            kept = {n: value for n, value in kept.items() if f"{name}.{n}" not in remove}
            values[name] = {**kept, **{n: v for n, v in own.items() if v is not None}}
    try:
        return AppSettings.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        raise revisions.invalid(error) from None
