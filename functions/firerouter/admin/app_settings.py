"""Admins change the settings of the app as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from .. import log
from ..callable import Call
from ..contract import Record, RestoreAppSettings, SaveAppSettings, parse
from ..errors import RevisionUnknown, SettingsChanged, SettingsInvalid
from ..features import (
    AppSettings,
    AppSettingsStore,
    Feature,
    FeatureSettings,
    FeatureStore,
    Finding,
    ModelChoice,
    StoredAppSettings,
    differences,
    features_over_caps,
    low_caps_of_app,
    paid_extras,
)
from ..firestore import Change
from ..users import Caller
from . import revisions
from .revisions import EDITED_BY_HAND, Author

Json = dict[str, object]

MODELS_SHOWN: Final = 10  # in the sentence of one finding


class AppSettingsAdmin:
    """The callables `save_app_settings` and `restore_app_settings`."""

    def __init__(
        self,
        *,
        app_settings: AppSettingsStore,
        features: FeatureStore,
        choice: ModelChoice,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._app_settings = app_settings
        self._features = features
        self._choice = choice

    async def save(self, call: Call[Caller]) -> Json:
        """Change the given settings, of `{appName, referer, limits, retention, freeModelsOnly,
        replaceGoneModels, ...}`; the others stay as they are.

        Returns `{revision, settings, changes, warnings}`, and with `validateOnly`, which saves
        nothing, `{valid, changes, warnings}`. Raises SettingsRefused, SettingsChanged with both
        versions, SettingsUnavailable.
        """
        request = parse(SaveAppSettings, call.data)
        author = Author.of(call, "save_app_settings", request.note)
        stored = await self.read()
        settings = merged(stored.settings, request.settings, request.remove)
        if request.validate_only:
            return {
                "valid": True,
                "changes": differences(stored.settings.to_json(), settings.to_json()),
                "warnings": [one.to_wire() for one in await self._consequences(settings)],
            }
        return await self._save(stored, settings, request.revision, author)

    async def restore(self, call: Call[Caller]) -> Json:
        """Activate the settings of an older revision again, as a new revision.

        Returns what `save` returns. Raises RevisionUnknown, SettingsInvalid, SettingsChanged,
        SettingsRefused, SettingsUnavailable.
        """
        request = parse(RestoreAppSettings, call.data)
        author = Author.of(call, "restore_app_settings", request.note)
        stored = await self.read()
        settings = await self._app_settings.revision(request.restore)
        return await self._save(stored, settings, request.revision, author)

    async def read(self) -> StoredAppSettings:
        """Return the settings as they are stored now, with edits in the console recorded.

        Settings that were never saved through the app are no edits. Raises SettingsUnavailable.
        """
        stored = await self._app_settings.read()
        if stored.revision == 0:
            return stored
        try:
            before = await self._app_settings.revision(stored.revision)
        except (RevisionUnknown, SettingsInvalid):
            return stored  # saved before there were revisions
        if not differences(before.to_json(), stored.settings.to_json()):
            return stored
        author = Author(uid="", email="", action=EDITED_BY_HAND)
        with suppress(SettingsChanged):  # another call has noticed it
            await self._commit(stored, before, stored.settings, author, keep_document=True)
        return await self._app_settings.read()

    async def _save(
        self, stored: StoredAppSettings, settings: AppSettings, base: int, author: Author
    ) -> Json:
        before, after = stored.settings.to_json(), settings.to_json()
        if base != stored.revision:
            current = {"revision": stored.revision, "settings": before}
            raise revisions.conflict_from(base, current, after)
        changes = differences(before, after)
        revision = stored.revision
        if changes or stored.malformed:
            revision = await self._commit(stored, stored.settings, settings, author)
        warnings = [*malformed_fields(stored), *await self._consequences(settings)]
        return {
            "revision": revision,
            "settings": after,
            "changes": changes,
            "warnings": [finding.to_wire() for finding in warnings],
        }

    async def _commit(
        self,
        stored: StoredAppSettings,
        before: AppSettings,
        after: AppSettings,
        author: Author,
        *,
        keep_document: bool = False,
    ) -> int:
        change = Change(
            by=author.uid,
            email=author.email,
            action=author.action,
            target="config/app",
            before=before.to_json(),
            after=after.to_json(),
            note=author.note,
        )
        document = {
            "action": author.action,
            "base": stored.revision,
            "changes": differences(before.to_json(), after.to_json()),
            "at": self._now(),
            "by": author.uid,
            "email": author.email or None,
            "note": author.note or None,
        }
        revision = await self._app_settings.save(
            stored, after, change, document, keep_document=keep_document
        )
        log.info(author.action, revision=revision)
        return revision

    async def _consequences(self, app: AppSettings) -> list[Finding]:
        """Find what does not work with these settings: of the app, then of its enabled features."""
        findings = [*low_caps_of_app(app)]
        for feature in await self._features.list_all():
            if not feature.enabled:
                continue
            for name, settings in named_settings(feature):
                if app.free_models_only:
                    findings += await self._billed(name, settings)
                else:
                    (resolved,) = await self._choice.resolve([settings.model])
                    findings += features_over_caps(name, settings, resolved, app)
        return findings

    async def _billed(self, name: str, settings: FeatureSettings) -> list[Finding]:
        """Find what of a feature is refused, or left out, because it would be billed."""
        free = set(await self._choice.filter_free(settings.model_ids()))
        billed = [what for _, what in paid_extras(settings)]
        if settings.model not in free:
            billed.append(f"The model {settings.model}")
        if billed:
            message = f"{billed[0]} isn't free, so calls to {name} are refused."
            return [Finding("freeModelsOnly", "paid_model", message)]
        findings = []
        for ids, what in (
            (settings.allowed_models, "users can't choose"),
            (settings.fallback_models, "there is no fallback to"),
        ):
            gone = [id_ for id_ in ids if id_ not in free]
            if gone:
                shown = ", ".join(gone[:MODELS_SHOWN])
                more = f" and {len(gone) - MODELS_SHOWN} more" if len(gone) > MODELS_SHOWN else ""
                message = f"In {name}, {what} {shown}{more}, because they aren't free."
                findings.append(Finding("freeModelsOnly", "models_left_out", message))
        return findings


def malformed_fields(stored: StoredAppSettings) -> Iterator[Finding]:
    """Yield the stored fields that can't be read, so that their defaults are used."""
    for name in stored.malformed:
        yield Finding(name, "invalid", f"{name} can't be read, so its default is used instead.")


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
