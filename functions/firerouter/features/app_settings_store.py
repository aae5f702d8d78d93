"""The store of the app's settings, which are part of `config/app`. Every change is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from .. import log
from ..errors import RevisionUnknown, SettingsInvalid
from ..firestore import Change, ConfigDocument, StoredConfig
from .app_settings import AppSettings, ReadAppSettings, read_app_settings


@dataclass(frozen=True, slots=True)
class StoredAppSettings:
    """The settings as they were read, with the document version that guards a change.

    Attributes:
        malformed: The fields whose defaults are used, because what is stored can't be read.
    """

    settings: AppSettings
    revision: int
    config: StoredConfig
    malformed: tuple[str, ...] = ()


class AppSettingsStore:
    """Reads and changes the settings. One per instance."""

    def __init__(self, config: ConfigDocument) -> None:
        self._config = config
        self._last: tuple[Mapping[str, object], AppSettings] | None = None

    async def get(self, *, refresh: bool = False) -> AppSettings:
        """Return the settings as of a few seconds ago; with `refresh`, as they are now.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        document = await self._config.get(refresh=refresh)
        if self._last is None or document is not self._last[0]:
            self._last = document, _read(document).settings  # once for each read of the document
        return self._last[1]

    async def missing_defaults(self) -> frozenset[str] | None:
        """Return the default models that OpenRouter did not list at the last check of the models.

        None if there was no check yet. Raises as `get`.
        """
        catalog = (await self._config.get()).get("catalog")
        missing = catalog.get("missingDefaults") if isinstance(catalog, dict) else None
        if not isinstance(missing, list):
            return None
        return frozenset(id_ for id_ in missing if isinstance(id_, str))

    async def read(self) -> StoredAppSettings:
        """Return the settings as they are now, to change them. Raises as `get`."""
        config = await self._config.read()
        found = _read(config.document)
        return StoredAppSettings(found.settings, found.revision, config, found.malformed)

    async def revision(self, number: int) -> AppSettings:
        """Return the settings of a revision; revision 0 has the defaults.

        Raises RevisionUnknown, SettingsInvalid, SettingsUnavailable, FirestoreForbidden.
        """
        if number == 0:
            return AppSettings()
        document = await self._config.revision(number)
        if document is None:
            sentence = "The app's settings have no such revision. Choose another one."
            raise RevisionUnknown(sentence, field="restore")
        try:
            return AppSettings.model_validate(document["settings"], by_alias=True, by_name=False)
        except (KeyError, ValidationError):
            sentence = f"Revision {number} can't be read any more. Choose another revision."
            raise SettingsInvalid(sentence, field="restore", revision=number) from None

    async def save(
        self,
        stored: StoredAppSettings,
        settings: AppSettings,
        change: Change,
        revision: Mapping[str, object],
        *,
        keep_document: bool = False,
    ) -> int:
        """Replace the settings, on this instance at once, and return their new revision.

        Args:
            stored: The settings that the change was made from.
            settings: The settings as they will be.
            change: The entry for the audit.
            revision: The document of the new revision, without its number.
            keep_document: Whether the stored settings stay as they are but for their number,
                because they were edited in the console.

        Raises SettingsChanged if somebody else saved first, SettingsRefused, SettingsUnavailable.
        """
        number = max(stored.revision, await self._config.newest_revision()) + 1
        values: dict[str, object] = {} if keep_document else settings.to_json()
        values["revision"] = number
        await self._config.change(
            stored.config,
            {(name,): value for name, value in values.items()},
            change,
            is_unchanged=lambda now: read_app_settings(now.document).revision == stored.revision,
            revision={**revision, "revision": number, "settings": settings.to_json()},
        )
        return number


def _read(document: Mapping[str, object]) -> ReadAppSettings:
    found = read_app_settings(document)
    if found.malformed:
        log.error("app_settings_invalid", fields=list(found.malformed[:20]))
    return found
