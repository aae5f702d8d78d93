"""Which models answer a request: the caller's choice, what the admin allows, what may cost money.

the request's model, else the user's own default, else the feature's
    -> where the app allows free models only: those that are
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import limits, log
from ..callable import CallableError
from ..contract import ExecutePrompt
from ..errors import InvalidArgument, PaidModel, SettingsUnavailable
from ..models import Model, is_free
from ..users import PreferenceStore
from .abilities import not_taken, options_not_taken, paid_extras, settings_not_taken
from .app_settings import AppSettings
from .settings import Feature, FeatureSettings

if TYPE_CHECKING:
    from ..models import Catalog
from ..errors import ModelNotAllowed

Notices = list[dict[str, str]]


class ModelChoice:
    """Chooses. Firestore is asked where a user may have a preference, the catalog where a model is
    not free by its name; else neither. An admin's test asks the model that is tested."""

    def __init__(self, *, preferences: PreferenceStore, catalog: Callable[[], Catalog]) -> None:
        self._preferences = preferences
        self._catalog = catalog

    async def models(
        self, request: ExecutePrompt, feature: Feature, app: AppSettings, uid: str
    ) -> tuple[list[str], Notices]:
        """(the model to ask and its fallbacks, what the user should be told of the choice).

        Raises ModelNotAllowed, PaidModel.
        """
        settings, chosen = feature.settings, request.model
        notices: Notices = []
        if chosen is None and feature.has_choice and not feature.test:
            preferred = await self._preferred(uid, feature.id)
            if preferred in settings.allowed_models:
                free = not app.free_models_only or await self.free([preferred])
                chosen = preferred if free else None
            if preferred not in (None, settings.model, chosen):
                notices.append(_dropped(preferred))
        models = models_in_order(settings, chosen)
        if not app.free_models_only:
            return models, notices
        for field, what in paid_extras(settings):
            log.error("paid_model", feature=feature.id, field=field)
            raise PaidModel(f"{what} costs money, and this app allows none.", field=field)
        free_ones = await self.free(models)
        if models[0] not in free_ones:
            raise _paid(feature, models[0])
        return free_ones, notices

    async def one(self, chosen: str | None, feature: Feature, app: AppSettings) -> str:
        """The model to ask where no other one's answer would do, a fallback's or a preferred one's.

        Raises ModelNotAllowed, PaidModel.
        """
        model = models_in_order(feature.settings, chosen)[0]
        if app.free_models_only and not await self.free([model]):
            raise _paid(feature, model)
        return model

    async def able(
        self, request: ExecutePrompt, feature: Feature, models: list[str], notices: Notices
    ) -> tuple[ExecutePrompt, list[str]]:
        """The request without what the model can not do, and the fallbacks that can do what is left
        of it. What is left out is told in `notices`; or, as the feature says, InvalidArgument."""
        settings = feature.settings
        other = models[0] != settings.model  # an admin was told of the feature's own
        if not other and not any(_sent(request).values()) and request.image_options is None:
            return request, models
        known = [await self.model(id_) for id_ in models]
        lacking = _lacking(request, settings, known[0])
        if lacking and settings.unsupported == "refuse":
            sentence = f"{models[0]} does not take {lacking[0]}."
            raise InvalidArgument(sentence, field=lacking[0])
        unset = settings_not_taken(settings, known[0]) if other else []
        notices += [left_out(models[0], name) for name in dict.fromkeys([*lacking, *unset])]
        request = _without(request, lacking)
        fallbacks = zip(models[1:], known[1:], strict=True)
        able = [id_ for id_, model in fallbacks if not _lacking(request, settings, model)]
        return request, [models[0], *able]

    async def free(self, ids: list[str]) -> list[str]:
        """Those of which nothing is ever billed: by their names, else by the catalog."""
        if all(map(is_free, ids)):
            return ids
        try:
            models = await self._catalog().get()
        except CallableError as error:
            log.warning("free_by_name_alone", reason=error.reason)
            return [id_ for id_ in ids if is_free(id_)]
        return [id_ for id_ in ids if models.find(id_).free]

    async def unthinking(self, id_: str, app: AppSettings) -> dict[str, Any]:
        """The parameter that keeps the model from thinking long; none where it does not take one.

        Raises PaidModel where it may cost something and nothing may.
        """
        if app.free_models_only and not await self.free([id_]):
            raise PaidModel(f"{id_} is not free, and this app allows free models only.")
        model = await self.model(id_)
        if model is None or "reasoning" not in model.supported_parameters:
            return {}
        thinks = {"effort": "low", "exclude": True}
        return {"reasoning": thinks if model.reasoning_required else {"enabled": False}}

    async def context_tokens(self, id_: str) -> int | None:
        """How much the model can read, if the catalog knows."""
        model = await self.model(id_)
        return model.context_length if model else None

    async def model(self, id_: str) -> Model | None:
        """The model that answers for this id, if the catalog knows."""
        try:
            return (await self._catalog().get()).find(id_).answers
        except CallableError as error:
            log.warning("model_not_looked_up", reason=error.reason)
            return None

    async def inputs(self, ids: list[str]) -> list[tuple[str, ...]]:
        """What each model takes, as the catalog names it; nothing where nobody knows."""
        try:
            models = await self._catalog().get()
        except CallableError as error:
            log.warning("inputs_unknown", reason=error.reason)
            return [()] * len(ids)
        found = [models.find(id_) for id_ in ids]
        return [r.answers.input_modalities if r.answers and not r.preset else () for r in found]

    async def _preferred(self, uid: str, feature: str) -> str | None:
        try:
            return (await self._preferences.models(uid)).get(feature)
        except SettingsUnavailable:
            log.warning("preferences_unavailable")  # an answer by the feature's own is one too
            return None


