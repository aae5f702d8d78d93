"""Which models answer a request: the caller's choice, what the admin allows, what may cost money.

the request's model, else the user's own default, else the feature's
    -> where the app allows free models only: those that are
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import limits, log, prompts
from .appsettings import AppSettings
from .callable import CallableError
from .capabilities import paid_extras
from .contract import ExecutePrompt
from .errors import PaidModel, SettingsUnavailable
from .models import is_free
from .preferences import Preferences
from .settings import Feature

if TYPE_CHECKING:
    from .catalog import Catalog

Notices = list[dict[str, str]]


class Choice:
    """Chooses. Firestore is asked where a user may have a preference, the catalog where a model is
    not free by its name; else neither."""

    def __init__(self, *, preferences: Preferences, catalog: Callable[[], Catalog]) -> None:
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
        if chosen is None and settings.allowed_models:
            preferred = await self._preferred(uid, feature.id)
            if preferred in settings.allowed_models:
                free = not app.free_models_only or await self.free([preferred])
                chosen = preferred if free else None
            if preferred not in (None, settings.model, chosen):
                notices.append(_dropped(preferred))
        models = prompts.models(settings, chosen)
        if not app.free_models_only:
            return models, notices
        for field, what in paid_extras(settings):
            log.error("paid_model", feature=feature.id, field=field)
            raise PaidModel(f"{what} costs money, and this app allows none.", field=field)
        free_ones = await self.free(models)
        if models[0] not in free_ones:
            log.error("paid_model", feature=feature.id, model=models[0])
            sentence = f"{models[0]} is not free, and this app allows free models only."
            raise PaidModel(sentence, field="model")
        return free_ones, notices

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

    async def context_tokens(self, id_: str) -> int | None:
        """How much the model can read, if the catalog knows."""
        try:
            model = (await self._catalog().get()).find(id_).answers
        except CallableError as error:
            log.warning("context_unknown", reason=error.reason)
            return None
        return model.context_length if model else None

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


def _dropped(model: str) -> dict[str, str]:
    shown = model[: limits.MODEL_ID_MAX_CHARS]
    message = f"Your choice {shown} is not offered here any more."
    return {"reason": "preference_dropped", "message": message}
