"""Looks at OpenRouter's list, daily and when an admin wants to: which features are concerned.

    config/app.catalog   {generation, count, fetchedAt, checkedAt, problem, flags: [{feature, field,
                          model, flag: gone | renamed | repriced | expires | broken, message,
                          ...}]}

Admins read the flags there. Nothing is switched but where `replaceGoneModels` is on: then a model
that is gone gives way to the one it was renamed to, or else to the first fallback that is there.
Running twice is no harm: the second time finds nothing left to do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from .. import limits, log
from ..callable import Call, CallableError
from ..contract import RefreshCatalog, parse
from ..errors import SettingsChanged
from ..features import (
    EMBEDDING,
    AppSettings,
    AppSettingsStore,
    FeatureSettings,
    FeatureStore,
    Review,
    StoredFeature,
)
from ..models import Catalog, ModelList
from ..users import Caller
from . import revisions
from .features import FeatureAdmin
from .revisions import Who


@dataclass(frozen=True, slots=True)
class Flag:
    """What an admin should know of a model that a feature names. details: what else there is."""

    feature: str
    field: str
    model: str
    flag: str
    message: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        return {
            "feature": self.feature,
            "field": self.field,
            "model": self.model,
            "flag": self.flag,
            "message": self.message,
            **self.details,
        }


class ModelCheck:
    """The use cases `refresh_catalog` and `refresh_catalog_daily`."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        configure: FeatureAdmin,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._catalog = catalog
        self._features = features
        self._app_settings = app_settings
        self._configure = configure
        self._now = now

    async def refresh(self, call: Call[Caller]) -> dict[str, Any]:
        """Ask OpenRouter now. `{count, generation, added, removed, flags}`. Raises CallableError.

        For admins alone, which the wire of admins sees to.
        """
        parse(RefreshCatalog, call.data if call.data is not None else {})
        refreshed = await self._catalog.refresh()
        flags = await self._look(refreshed.models)
        await self._note(refreshed.models, flags, None)
        return {
            "count": len(refreshed.models.models),
            "generation": refreshed.models.generation,
            "added": list(refreshed.added),
            "removed": list(refreshed.removed),
            "flags": [flag.to_wire() for flag in flags],
        }

    async def daily(self) -> dict[str, Any]:
        """The same by the clock; where the admin wants it, models that are gone are replaced.

        Answers `{count, flags, replaced, problem}`. Where OpenRouter gave no list, the one before
        it is gone by, and `problem` says why. Raises CallableError when there is none at all.
        """
        problem = None
        try:
            models = (await self._catalog.refresh()).models
        except CallableError as error:
            log.error("catalog_not_refreshed", reason=error.reason)
            problem = error.reason
            models = await self._catalog.get()
        flags = await self._look(models)
        app = await self._app_settings.get()
        replaced = []
        if app.replace_gone_models and problem is None and not self._catalog.is_stale(models):
            replaced = await self._replace(models, app)
            flags = await self._look(models) if replaced else flags
        await self._note(models, flags, problem)
        for flag in flags:
            log.warning("model_flagged", feature=flag.feature, model=flag.model, flag=flag.flag)
        return {
            "count": len(models.models),
            "flags": [flag.to_wire() for flag in flags],
            "replaced": replaced,
            "problem": problem,
        }

    async def _look(self, models: ModelList) -> list[Flag]:
        today = self._now().date()
        stored = await self._features.read_all()
        found = [flag for one in stored.values() for flag in flags(one, models, today)]
        return found[: limits.FLAGS_MAX]

    async def _note(self, models: ModelList, found: list[Flag], problem: str | None) -> None:
        state = {
            "generation": models.generation,
            "count": len(models.models),
            "fetchedAt": models.fetched_at,
            "checkedAt": self._now(),
            "problem": problem,
            "flags": [flag.to_wire() for flag in found],
        }
        await self._app_settings.note_catalog(state)

    async def _replace(self, models: ModelList, app: AppSettings) -> list[dict[str, str]]:
        """Other models for those that are gone. `[{feature, before, after}]`."""
        replaced = []
        for id_, stored in (await self._features.read_all()).items():
            if stored.feature is None or not stored.feature.enabled:
                continue
            before, base = stored.feature.settings, stored.feature.revision
            successor = _successor(before, stored, models, app)
            if successor is None:
                continue
            fallbacks = [model for model in before.fallback_models if model != successor]
            after = before.model_copy(update={"model": successor, "fallback_models": fallbacks})
            note = f"{before.model} is not in OpenRouter's list any more"
            who = Who(uid="", email="", action="refresh_catalog_daily", note=note)  # no admin
            try:
                await self._configure.replace(id_, after, base, who, Review(models))
            except SettingsChanged:
                continue  # by an admin, who knows better
            replaced.append({"feature": id_, "before": before.model, "after": successor})
        return replaced