def left_out(model: str, field: str) -> dict[str, str]:
    """The notice that a model does not take what was sent, or set."""
    message = f"{model} does not take {field}: it was left out."
    return {"reason": "parameter_dropped", "field": field, "message": message}


def _sent(request: ExecutePrompt) -> dict[str, Any]:
    """What of it not every model takes, by the wire's names."""
    return {
        "temperature": request.temperature is not None,
        "tools": request.tools,
        "toolChoice": request.tool_choice,
        "parallelToolCalls": request.tools and request.parallel_tool_calls is False,
        "responseFormat": request.response_format and request.response_format.type,
    }


def _lacking(request: ExecutePrompt, settings: FeatureSettings, model: Model | None) -> list[str]:
    options = options_not_taken(request.image_options, settings, model)
    return [*not_taken(_sent(request), model), *options]


def _without(request: ExecutePrompt, lacking: list[str]) -> ExecutePrompt:
    options = request.image_options
    fewer = options and options.without({name.partition(".")[2] for name in lacking})
    emptied: dict[str, dict[str, Any]] = {
        "temperature": {"temperature": None},
        "tools": {"tools": [], "tool_choice": None, "parallel_tool_calls": None},
        "toolChoice": {"tool_choice": None},
        "parallelToolCalls": {"parallel_tool_calls": None},
        "responseFormat": {"response_format": None},
    }
    update = {name: value for field in lacking for name, value in emptied.get(field, {}).items()}
    return request.model_copy(update={**update, "image_options": fewer})


def _paid(feature: Feature, model: str) -> PaidModel:
    log.error("paid_model", feature=feature.id, model=model)
    sentence = f"{model} is not free, and this app allows free models only."
    return PaidModel(sentence, field="model")


def _dropped(model: str) -> dict[str, str]:
    shown = model[: limits.MODEL_ID_MAX_CHARS]
    message = f"Your choice {shown} is not offered here any more."
    return {"reason": "preference_dropped", "message": message}


def models_in_order(settings: FeatureSettings, chosen: str | None) -> list[str]:
    """The model to ask, then the fallbacks. chosen: by the caller. Raises ModelNotAllowed."""
    model = chosen or settings.model
    if model != settings.model and model not in settings.allowed_models:
        raise ModelNotAllowed(f"This feature does not allow the model {model}.", field="model")
    return list(dict.fromkeys([model, *settings.fallback_models]))
