"""Which models answer a request: the caller's choice, among those that the admin allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .. import log
from ..callable import CallableError
from ..contract import ExecutePrompt, Notice
from ..errors import InvalidArgument, PaidModel
from ..models import ROUTERS, Model, Resolved, is_free
from ..users import PreferenceStore
from .abilities import DEFAULT_MODELS, paid_extras, unsupported_settings
from .app_settings import AppSettings
from .feature import Feature
from .selection import (
    ModelSelection,
    SupportedRequest,
    models_in_order,
    optional_features,
    preference_notice,
    unsupported,
    unsupported_notice,
    without,
)
from .settings import FREE_FALLBACK, FREE_MODELS, FeatureSettings

if TYPE_CHECKING:
    from ..models import Catalog


class ModelChoice:
    """Chooses models. One per instance.

    Preferences are read only if a user may have one, and the catalog only if a model's abilities
    matter, or its name does not say that it is free. An admin's test uses the model that is tested.
    """

    def __init__(
        self,
        *,
        preferences: PreferenceStore,
        catalog: Callable[[], Catalog],
        missing_defaults: Callable[[], Awaitable[frozenset[str] | None]] | None = None,
    ) -> None:
        self._preferences = preferences
        self._catalog = catalog
        self._missing_defaults = missing_defaults

    async def choose(
        self, request: ExecutePrompt, feature: Feature, app: AppSettings, uid: str
    ) -> ModelSelection:
        """Return the models for a request, with what the user should know about the choice.

        Raises ModelNotAllowed, PaidModel.
        """
        feature = replace(feature, settings=await self.with_listed_defaults(feature.settings))
        requested, notices = await self._requested(request, feature, app, uid)
        models = models_in_order(feature.settings, requested)
        if not app.free_models_only:
            return ModelSelection(models, notices)
        for field, what in paid_extras(feature.settings):
            log.error("paid_model", feature=feature.id, field=field)
            sentence = f"{what} isn't free, and this app allows only what is free."
            raise PaidModel(sentence, field=field)
        free = await self.filter_free(models)
        if models[0] not in free:
            raise _paid(feature, models[0])
        return ModelSelection(tuple(free), notices)

    async def single_model(self, requested: str | None, feature: Feature, app: AppSettings) -> str:
        """Return the one model to use where neither a fallback nor a preference may replace it.

        Raises ModelNotAllowed, PaidModel.
        """
        model = models_in_order(feature.settings, requested)[0]
        if app.free_models_only and not await self.filter_free([model]):
            raise _paid(feature, model)
        return model

    async def drop_unsupported(
        self, request: ExecutePrompt, feature: Feature, models: Sequence[str]
    ) -> SupportedRequest:
        """Drop what the first model does not support, and the fallbacks that support even less.

        Raises InvalidArgument if the feature refuses such a request.
        """
        settings = feature.settings
        is_other = models[0] != settings.model  # about its own model, saving warned the admin
        if (
            not is_other
            and not any(optional_features(request).values())
            and (request.image_options is None)
        ):
            return SupportedRequest(request, tuple(models))
        known = [await self.find_model(id_) for id_ in models]
        fields = unsupported(request, settings, known[0])
        if fields and settings.unsupported == "refuse":
            sentence = f"{models[0]} doesn't support {fields[0]}."
            raise InvalidArgument(sentence, field=fields[0])
        unset = unsupported_settings(settings, known[0]) if is_other else []
        notices = [unsupported_notice(models[0], field) for field in dict.fromkeys(fields + unset)]
        request = without(request, fields)
        fallbacks = [
            id_
            for id_, model in zip(models[1:], known[1:], strict=True)
            if not unsupported(request, settings, model)
        ]
        return SupportedRequest(request, (models[0], *fallbacks), tuple(notices))

    async def with_listed_defaults(self, settings: FeatureSettings) -> FeatureSettings:
        """Return settings without the default models that OpenRouter does not list any more.

        If the feature's own model is one of them, its first fallback takes its place. Other models
        are an admin's choice: those are asked, whatever the list says.
        """
        named = {settings.model, *settings.fallback_models, *settings.allowed_models}
        gone = await self._missing_of(named & DEFAULT_MODELS)
        if not gone:
            return settings
        models = [id_ for id_ in (settings.model, *settings.fallback_models) if id_ not in gone]
        if not models:
            return settings
        model, *fallbacks = dict.fromkeys(models)
        return settings.model_copy(
            update={
                "model": model,
                "fallback_models": fallbacks,
                "allowed_models": [id_ for id_ in settings.allowed_models if id_ not in gone],
            }
        )

    async def default_model(self) -> str:
        """Return the free model for what no admin has chosen a model for."""
        gone = await self._missing_of(FREE_MODELS)
        return next((id_ for id_ in FREE_MODELS if id_ not in gone), FREE_FALLBACK)

    async def _missing_of(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of some default models that OpenRouter does not list.

        The last check of the models has stored that beside the app's settings, which each call
        reads anyway. Before the first one, the list itself is read.
        """
        listable = [id_ for id_ in ids if not id_.startswith(ROUTERS)]
        if not listable:
            return frozenset()
        try:
            known = await self._missing_defaults() if self._missing_defaults else None
            if known is None:
                models = await self._catalog().get()
                known = frozenset(id_ for id_ in listable if models.resolve(id_).model is None)
        except CallableError as error:
            log.warning("defaults_not_checked", reason=error.reason)
            return frozenset()
        return known.intersection(listable)

    async def filter_free(self, ids: Sequence[str]) -> list[str]:
        """Return the models that are never billed: by their names, or by the catalog."""
        if all(map(is_free, ids)):
            return list(ids)
        try:
            models = await self._catalog().get(*ids)
        except CallableError as error:
            log.warning("free_by_name_alone", reason=error.reason)
            return [id_ for id_ in ids if is_free(id_)]
        return [id_ for id_ in ids if models.resolve(id_).free]

    async def no_reasoning_parameters(self, id_: str, app: AppSettings) -> dict[str, object]:
        """Return the parameters that turn a model's reasoning off, or else keep it short.

        They are empty if it does not reason. Raises PaidModel if the model may be billed, and the
        app allows only free models.
        """
        if app.free_models_only and not await self.filter_free([id_]):
            raise PaidModel(_paid_sentence(id_))
        model = await self.find_model(id_)
        if model is None or "reasoning" not in model.supported_parameters:
            return {}
        if model.reasoning_required:
            return {"reasoning": {"effort": "low", "exclude": True}}
        return {"reasoning": {"enabled": False}}

    async def context_tokens(self, id_: str) -> int | None:
        """Return the length of the model's context in tokens, if the catalog knows it."""
        model = await self.find_model(id_)
        return model.context_length if model else None

    async def find_model(self, id_: str) -> Model | None:
        """Return the model that answers for an ID, if the catalog knows it."""
        try:
            return (await self._catalog().resolve(id_)).effective_model
        except CallableError as error:
            log.warning("model_not_looked_up", reason=error.reason)
            return None

    async def resolve(self, ids: Sequence[str]) -> list[Resolved]:
        """Return what is known of each model; where the catalog is unavailable, its name alone."""
        if not all(map(is_free, ids)):
            try:
                models = await self._catalog().get(*ids)
            except CallableError as error:
                log.warning("model_not_looked_up", reason=error.reason)
            else:
                return [models.resolve(id_) for id_ in ids]
        return [Resolved(requested=id_, model=None) for id_ in ids]

    async def input_modalities(self, ids: Sequence[str]) -> list[tuple[str, ...]]:
        """Return each model's input modalities, in the catalog's words; empty if unknown."""
        try:
            models = await self._catalog().get()
        except CallableError as error:
            log.warning("inputs_unknown", reason=error.reason)
            return [()] * len(ids)
        found = [models.resolve(id_) for id_ in ids]
        return [
            resolved.effective_model.input_modalities
            if resolved.effective_model and not resolved.preset
            else ()
            for resolved in found
        ]

    async def _requested(
        self, request: ExecutePrompt, feature: Feature, app: AppSettings, uid: str
    ) -> tuple[str | None, tuple[Notice, ...]]:
        """Return the model that the caller, or else the user, chose; a preference that is no longer
        possible is ignored with a notice."""
        settings = feature.settings
        if request.model is not None or not feature.has_model_choice or feature.test:
            return request.model, ()
        preferred = await self._preferred(uid, feature.id)
        if preferred is None or preferred == settings.model:
            return None, ()
        if preferred in settings.allowed_models and (
            not app.free_models_only or await self.filter_free([preferred])
        ):
            return preferred, ()
        return None, (preference_notice(preferred),)

    async def _preferred(self, uid: str, feature: str) -> str | None:
        try:
            return (await self._preferences.models(uid)).get(feature)
        except CallableError:
            log.warning("preferences_unavailable")  # the feature's own model answers as well
            return None


def _paid(feature: Feature, model: str) -> PaidModel:
    log.error("paid_model", feature=feature.id, model=model)
    return PaidModel(_paid_sentence(model), field="model")


def _paid_sentence(model: str) -> str:
    return f"{model} isn't free, and this app allows only free models."