def flags(stored: StoredFeature, models: ModelList, today: date) -> Iterator[Flag]:
    """What to say of a feature's document, and, while it is on, of each model it names, its draft's
    included."""
    feature = stored.feature
    if feature is None:
        return
    serving = {
        "settings": f"revision {feature.revision} serves",
        "enabled": "the feature is off",
        "draft": "it serves nobody",
    }
    for at in stored.unreadable:
        message = f"What is written there can not be read: {serving[at]}."
        yield Flag(feature.id, at, feature.settings.model, "broken", message)
    if not feature.enabled:
        return
    drafted = feature.draft.settings.named() if feature.draft else ()
    named = [*feature.settings.named(), *((f"draft.{at}", id_) for at, id_ in drafted)]
    for at, id_ in named:
        resolved = models.find(id_)
        if resolved.model is None:
            if resolved.preset is None:
                yield _missing(feature.id, at, id_, stored, models)
            continue
        model = resolved.model
        if expires := model.expires_soon(today):
            message = f"OpenRouter takes {id_} away on {expires:%Y-%m-%d}."
            yield Flag(feature.id, at, id_, "expires", message, {"on": expires.isoformat()})
        before, after = stored.prices.get(id_), revisions.price_of(model)
        if before is not None and _amounts(before) != _amounts(after):
            message = f"{id_} has another price than when this feature was saved."
            details = {"before": _amounts(before), "after": _amounts(after)}
            yield Flag(feature.id, at, id_, "repriced", message, details)


def _missing(feature: str, at: str, id_: str, stored: StoredFeature, models: ModelList) -> Flag:
    successor = _renamed(id_, stored, models)
    if successor is None:
        return Flag(feature, at, id_, "gone", f"{id_} is not in OpenRouter's list any more.")
    message = f"{id_} is called {successor} now."
    return Flag(feature, at, id_, "renamed", message, {"to": successor})


def _renamed(id_: str, stored: StoredFeature, models: ModelList) -> str | None:
    """The id that the same model has now: the one with its canonical slug and its variant, and with
    the suffixes that are in no list."""
    slug = stored.prices.get(id_, {}).get("canonicalSlug")
    suffixes = "".join(f":{suffix}" for suffix in models.find(id_).suffixes)
    variant = id_.removesuffix(suffixes).partition(":")[2] or None
    if not isinstance(slug, str) or not slug:
        return None
    for model in models.models:
        if model.canonical_slug == slug and model.variant == variant and not model.alias_target:
            return f"{model.id}{suffixes}"
    return None


def _successor(
    settings: FeatureSettings, stored: StoredFeature, models: ModelList, app: AppSettings
) -> str | None:
    """The model that takes the place of one that is gone, if there is a good one."""
    gone = models.find(settings.model)
    if gone.model is not None or gone.preset is not None:
        return None
    renamed = _renamed(settings.model, stored, models)
    # vectors of another model can not be compared with those that an app has kept
    others = [] if settings.kind == EMBEDDING else settings.fallback_models
    for id_ in [*([renamed] if renamed else []), *others]:
        resolved = models.find(id_)
        if resolved.model is not None and (resolved.free or not app.free_models_only):
            return id_
    return None


def _amounts(price: Mapping[str, Any]) -> dict[str, Any]:
    return {name: price.get(name) for name in ("promptPrice", "completionPrice")}
