"""What users may see of the features, and choose in them: never a prompt, parameter or key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..callable import Call
from ..contract import ListFeatures, SetPreferences, parse
from ..errors import ModelNotAllowed, PaidModel
from ..users import Caller, PreferenceStore
from .abilities import paid_extras
from .app_settings import AppSettings
from .app_settings_store import AppSettingsStore
from .feature import Feature
from .model_choice import ModelChoice
from .settings import FeatureSettings
from .store import FeatureStore
from .template import variable_names


class FeatureListing:
    """The callables `list_features` and `set_preferences`."""

    def __init__(
        self,
        *,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        choice: ModelChoice,
        preferences: PreferenceStore,
    ) -> None:
        self._features = features
        self._app_settings = app_settings
        self._choice = choice
        self._preferences = preferences

    async def list_features(self, call: Call[Caller]) -> dict[str, object]:
        """Return the features that are enabled, without those whose calls are refused:
        `{features: [{feature, displayName, kind, stream, model, models, preferredModel?,
        allowTemperature, temperature?, variables}]}`.

        `models` is what the user may choose from, the feature's own first; a single entry means
        that there is no choice. Raises SettingsUnavailable.
        """
        parse(ListFeatures, call.data)
        uid = call.caller.uid
        features, app, preferred = await asyncio.gather(
            self._features.list_all(),
            self._app_settings.get(),
            self._preferences.models(uid),
        )
        found = []
        for one in (feature.for_user(uid) for feature in features if feature.enabled):
            settings = await self._choice.with_listed_defaults(one.settings)
            feature = replace(one, settings=settings)
            offered = await self._offered(feature.settings, app)
            if offered:  # otherwise each of its calls would be refused
                found.append(to_wire(feature, offered, preferred.get(feature.id)))
        return {"features": found}

    async def set_preferences(self, call: Call[Caller]) -> dict[str, object]:
        """Set the user's own default model of a feature; without one, return to the feature's.

        Returns `{feature, model}`. Raises ModelNotAllowed, PaidModel, FeatureUnknown,
        FeatureDisabled, SettingsUnavailable.
        """
        request = parse(SetPreferences, call.data)
        uid, model = call.caller.uid, request.model
        feature, app = await asyncio.gather(
            self._features.get(request.feature), self._app_settings.get()
        )
        settings = await self._choice.with_listed_defaults(feature.for_user(uid).settings)
        if model is not None:
            if model not in {settings.model, *settings.allowed_models}:
                sentence = f"This feature doesn't allow the model {model}."
                raise ModelNotAllowed(sentence, field="model")
            if app.free_models_only and not await self._choice.filter_free([model]):
                sentence = f"{model} isn't free, and this app allows only free models."
                raise PaidModel(sentence, field="model")
        await self._preferences.set_model(uid, feature.id, model)
        return {"feature": feature.id, "model": model}

    async def _offered(self, settings: FeatureSettings, app: AppSettings) -> list[str]:
        """Return the models that the user may choose, the feature's own first.

        There are none if the app allows only what is free, and a call that chooses nothing would be
        billed.
        """
        models = list(dict.fromkeys([settings.model, *settings.allowed_models]))
        if not app.free_models_only:
            return models
        free = await self._choice.filter_free(models)
        return [] if settings.model not in free or any(paid_extras(settings)) else free


def to_wire(feature: Feature, offered: list[str], preferred: str | None) -> dict[str, object]:
    """Return what a user sees of a feature.

    Args:
        feature: As this user gets it.
        offered: The models that the user may choose.
        preferred: The user's own default model, if there is one.
    """
    settings = feature.settings
    fields: dict[str, object] = {
        "feature": feature.id,
        "displayName": settings.display_name or feature.id,
        "kind": settings.kind,
        "stream": settings.stream,
        "model": settings.model,
        "models": offered,
        "preferredModel": preferred if preferred in offered else None,
        "allowTemperature": settings.allow_temperature,
        "temperature": settings.temperature if settings.allow_temperature else None,
        "variables": variable_names(settings),
    }
    return {name: value for name, value in fields.items() if value is not None}
