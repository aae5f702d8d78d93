"""The app's own settings, `config/app`: its name, what a user may do, which key version serves.

    {appName, referer, limits: {requestsPerMinute, concurrent, usdPerDay, reserveUsd},
     keys: {default: {version, lastFour, checkedAt}}}

A field that can not be read falls back to its default and is logged: never a call that fails.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from google.api_core.exceptions import GoogleAPIError
from google.cloud.firestore import AsyncClient
from pydantic import BaseModel, Field, ValidationError

from . import limits, log
from .cached import Cached
from .contract import Number, Record
from .errors import SettingsUnavailable

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


class AppSettingsStore:
    """Reads `config/app`, cached for a few seconds and fetched once at a time."""

    def __init__(self, firestore: AsyncClient) -> None:
        self._document = firestore.collection("config").document("app")
        self._cache: Cached[AppSettings] = Cached(
            self._load, fresh_s=limits.SETTINGS_FRESH_S, stale_s=limits.SETTINGS_STALE_S
        )

    async def get(self) -> AppSettings:
        """Raises SettingsUnavailable."""
        try:
            return await self._cache.get()
        except (TimeoutError, GoogleAPIError):
            raise SettingsUnavailable from None

    async def key_version(self) -> int | None:
        """Which secret version serves; read anew, for it is asked for when a key was refused."""
        try:
            return (await self._cache.renew()).key_version
        except (TimeoutError, GoogleAPIError):
            raise SettingsUnavailable from None

    async def _load(self) -> AppSettings:
        snapshot = await self._document.get(retry=None, timeout=limits.READ_S)
        document = (snapshot.to_dict() or {}) if snapshot.exists else {}
        key = document.get("keys")
        default_key = key.get("default") if isinstance(key, dict) else None
        version = default_key.get("version") if isinstance(default_key, dict) else None
        limits_ = document.get("limits")
        return _lenient(
            AppSettings,
            {
                **{name: document[name] for name in _TOP if name in document},
                "limits": _lenient(UserLimits, limits_ if isinstance(limits_, dict) else {}),
                "keyVersion": version,
            },
        )


_TOP = ("appName", "referer")


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
