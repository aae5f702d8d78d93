"""The app's own settings, `config/app`: its name, what a user may do, which keys serve whom.

    {appName, referer, limits: {requestsPerMinute, concurrent, usdPerDay, reserveUsd},
     freeModelsOnly, replaceGoneModels, revision,
     keys: {default: [entry, ...], features: {<feature id>: [entry, ...]}, swept},
     catalog: what the last look at the models found (checkup)}

`keyslots` says what the keys' part means.

A field that can not be read falls back to its default and is logged: never a call that fails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from google.cloud.firestore import DELETE_FIELD, AsyncClient
from google.cloud.firestore_v1.field_path import FieldPath
from pydantic import BaseModel, Field, ValidationError

from .. import limits, log
from ..cache import Cached
from ..contract import Record
from ..errors import SettingsChanged, SettingsUnavailable
from ..firestore import AWAY, Audit, Change
from ..keys import Entries, KeySlots, read_slots
from ..ledger import UserLimits

ModelT = TypeVar("ModelT", bound=BaseModel)


class GeneralSettings(Record):
    """What an admin sets for the app as a whole.

    app_name and referer tell OpenRouter which app calls.
    free_models_only: what would be billed is refused, when it is saved and when it is asked.
    replace_gone_models: the daily check may put another model where one is gone.
    """

    app_name: Annotated[str, Field(max_length=100, pattern=r"^[\x20-\x7e]*$")] = "Firerouter"
    referer: Annotated[str, Field(max_length=300, pattern=r"^(https?://[\x21-\x7e]+)?$")] = ""
    limits: UserLimits = UserLimits()
    free_models_only: bool = True
    replace_gone_models: bool = False


class AppSettings(GeneralSettings):
    """The whole of it, as calls are served by."""

    keys: KeySlots = KeySlots()


@dataclass(frozen=True, slots=True)
class StoredAppSettings:
    """`config/app` as it was read: what a change is made from.

    version: its update time, the guard of the change; None where there is no document.
    """

    document: dict[str, Any]
    version: Any
    keys: KeySlots

    @property
    def revision(self) -> int:
        """How often the general settings were saved."""
        revision = self.document.get("revision")
        return revision if type(revision) is int and 0 <= revision < 2**53 else 0

    @property
    def general(self) -> GeneralSettings:
        return GeneralSettings.model_validate(_settings(self).model_dump(exclude={"keys"}))


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

    async def key_slots(self, *, anew: bool = False) -> KeySlots:
        """Which keys serve whom; as of now, or of a few seconds ago. Raises SettingsUnavailable."""
        try:
            return (await (self._cache.renew() if anew else self._cache.get())).keys
        except AWAY:
            raise SettingsUnavailable from None

    async def read(self) -> StoredAppSettings:
        """The document as it is now. Raises SettingsUnavailable."""
        try:
            return await self._read()
        except AWAY:
            raise SettingsUnavailable from None

    async def save_general(
        self, stored: StoredAppSettings, general: GeneralSettings, change: Change
    ) -> int:
        """Let these serve in place of what is `stored`, here at once. Answers their revision.

        Raises SettingsChanged if somebody else saved first, SettingsUnavailable.
        """
        revision = stored.revision + 1
        values = {**general.model_dump(by_alias=True), "revision": revision}
        for _ in range(limits.CHANGE_TRIES):
            batch = self._firestore.batch()
            if stored.version is None:
                batch.create(self._document, values)
            else:
                guard = self._firestore.write_option(last_update_time=stored.version)
                batch.update(self._document, values, option=guard)
            try:
                await self._audit.commit(batch, change)
            except SettingsChanged:
                now = await self.read()
                if now.revision != stored.revision:
                    raise
                stored = now  # a key, or the catalog's state: no reason to refuse
            else:
                saved = replace(stored, document={**stored.document, **values})
                self._cache.put(_settings(saved))
                return revision
        raise SettingsChanged

    async def note_catalog(self, state: dict[str, Any]) -> None:
        """Keep what the last look at the models found. Raises SettingsUnavailable."""
        try:
            await self._document.set(
                {"catalog": state}, merge=True, retry=None, timeout=limits.CHANGE_S
            )
        except AWAY:
            raise SettingsUnavailable from None

    async def save_keys(
        self, stored: StoredAppSettings, feature: str | None, entries: Entries, change: Change
    ) -> None:
        """Let these keys serve a feature, or with None by default; here at once.

        Raises SettingsChanged if the keys are not as they were `stored`, SettingsUnavailable.
        """
        own: Any = [entry.to_document() for entry in entries]
        slot = ("default",) if feature is None else ("features", feature)
        value = own if entries or feature is None else DELETE_FIELD
        await self._change_keys(stored, stored.keys.having(feature, entries), slot, value, change)

    async def note_sweep(self, stored: StoredAppSettings, change: Change) -> None:
        """Say that versions which serve nobody are about to be disabled. Raises the same."""
        swept = stored.keys.swept + 1
        saved = replace(stored.keys, swept=swept)
        await self._change_keys(stored, saved, ("swept",), swept, change)

    async def _change_keys(
        self,
        stored: StoredAppSettings,
        saved: KeySlots,
        at: tuple[str, ...],
        value: Any,
        change: Change,
    ) -> None:
        for _ in range(limits.CHANGE_TRIES):
            try:
                await self._commit_keys(stored, at, value, change)
            except SettingsChanged:
                now = await self.read()
                if now.keys != stored.keys:
                    raise
                stored = now  # something else in the document: no reason to refuse
            else:
                self._cache.put(_settings(replace(stored, keys=saved)))
                return
        raise SettingsChanged

    async def _commit_keys(
        self, stored: StoredAppSettings, at: tuple[str, ...], value: Any, change: Change
    ) -> None:
        """Of the document that one field alone is written: what is beside it stays as it is."""
        batch = self._firestore.batch()
        path = FieldPath("keys", *at)
        if stored.version is None:
            document: Any = value
            for name in reversed(path.parts):
                document = {name: document}
            batch.create(self._document, document)
        else:
            guard = self._firestore.write_option(last_update_time=stored.version)
            batch.update(self._document, {path.to_api_repr(): value}, option=guard)
        await self._audit.commit(batch, change)

    async def _load(self) -> AppSettings:
        return _settings(await self._read())

    async def _read(self) -> StoredAppSettings:
        snapshot = await self._document.get(retry=None, timeout=limits.READ_S)
        if not snapshot.exists:
            return StoredAppSettings({}, None, KeySlots())
        document = snapshot.to_dict() or {}
        return StoredAppSettings(document, snapshot.update_time, read_slots(document.get("keys")))


_TOP = ("appName", "referer", "freeModelsOnly", "replaceGoneModels")


def _settings(stored: StoredAppSettings) -> AppSettings:
    limits_ = stored.document.get("limits")
    return _lenient(
        AppSettings,
        {
            **{name: stored.document[name] for name in _TOP if name in stored.document},
            "limits": _lenient(UserLimits, limits_ if isinstance(limits_, dict) else {}),
            "keys": stored.keys,
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
