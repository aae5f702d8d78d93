"""Stores the key slots, which are part of `config/app`. Every change is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.cloud.firestore import DELETE_FIELD

from .. import log
from ..firestore import Change, ConfigDocument, StoredConfig
from .slots import KeyEntries, KeySlots, read_slots


@dataclass(frozen=True, slots=True)
class StoredKeySlots:
    """The slots as they were read, with the document whose version guards a change."""

    slots: KeySlots
    config: StoredConfig


class KeySlotStore:
    """Reads and changes the slots. One per instance."""

    def __init__(self, config: ConfigDocument) -> None:
        self._config = config
        self._last: tuple[Mapping[str, object], KeySlots] = ({}, KeySlots())

    async def get(self, *, refresh: bool = False) -> KeySlots:
        """Return the slots as of a few seconds ago, or as of now.

        Raises SettingsUnavailable, FirestoreForbidden.
        """
        document = await self._config.get(refresh=refresh)
        if document is not self._last[0]:  # read again: parse it, and log its faults, once
            self._last = document, _slots(document)
        return self._last[1]

    async def read(self) -> StoredKeySlots:
        """Return the slots as they are now, to change them. Raises what `get` raises."""
        config = await self._config.read()
        return StoredKeySlots(_slots(config.document), config)

    async def save(
        self, stored: StoredKeySlots, feature: str | None, entries: KeyEntries, change: Change
    ) -> None:
        """Replace the keys of a feature's slot, or of the default slot.

        This takes effect on this instance at once. Raises SettingsChanged if any slot differs from
        `stored`, SettingsUnavailable.
        """
        path = ("keys", "default") if feature is None else ("keys", "features", feature)
        documents = [entry.to_document() for entry in entries]
        value = documents if entries or feature is None else DELETE_FIELD
        await self._change(stored, path, value, change)

    async def record_cleanup(self, stored: StoredKeySlots, change: Change) -> None:
        """Record that unused versions are about to be disabled. Raises what `save` raises."""
        await self._change(stored, ("keys", "swept"), stored.slots.cleanup_count + 1, change)

    async def _change(
        self, stored: StoredKeySlots, path: tuple[str, ...], value: object, change: Change
    ) -> None:
        await self._config.change(
            stored.config,
            {path: value},
            change,
            is_unchanged=lambda config: _slots(config.document) == stored.slots,
        )


def _slots(document: Mapping[str, object]) -> KeySlots:
    slots, skipped = read_slots(document.get("keys"))
    if skipped:
        log.error("app_settings_invalid", fields=skipped[:20])
    return slots
