"""What is counted of a ledger entry, and how it adds up. Pure.

    Cell           a feature, model, revision and tier: with day and user, the grain of reports
    Sums           numbers by their path in a document: `("status", "done")`
    Contribution   what one entry adds, and to which day, user and cell
    CellUsage      the sums of a cell on a day, as a report reads them

All numbers are whole (nano dollars and counts), so that sums are exact. Times come from the server
or from the entry: nothing here reads a clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from ..ledger import RUNNING, EntryField
from .histogram import bucket_of

if TYPE_CHECKING:
    from ..firestore import Document

Path: TypeAlias = tuple[str, ...]
Sums: TypeAlias = dict[Path, int]

REQUESTS: Final = ("requests",)
NANO_USD: Final = ("nanoUsd",)
BYOK_NANO_USD: Final = ("byokNanoUsd",)
ESTIMATES: Final = ("estimates",)
ESTIMATED_NANO_USD: Final = ("estimatedNanoUsd",)
CACHE_HITS: Final = ("cacheHits",)
SAVED_NANO_USD: Final = ("savedNanoUsd",)
TESTS: Final = ("tests",)
TOKENS: Final = ("promptTokens", "completionTokens", "reasoningTokens", "cachedTokens")
STATUS: Final = "status"
ERRORS: Final = "errors"
FIRST_TOKEN_MS: Final = "firstTokenMs"  # noqa: S105  # of an answer
TOTAL_MS: Final = "totalMs"
KEY_NANO_USD: Final = "keyNanoUsd"  # by key: what OpenRouter charged it
KEY_ESTIMATED_NANO_USD: Final = "keyEstimatedNanoUsd"  # and how much of that is estimated
_OF_DAY_ALONE: Final = frozenset({KEY_NANO_USD, KEY_ESTIMATED_NANO_USD})

# the fields of an entry that are read: not its result, which may be long
COUNTED_FIELDS: Final = (
    EntryField.UID,
    EntryField.FEATURE,
    EntryField.REVISION,
    EntryField.MODEL,
    EntryField.TIER,
    EntryField.IS_TEST,
    EntryField.STATUS,
    EntryField.CREATED_AT,
    EntryField.ERROR,
    EntryField.USAGE,
    EntryField.TIMING,
    EntryField.CACHED,
    EntryField.SAVED,
    EntryField.ATTEMPTS,
    EntryField.COST,
    EntryField.COST_IS_ESTIMATE,
    EntryField.ROLLED,
)
_REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Cell:
    """What reports can group a day's generations by, besides the user.

    Attributes:
        feature: The feature; None if the entry is damaged.
        model: The model that answered, or the first one that was called.
        revision: The revision of the feature's settings.
        tier: The user's tier, if any.
    """

    feature: str | None = None
    model: str | None = None
    revision: int = 0
    tier: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Cell:
        """Read the cell of a roll-up or of an entry: both use the same field names."""
        return cls(
            feature=_text(document.get("feature")),
            model=_text(document.get("model")),
            revision=_whole(document.get("revision")),
            tier=_text(document.get("tier")),
        )

    @property
    def id(self) -> str:
        """Its name as a document and as a field: a hash, because a model's id may hold anything."""
        parts = json.dumps([self.feature, self.model, self.revision, self.tier])
        return f"c{hashlib.sha256(parts.encode()).hexdigest()[:20]}"

    def to_document(self) -> Document:
        return {
            "feature": self.feature,
            "model": self.model,
            "revision": self.revision,
            "tier": self.tier,
        }


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one entry adds to the sums.

    Attributes:
        day: The day of its admission (UTC), such as `20260714`.
        uid: Its user; None if the entry is damaged.
        cell: Where it is counted.
        sums: What it adds.
    """

    day: str
    uid: str | None
    cell: Cell
    sums: Sums

    @classmethod
    def from_document(cls, document: object) -> Contribution | None:
        """Read what was counted of an entry; None if nothing has been counted."""
        if not isinstance(document, dict) or not isinstance(document.get("day"), str):
            return None
        return cls(
            day=document["day"],
            uid=_text(document.get("uid")),
            cell=Cell.from_document(document),
            sums=flatten(document.get("sums")),
        )

    def to_document(self) -> Document:
        document = {"day": self.day, "uid": self.uid, **self.cell.to_document()}
        return {**document, "sums": nest(self.sums)}


def contribution_of(
    entry: Mapping[str, object], created_at: datetime | None = None
) -> Contribution | None:
    """Return what an entry adds; None while it runs.

    Args:
        entry: The document.
        created_at: When it was created, in case `createdAt` is malformed.
    """
    status = entry.get(EntryField.STATUS)
    admitted_at = entry.get(EntryField.CREATED_AT)
    admitted_at = admitted_at if isinstance(admitted_at, datetime) else created_at
    if status == RUNNING or admitted_at is None:
        return None
    cost = _whole(entry.get(EntryField.COST))
    is_estimate = entry.get(EntryField.COST_IS_ESTIMATE) is True
    usage = entry.get(EntryField.USAGE)
    sums: Sums = {
        REQUESTS: 1,
        (STATUS, _reason(status)): 1,
        NANO_USD: cost,
        ESTIMATES: int(is_estimate),
        ESTIMATED_NANO_USD: cost if is_estimate else 0,
        TESTS: int(entry.get(EntryField.IS_TEST) is True),
    }
    for attempt in _attempts(entry):
        add(sums, attempt)
    if isinstance(usage, dict):
        sums |= {(name,): _whole(usage.get(name)) for name in TOKENS}
    if (error := entry.get(EntryField.ERROR)) is not None:
        sums[ERRORS, _reason(error)] = 1
    if entry.get(EntryField.CACHED) is True:  # no model was called: its time says nothing
        sums |= {CACHE_HITS: 1, SAVED_NANO_USD: _whole(entry.get(EntryField.SAVED))}
    else:
        sums |= _durations(entry.get(EntryField.TIMING), is_done=status == "done")
    return Contribution(
        day=f"{admitted_at:%Y%m%d}",
        uid=_text(entry.get(EntryField.UID)),
        cell=Cell.from_document(entry),
        sums={path: number for path, number in sums.items() if number},
    )


def _durations(timing: object, *, is_done: bool) -> Sums:
    """Return the buckets of an entry's durations: the total only if the entry is done."""
    if not isinstance(timing, dict):
        return {}
    names = (FIRST_TOKEN_MS, TOTAL_MS) if is_done else (FIRST_TOKEN_MS,)
    known = {name: timing.get(name) for name in names}
    return {
        (name, bucket_of(value)): 1
        for name, value in known.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def key_name(version: int | None) -> str:
    """Return a key's name in the sums. The key in use before any was stored has no version."""
    return "latest" if version is None else f"v{version}"


def _attempts(entry: Mapping[str, object]) -> Iterator[Sums]:
    """Yield what each attempt cost: charged to a key, or by a provider to the owner directly."""
    attempts = entry.get(EntryField.ATTEMPTS)
    for attempt in attempts if isinstance(attempts, list) else ():
        if not isinstance(attempt, dict):
            continue
        version = attempt.get("keyVersion")
        key = key_name(version if isinstance(version, int) else None)
        byok = _whole(attempt.get("byokNanoUsd"))
        charged = _whole(attempt.get("costNanoUsd")) - byok
        sums: Sums = {BYOK_NANO_USD: byok, (KEY_NANO_USD, key): charged}
        if attempt.get("costIsEstimate") is True:
            sums[KEY_ESTIMATED_NANO_USD, key] = charged
        yield sums


@dataclass(frozen=True, slots=True)
class CellUsage:
    """The sums of a cell on a day: of all users, or of one."""

    day: str
    cell: Cell
    sums: Sums
    uid: str = ""  # also for entries that name no user


# -- arithmetic ------------------------------------------------------------------------------------


def add(sums: Sums, more: Sums, *, times: int = 1) -> None:
    """Add to `sums` in place."""
    for path, number in more.items():
        sums[path] = sums.get(path, 0) + times * number


def nonzero(sums: Sums) -> Sums:
    return {path: number for path, number in sums.items() if number}


def of_cell(sums: Sums) -> Sums:
    """Return the sums that cells and users have as well, not only days."""
    return {path: number for path, number in sums.items() if path[0] not in _OF_DAY_ALONE}


def day_alone(sums: Sums) -> Sums:
    """Return the rest: the sums that only days have."""
    return {path: number for path, number in sums.items() if path[0] in _OF_DAY_ALONE}


def under(sums: Sums, name: str) -> dict[str, int]:
    """Return the numbers of a group, such as `status`, by name."""
    return {path[1]: number for path, number in sums.items() if path[0] == name and len(path) == 2}


def nest(sums: Sums) -> Document:
    """Return sums as a document stores them."""
    document: Document = {}
    for (name, *rest), number in sums.items():
        if rest:
            group = document.setdefault(name, {})
            assert isinstance(group, dict)
            group[rest[0]] = number
        else:
            document[name] = number
    return document


def flatten(document: object) -> Sums:
    """Read sums as a document stores them. Anything but whole numbers is ignored."""
    return dict(_numbers(document, ()))


def _numbers(value: object, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, (*path, name))
    elif path and isinstance(value, int) and not isinstance(value, bool):
        yield path, value


# -- reading malformed fields ----------------------------------------------------------------------


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _reason(value: object) -> str:
    """Return the reason, or one short name for all malformed ones: each would be a new field in
    every document that counts it."""
    return value if isinstance(value, str) and _REASON.fullmatch(value) else _OTHER
