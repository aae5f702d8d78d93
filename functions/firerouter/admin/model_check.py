"""The check of features against OpenRouter's list of models: daily, and when an admin calls it.

    config/app.catalog   {generation, count, fetchedAt, checkedAt, problem, flags: [{feature, field,
                          model, flag: gone | renamed | repriced | expires | paid | broken,
                          message, ...}]}

Admins read the flags there. Models are replaced only if `replaceGoneModels` is on: then a model
that is gone gives way to the one it was renamed to, or else to the first fallback that still
exists. A second run finds nothing left to do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from .. import log
from ..callable import Call, CallableError
from ..contract import RefreshCatalog, parse
from ..errors import SettingsChanged
from ..features import (
    DEFAULT_MODELS,
    EMBEDDING,
    AppSettings,
    AppSettingsStore,
    FeatureSettings,
    FeatureStore,
    Review,
    StoredFeature,
    paid_extras,
)
from ..firestore import ConfigDocument
from ..models import Catalog, ModelList
from ..users import Caller
from . import revisions
from .app_settings import malformed_fields
from .features import FeatureAdmin
from .limits import AdminLimits
from .obstacles import malformed_parts
from .revisions import Author

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Flag:
    """What an admin should know about a model that a feature names."""

    feature: str
    field: str
    model: str
    flag: str
    message: str
    details: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def to_wire(self) -> Json:
        return {
            "feature": self.feature,
            "field": self.field,
            "model": self.model,
            "flag": self.flag,
            "message": self.message,
            **self.details,
        }


class ModelCheck:
    """The callable `refresh_catalog` and the scheduled function `refresh_catalog_daily`."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        features: FeatureStore,
        app_settings: AppSettingsStore,
        config: ConfigDocument,
        feature_admin: FeatureAdmin,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: AdminLimits = AdminLimits(),
    ) -> None:
        self._catalog = catalog
        self._features = features
        self._app_settings = app_settings
        self._config = config
        self._feature_admin = feature_admin
        self._now = now
        self._limits = limits

    async def refresh(self, call: Call[Caller]) -> Json:
        """Fetch OpenRouter's list now, and check every feature.

        Returns `{count, generation, added, removed, flags}`. Raises UpstreamError,
        CatalogIncomplete, CatalogUnavailable, SettingsUnavailable.
        """
        parse(RefreshCatalog, call.data)
        refreshed = await self._catalog.refresh()
        flags = await self._check(refreshed.models)
        await self._record(refreshed.models, flags, None)
        return {
            "count": len(refreshed.models.usable),
            "generation": refreshed.models.generation,
            "added": list(refreshed.added),
            "removed": list(refreshed.removed),
            "flags": [flag.to_wire() for flag in flags],
        }

    async def daily(self) -> Json:
        """Fetch the list, check every feature and, if `replaceGoneModels` is on, replace models.

        Returns `{count, flags, replaced, problem}`. If the refresh fails, the previous list is used
        and `problem` says why. Raises CallableError if there is no list at all.
        """
        problem = None
        try:
            models = (await self._catalog.refresh()).models
        except CallableError as error:
            log.error("catalog_not_refreshed", reason=error.reason)
            problem = error.reason
            models = await self._catalog.get()
        flags = await self._check(models)
        app = await self._app_settings.get()
        replaced = []
        if app.replace_gone_models and problem is None and not self._catalog.is_stale(models):
            replaced = await self._replace_gone_models(models, app)
            flags = await self._check(models) if replaced else flags
        await self._record(models, flags, problem)
        for flag in flags:
            log.warning("model_flagged", feature=flag.feature, model=flag.model, flag=flag.flag)
        return {
            "count": len(models.usable),
            "flags": [flag.to_wire() for flag in flags],
            "replaced": replaced,
            "problem": problem,
        }

    async def _check(self, models: ModelList) -> list[Flag]:
        today = self._now().date()
        stored = {
            id_: await self._feature_admin.recorded(id_, one)
            for id_, one in (await self._features.read_all()).items()
        }
        app = await self._app_settings.read()
        flags = [
            Flag("", finding.field, "", "broken", finding.message)
            for finding in malformed_fields(app)
        ]
        flags += (
            flag
            for id_, one in stored.items()
            for flag in flags_of(id_, one, models, today, free_only=app.settings.free_models_only)
        )
        return flags[: self._limits.flags_max]

    async def _record(self, models: ModelList, flags: Sequence[Flag], problem: str | None) -> None:
        state = {
            "generation": models.generation,
            "count": len(models.usable),
            "fetchedAt": models.fetched_at,
            "checkedAt": self._now(),
            "problem": problem,
            "flags": [flag.to_wire() for flag in flags],
            "missingDefaults": missing_defaults(models),
        }
        await self._config.merge({"catalog": state})

    async def _replace_gone_models(self, models: ModelList, app: AppSettings) -> list[Json]:
        """Replace the models that are gone. Returns `[{feature, before, after}]`."""
        replaced: list[Json] = []
        for id_, stored in (await self._features.read_all()).items():
            if stored.feature is None or not stored.feature.enabled:
                continue
            before, base = stored.feature.settings, stored.feature.revision
            successor = successor_of(before, stored, models, app)
            if successor is None:
                continue
            fallbacks = [model for model in before.fallback_models if model != successor]
            after = before.model_copy(update={"model": successor, "fallback_models": fallbacks})
            note = f"{before.model} is no longer in OpenRouter's list"
            author = Author(uid="", email="", action="refresh_catalog_daily", note=note)
            try:
                await self._feature_admin.replace(id_, after, base, author, Review(models))
            except SettingsChanged:
                continue  # an admin changed the feature just now, and knows better
            replaced.append({"feature": id_, "before": before.model, "after": successor})
        return replaced


