"""The store of the app's settings, which are part of `config/app`. Every change is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .. import log
from ..firestore import Change, ConfigDocument, StoredConfig
from .app_settings import AppSettings, ReadAppSettings, read_app_settings


@dataclass(frozen=True, slots=True)
class StoredAppSettings:
    """The settings as they were read, with the document version that guards a change."""

    settings: AppSettings
    revision: int
    config: StoredConfig


class AppSettingsStore:
    """Reads and changes the settings. One per instance."""

    def __init__(self, config: ConfigDocument) -> None:
        self._config = config
        self._last: tuple[Mapping[str, object], AppSettings] | None = None

    async def get(self) -> AppSettings:
        """Return the settings as of a few seconds ago.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        document = await self._config.get()
        if self._last is None or document is not self._last[0]:
            self._last = document, _read(document).settings  # once for each read of the document
        return self._last[1]

    async def read(self) -> StoredAppSettings:
        """Return the settings as they are now, to change them. Raises as `get`."""
        config = await self._config.read()
        found = _read(config.document)
        return StoredAppSettings(found.settings, found.revision, config)

    async def save(self, stored: StoredAppSettings, settings: AppSettings, change: Change) -> int:
        """Replace the settings, on this instance at once, and return their new revision.

        Raises SettingsChanged if somebody else saved first, SettingsRefused, SettingsUnavailable.
        """
        revision = stored.revision + 1
        values = {**settings.to_json(), "revision": revision}
        await self._config.change(
            stored.config,
            {(name,): value for name, value in values.items()},
            change,
            is_unchanged=lambda now: read_app_settings(now.document).revision == stored.revision,
        )
        return revision


def _read(document: Mapping[str, object]) -> ReadAppSettings:
    found = read_app_settings(document)
    if found.malformed:
        log.error("app_settings_invalid", fields=list(found.malformed[:20]))
    return found
