"""What users may see and choose of the features: never a prompt, a parameter or a key."""

from __future__ import annotations

import asyncio
from typing import Any

from ..callable import Call
from ..contract import ListFeatures, SetPreferences, parse
from ..errors import ModelNotAllowed, PaidModel
from ..users import Caller, PreferenceStore
from .app_settings import AppSettings, AppSettingsStore
from .model_choice import ModelChoice
from .settings import Feature
from .store import FeatureStore
from .template import variable_names


class FeatureListing:
    """The use cases `list_features` and `set_preferences`."""

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

    async def list_features(self, call: Call[Caller]) -> dict[str, Any]:
        """`{features: [{feature, displayName, kind, stream, model, models, preferredModel?,
        allowTemperature, temperature?, variables}]}`: those that are switched on.

        models: what the user may choose, the feature's own first; one alone is no choice.
        Raises SettingsUnavailable.
        """
        parse(ListFeatures, {} if call.data is None else call.data)
        features, app, preferred = await asyncio.gather(
            self._features.all(),
            self._app_settings.get(),
            self._preferences.models(call.caller.uid),
        )
        mine = [feature.for_user(call.caller.uid) for feature in features if feature.enabled]
        return {"features": [await self._shown(one, app, preferred.get(one.id)) for one in mine]}

    async def set_preferences(self, call: Call[Caller]) -> dict[str, Any]:
        """Choose one's own default model of a feature, or with `null` the feature's again.

        Answers `{feature, model}`. Raises ModelNotAllowed, PaidModel, FeatureUnknown,
        FeatureDisabled, SettingsUnavailable.
        """
        request = parse(SetPreferences, call.data)
        feature, app = await asyncio.gather(
            self._features.get(request.feature), self._app_settings.get()
        )
        feature, model = feature.for_user(call.caller.uid), request.model
        if model is not None:
            if model not in {feature.settings.model, *feature.settings.allowed_models}:
                sentence = f"This feature does not allow the model {model}."
                raise ModelNotAllowed(sentence, field="model")
            if model not in await self._offered(feature, app):
                raise PaidModel(
                    f"{model} is not free, and this app allows no other.", field="model"
                )
        await self._preferences.set_model(call.caller.uid, feature.id, model)
        return {"feature": feature.id, "model": model}

    async def _shown(
        self, feature: Feature, app: AppSettings, preferred: str | None
    ) -> dict[str, Any]:
        settings = feature.settings
        offered = await self._offered(feature, app)
        shown = {
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
        return {name: value for name, value in shown.items() if value is not None}

    async def _offered(self, feature: Feature, app: AppSettings) -> list[str]:
        settings = feature.settings
        models = list(dict.fromkeys([settings.model, *settings.allowed_models]))
        return await self._choice.free(models) if app.free_models_only else models
