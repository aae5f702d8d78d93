"""Which keys serve whom, and in which order: `config/app.keys`, read and changed. Pure.

    {default: [entry, ...], features: {<feature id>: [entry, ...]}, swept}
    entry: {version, lastFour, checkedAt, isFreeTier, limitUsd, limitRemainingUsd}

`default` that is not there is the first boot: no admin has stored a key yet, and the secret's
newest version serves. `[]` is a removed key: nothing serves. A feature that has keys of its own is
served by those alone, any other by the default ones. `swept` counts how often versions that served
nobody were disabled while no slot changed, so that whoever stores a key meanwhile is told.

What was typed by hand and can not be read is skipped and logged, an entry or a part of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from .. import limits, log
from ..contract import is_name

Versions = tuple[int | None, ...]  # of the secret, in order; None: whichever is the newest
FIRST_BOOT: Final[Versions] = (None,)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One stored key: its version of the secret, and what was known of it when it was checked."""

    version: int
    last_four: str | None = None
    checked_at: datetime | None = None
    is_free_tier: bool | None = None
    limit_usd: float | None = None
    limit_remaining_usd: float | None = None

    def to_document(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "lastFour": self.last_four,
            "checkedAt": self.checked_at,
            "isFreeTier": self.is_free_tier,
            "limitUsd": self.limit_usd,
            "limitRemainingUsd": self.limit_remaining_usd,
        }


Entries = tuple[KeyEntry, ...]


@dataclass(frozen=True, slots=True)
class KeySlots:
    """Every slot with its keys in order: the default one (feature None) and the features' own."""

    default: Entries | None = None
    features: Mapping[str, Entries] = field(default_factory=dict)
    swept: int = 0

    def own(self, feature: str | None) -> Entries | None:
        """The keys in that very slot; None for the default one at first boot."""
        return self.default if feature is None else self.features.get(feature, ())

    def serving(self, feature: str | None) -> Versions:
        """The versions that serve a feature, in order; none once the keys were removed."""
        entries = (feature and self.own(feature)) or self.default
        if entries is None:
            return FIRST_BOOT
        return tuple(entry.version for entry in entries)

    def versions(self) -> set[int]:
        """All that serve somebody, the one of the first boot aside."""
        slots = [self.default or (), *self.features.values()]
        return {entry.version for entries in slots for entry in entries}

    def having(self, feature: str | None, entries: Entries) -> KeySlots:
        """The same with other keys in that slot. A feature with none is none of its features."""
        if feature is None:
            return replace(self, default=entries)
        features = {**self.features, feature: entries}
        return replace(self, features={id_: own for id_, own in features.items() if own})


def read_slots(keys: Any) -> KeySlots:
    """`config/app.keys`, whatever it is."""
    if not isinstance(keys, dict):
        _skipped([] if keys is None else ["keys"])
        return KeySlots()
    typed = keys.get("features", {})
    named = {id_: own for id_, own in typed.items() if is_name(id_)} if _is_map(typed) else {}
    if not _is_map(typed) or len(named) < len(typed):
        _skipped(["keys.features"])
    read = {id_: _entries(f"keys.features.{id_}", own) for id_, own in named.items()}
    features = {id_: own for id_, own in read.items() if own}
    default: Entries | None = None
    if "default" in keys:
        default = _entries("keys.default", keys["default"])
    if default is None and features:
        default = ()  # no first boot: the newest version may be a feature's own
    swept = keys.get("swept")
    return KeySlots(default, features, swept if type(swept) is int and 0 <= swept < 2**53 else 0)


def _entries(path: str, typed: Any) -> Entries | None:
    """A slot's keys. None for what is no list, but for null, which says that there are none."""
    if typed is None:
        return ()
    if not isinstance(typed, (list, tuple)):
        _skipped([path])
        return None
    found = list(enumerate(map(_entry, typed)))
    _skipped(f"{path}[{n}]" for n, entry in found if entry is None)
    readable = [entry for _, entry in found if entry is not None]
    _skipped(f"{path}[{n}]" for n in range(limits.KEYS_MAX, len(readable)))
    return tuple(readable[: limits.KEYS_MAX])


def _entry(typed: Any) -> KeyEntry | None:
    if not _is_map(typed) or type(typed.get("version")) is not int or typed["version"] < 1:
        return None
    last_four, checked_at = typed.get("lastFour"), typed.get("checkedAt")
    is_free_tier = typed.get("isFreeTier")
    return KeyEntry(
        typed["version"],
        last_four[-4:] if isinstance(last_four, str) else None,
        checked_at if isinstance(checked_at, datetime) else None,
        is_free_tier if isinstance(is_free_tier, bool) else None,
        _amount(typed.get("limitUsd")),
        _amount(typed.get("limitRemainingUsd")),
    )


def _amount(typed: Any) -> float | None:
    if isinstance(typed, bool) or not isinstance(typed, (int, float)):
        return None
    return typed if typed - typed == 0 else None  # neither NaN nor infinite


def _is_map(typed: Any) -> bool:
    return isinstance(typed, dict)


def _skipped(fields: Iterable[str]) -> None:
    if found := list(fields):
        log.error("app_settings_invalid", fields=found[:20])
