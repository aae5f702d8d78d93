"""The app's own settings, `config/app`: its name, what a user may do, which key version serves.

    {appName, referer, limits: {requestsPerMinute, concurrent, usdPerDay, reserveUsd},
     keys: {default: {version, lastFour, checkedAt, isFreeTier, limitUsd, limitRemainingUsd}}}

`keys.default` that is not there is the first boot: no admin has stored a key yet. `null` is a key
that was removed, and nothing serves.

A field that can not be read falls back to its default and is logged: never a call that fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from google.cloud.firestore import AsyncClient
from pydantic import BaseModel, Field, ValidationError

from . import limits, log
from .audit import Audit, Change
from .cached import Cached
from .commits import AWAY
from .contract import Number, Record
from .errors import KeyMissing, SettingsChanged, SettingsUnavailable

ModelT = TypeVar("ModelT", bound=BaseModel)


class UserLimits(Record):
    """What one user may do. usd_per_day and reserve_usd are US dollars."""

    requests_per_minute: Annotated[int, Field(ge=1, le=limits.REQUESTS_PER_MINUTE_MAX)] = (
        limits.REQUESTS_PER_MINUTE
    )
    concurrent: Annotated[int, Field(ge=1, le=limits.CONCURRENT_MAX)] = limits.CONCURRENT
    usd_per_day: Annotated[Number, Field(ge=0, le=limits.USD_PER_DAY_MAX)] = limits.USD_PER_DAY
    reserve_usd: Annotated[Number, Field(ge=0, le=limits.RESERVE_MAX_USD)] = limits.RESERVE_USD


class AppSettings(Record):
    """app_name and referer tell OpenRouter which app calls; key_version None is the first boot."""

    app_name: Annotated[str, Field(max_length=100, pattern=r"^[\x20-\x7e]*$")] = "Firerouter"
    referer: Annotated[str, Field(max_length=300, pattern=r"^(https?://[\x21-\x7e]+)?$")] = ""
    limits: UserLimits = UserLimits()
    key_version: Annotated[int, Field(ge=1)] | None = None
    key_removed: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """`config/app` as it was read: what a change is made from.

    version: its update time, the guard of the change; None where there is no document.
    """

    document: dict[str, Any]
    version: Any

    @property
    def keys(self) -> dict[str, Any]:
        keys = self.document.get("keys")
        return keys if isinstance(keys, dict) else {}

    @property
    def default_key(self) -> dict[str, Any] | None:
        key = self.keys.get("default")
        return key if isinstance(key, dict) else None

    @property
    def key_removed(self) -> bool:
        return self.keys.get("default", ...) is None

    @property
    def other_key_versions(self) -> set[int]:
        """Versions of the secret that serve something besides the default."""
        others = (key for name, key in self.keys.items() if name != "default")
        versions = (key.get("version") for key in others if isinstance(key, dict))
        return {version for version in versions if isinstance(version, int)}


class AppSettingsStore:
    """Reads `config/app`, cached for a few seconds and fetched once at a time, and changes it."""

    def __init__(self, firestore: AsyncClient, audit: Audit) -> None:
        self._firestore = firestore
        self._audit = audit
        self._document = firestore.collection("config").document("app")
        self._cache: Cached[AppSettings] = Cached(
            self._load, fresh_s=limits.SETTINGS_FRESH_S, stale_s=limits.SETTINGS_STALE_S
        )

    async def get(self) -> AppSettings:
        """Raises SettingsUnavailable."""
        try:
            return await self._cache.get()
        except AWAY:
            raise SettingsUnavailable from None

    async def key_version(self, *, anew: bool = False) -> int | None:
        """Which secret version serves, None at first boot; as of now, or of a few seconds ago.

        Raises KeyMissing once the key was removed, SettingsUnavailable.
        """
        try:
            settings = await (self._cache.renew() if anew else self._cache.get())
        except AWAY:
            raise SettingsUnavailable from None
        if settings.key_removed:
            raise KeyMissing
        return settings.key_version

    async def read(self) -> Stored:
        """The document as it is now. Raises SettingsUnavailable."""
        try:
            return await self._read()
        except AWAY:
            raise SettingsUnavailable from None

    async def save_key(self, stored: Stored, key: dict[str, Any] | None, change: Change) -> None:
        """Let another key serve by default, or with None no key at all; here at once.

        Raises SettingsChanged if its keys are not as they were `stored`, SettingsUnavailable.
        """
        for _ in range(_TRIES):
            try:
                await self._commit_key(stored, key, change)
            except SettingsChanged:
                now = await self.read()
                if now.keys != stored.keys:
                    raise
                stored = now  # something else in the document: no reason to refuse
            else:
                keys = {**stored.keys, "default": key}
                self._cache.put(_settings(Stored({**stored.document, "keys": keys}, None)))
                return
        raise SettingsChanged

    async def _commit_key(self, stored: Stored, key: dict[str, Any] | None, change: Change) -> None:
        batch = self._firestore.batch()
        if stored.version is None:
            batch.create(self._document, {"keys": {"default": key}})
        else:
            guard = self._firestore.write_option(last_update_time=stored.version)
            batch.update(self._document, {"keys.default": key}, option=guard)
        await self._audit.commit(batch, change)

    async def _load(self) -> AppSettings:
        return _settings(await self._read())

    async def _read(self) -> Stored:
        snapshot = await self._document.get(retry=None, timeout=limits.READ_S)
        if not snapshot.exists:
            return Stored({}, None)
        return Stored(snapshot.to_dict() or {}, snapshot.update_time)


_TOP = ("appName", "referer")
_TRIES = 5  # of a change, while others change what is beside it


def _settings(stored: Stored) -> AppSettings:
    limits_ = stored.document.get("limits")
    return _lenient(
        AppSettings,
        {
            **{name: stored.document[name] for name in _TOP if name in stored.document},
            "limits": _lenient(UserLimits, limits_ if isinstance(limits_, dict) else {}),
            "keyVersion": (stored.default_key or {}).get("version"),
            "keyRemoved": stored.key_removed,
        },
    )


def _lenient(shape: type[ModelT], values: dict[str, Any]) -> ModelT:
    """`values` as `shape`, whatever is wrong in them left at its default."""
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        wrong = {
            str(item["loc"][0]) for item in error.errors(include_url=False, include_input=False)
        }
        log.error("app_settings_invalid", fields=sorted(wrong)[:20])
        return shape.model_validate({k: v for k, v in values.items() if k not in wrong})