def flags_of(
    id_: str, stored: StoredFeature, models: ModelList, today: date, *, free_only: bool = False
) -> Iterator[Flag]:
    """Yield what is wrong with a feature's document and, if it is enabled, with its models.

    The models that a draft names are checked as well.

    Args:
        id_: The feature.
        stored: As it is stored.
        models: OpenRouter's list.
        today: The date that expiry dates are compared with.
        free_only: Whether the app allows only what is free.
    """
    feature = stored.feature
    for finding in malformed_parts(stored):
        own_model = feature.settings.model if feature else ""
        yield Flag(id_, finding.field, own_model, "broken", finding.message)
    if feature is None or not feature.enabled:
        return
    if free_only:
        yield from _paid_flags(id_, feature.settings, models)
    in_draft = feature.draft.settings.named_models() if feature.draft else ()
    named = [
        *feature.settings.named_models(),
        *((f"draft.{at}", name) for at, name in in_draft),
    ]
    for at, name in named:
        resolved = models.resolve(name)
        if resolved.model is None:
            if resolved.preset is None:
                yield missing_flag(id_, at, name, stored, models)
            continue
        model = resolved.model
        if expires := model.expires_soon(today):
            message = f"OpenRouter will withdraw {name} on {expires:%Y-%m-%d}."
            yield Flag(id_, at, name, "expires", message, {"on": expires.isoformat()})
        before, after = stored.prices.get(name), revisions.price_of(model)
        if before is not None and _amounts(before) != _amounts(after):
            message = f"The price of {name} has changed since this feature was saved."
            details = {"before": _amounts(before), "after": _amounts(after)}
            yield Flag(id_, at, name, "repriced", message, details)


def missing_defaults(models: ModelList) -> list[str]:
    """Return the default models that OpenRouter does not list: calls skip them."""
    return sorted(id_ for id_ in DEFAULT_MODELS if models.resolve(id_).is_unknown)


def _paid_flags(id_: str, settings: FeatureSettings, models: ModelList) -> Iterator[Flag]:
    """Yield what of a feature would be billed, so that its calls are refused."""
    billed = [*paid_extras(settings)]
    resolved = models.resolve(settings.model)
    if not resolved.free and resolved.effective_model is not None:
        billed.append(("model", settings.model))
    for at, what in billed:
        message = f"{what} isn't free, and the app allows only what is free: calls are refused."
        yield Flag(id_, at, settings.model, "paid", message)


def missing_flag(feature: str, at: str, id_: str, stored: StoredFeature, models: ModelList) -> Flag:
    """Return the flag for a model that is not in the list: it was renamed, or it is gone."""
    successor = renamed(id_, stored, models)
    if successor is None:
        return Flag(feature, at, id_, "gone", f"{id_} is no longer in OpenRouter's list.")
    message = f"{id_} has been renamed to {successor}."
    return Flag(feature, at, id_, "renamed", message, {"to": successor})


def renamed(id_: str, stored: StoredFeature, models: ModelList) -> str | None:
    """Return the ID that a model has now, if it was renamed.

    It is the model with the same canonical slug and variant; virtual suffixes, which are in no
    list, are kept.
    """
    slug = stored.prices.get(id_, {}).get("canonicalSlug")
    suffixes = "".join(f":{suffix}" for suffix in models.resolve(id_).suffixes)
    variant = id_.removesuffix(suffixes).partition(":")[2] or None
    if not isinstance(slug, str) or not slug:
        return None
    for model in models.models:
        if model.canonical_slug == slug and model.variant == variant and not model.alias_target:
            return f"{model.id}{suffixes}"
    return None


def successor_of(
    settings: FeatureSettings, stored: StoredFeature, models: ModelList, app: AppSettings
) -> str | None:
    """Return the model to use instead of one that is gone, if there is a good one."""
    current = models.resolve(settings.model)
    if current.model is not None or current.preset is not None:
        return None
    new_name = renamed(settings.model, stored, models)
    # vectors of another model cannot be compared with those that the app has stored
    others = [] if settings.kind == EMBEDDING else settings.fallback_models
    for id_ in [*([new_name] if new_name else []), *others]:
        resolved = models.resolve(id_)
        if resolved.model is not None and (resolved.free or not app.free_models_only):
            return id_
    return None


def _amounts(price: Mapping[str, object]) -> Json:
    return {name: price.get(name) for name in ("promptPrice", "completionPrice")}
