"""Which keys a feature uses, and in which order: the value in `config/app.keys`. Pure.

    {default: [entry, ...], features: {<feature id>: [entry, ...]}, swept}
    entry: {version, lastFour, checkedAt, isFreeTier, limitUsd, limitRemainingUsd, setBy}

A missing `default` means first boot: no admin has stored a key yet, and the secret's newest version
is used. `default: []` means that the keys were removed, and none is used. A feature with keys of
its own uses only those; every other feature uses the default keys. `swept` counts the times when
unused versions were disabled without a change of any slot: a concurrent `set_openrouter_key` then
sees a different value, and never activates a version that has just been disabled.

Malformed entries, or parts of them, are skipped: people edit this document in the console.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from .. import limits
from ..contract import is_name

Versions = tuple[int | None, ...]  # of the secret, in order; None is the newest one
FIRST_BOOT: Final[Versions] = (None,)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A stored key: its version of the secret, and what OpenRouter reported when it was checked.

    Attributes:
        set_by: The email address of the admin who stored it, or else the uid.
    """

    version: int
    last_four: str | None = None
    checked_at: datetime | None = None
    is_free_tier: bool | None = None
    limit_usd: float | None = None
    limit_remaining_usd: float | None = None
    set_by: str | None = None

    def to_document(self) -> dict[str, object]:
        """Return the entry as Firestore stores it."""
        return {
            "version": self.version,
            "lastFour": self.last_four,
            "checkedAt": self.checked_at,
            "isFreeTier": self.is_free_tier,
            "limitUsd": self.limit_usd,
            "limitRemainingUsd": self.limit_remaining_usd,
            "setBy": self.set_by,
        }


KeyEntries = tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True)
class KeySlots:
    """All slots with their keys in order: the default slot (feature None) and those of features."""

    default: KeyEntries | None = None
    features: Mapping[str, KeyEntries] = field(default_factory=dict)
    cleanup_count: int = 0

    def keys_of(self, feature: str | None) -> KeyEntries | None:
        """Return the keys in exactly this slot; None for the default slot at first boot."""
        return self.default if feature is None else self.features.get(feature, ())

    def versions_for(self, feature: str | None) -> Versions:
        """Return the versions that a feature uses, in order; empty if the keys were removed."""
        entries = (feature and self.keys_of(feature)) or self.default
        if entries is None:
            return FIRST_BOOT
        return tuple(entry.version for entry in entries)

    def all_versions(self) -> set[int]:
        """Return the versions in all slots. The version used at first boot is in none of them."""
        slots = [self.default or (), *self.features.values()]
        return {entry.version for entries in slots for entry in entries}

    def with_keys(self, feature: str | None, entries: KeyEntries) -> KeySlots:
        """Return the slots with other keys in one of them. Empty features' slots are removed."""
        if feature is None:
            return replace(self, default=entries)
        features = {**self.features, feature: entries}
        return replace(self, features={id_: keys for id_, keys in features.items() if keys})


def read_slots(value: object) -> tuple[KeySlots, list[str]]:
    """Read `config/app.keys`, whatever it holds.

    Returns:
        The slots, and the paths of the parts that were skipped because they are malformed.
    """
    if not isinstance(value, dict):
        return KeySlots(), [] if value is None else ["keys"]
    skipped: list[str] = []
    by_feature = value.get("features", {})
    named = {}
    if isinstance(by_feature, dict):
        named = {id_: slot for id_, slot in by_feature.items() if is_name(id_)}
    if not isinstance(by_feature, dict) or len(named) < len(by_feature):
        skipped.append("keys.features")
    slots = {id_: _read_slot(f"keys.features.{id_}", slot, skipped) for id_, slot in named.items()}
    features = {id_: entries for id_, entries in slots.items() if entries}
    default = None
    if "default" in value:
        default = _read_slot("keys.default", value["default"], skipped)
    if default is None and features:
        default = ()  # not first boot: the newest version may belong to a feature
    count = value.get("swept")
    cleanup_count = count if type(count) is int and 0 <= count < 2**53 else 0
    return KeySlots(default, features, cleanup_count), skipped


def _read_slot(path: str, value: object, skipped: list[str]) -> KeyEntries | None:
    """Return a slot's keys: an empty tuple for null, and None for anything but a list."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        skipped.append(path)
        return None
    entries: list[KeyEntry] = []
    for position, item in enumerate(value):
        entry = _read_entry(item)
        if entry is None or len(entries) == limits.KEYS_MAX:
            skipped.append(f"{path}[{position}]")
        else:
            entries.append(entry)
    return tuple(entries)


def _read_entry(value: object) -> KeyEntry | None:
    if not isinstance(value, dict):
        return None
    version, last_four = value.get("version"), value.get("lastFour")
    checked_at, is_free_tier = value.get("checkedAt"), value.get("isFreeTier")
    set_by = value.get("setBy")
    if type(version) is not int or version < 1:  # to isinstance, True is an int too
        return None
    return KeyEntry(
        version,
        last_four[-4:] if isinstance(last_four, str) else None,
        checked_at if isinstance(checked_at, datetime) else None,
        is_free_tier if isinstance(is_free_tier, bool) else None,
        _read_amount(value.get("limitUsd")),
        _read_amount(value.get("limitRemainingUsd")),
        set_by if isinstance(set_by, str) else None,
    )


def _read_amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if not isinstance(value, float) or math.isfinite(value) else None
