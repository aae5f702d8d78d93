"""What an instance talks to: stores, services, OpenRouter. Each is made when it is first needed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..users import APP_CHECK_KEYS_URL, Identity
from . import clients
from .environment import OPENROUTER_BASE_URL, check_environment
from .limits import Limits

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from ..background import BackgroundTasks
    from ..conversations import ConversationStore
    from ..delivery import Handover, Progress, StopSignals
    from ..features import AppSettingsStore, FeatureStore
    from ..files import FileStorage
    from ..firestore import Audit
    from ..generation import ResponseCache
    from ..keys import Keys, Vault
    from ..ledger import Ledger, LedgerStore
    from ..models import Catalog
    from ..openrouter import OpenRouter
    from ..users import PreferenceStore, Pseudonyms


class Services:
    """The parts of an instance that use cases are made of."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, limits: Limits | None = None
    ) -> None:
        check_environment(environ)
        self._environ = environ
        self.limits = limits or Limits()

    @cached_property
    def project(self) -> str:
        for name in ("GCLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT"):
            if value := self._environ.get(name):
                return value
        return str(self._firebase_config.get("projectId", ""))

    @property
    def _firebase_config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self._environ.get("FIREBASE_CONFIG", "{}"))
        return config

    @cached_property
    def identity(self) -> Identity:
        host = self._environ.get("APP_CHECK_EMULATOR_HOST")
        url = f"http://{host}/v1/jwks" if host else APP_CHECK_KEYS_URL
        return Identity(
            self.project,
            firebase_app=lambda: clients.firebase_app(self.project),
            app_check_keys_url=url,
            limits=self.limits.identity,
        )

    @cached_property
    def firestore(self) -> AsyncClient:
        from google.cloud.firestore import AsyncClient

        return AsyncClient(project=self.project)

    @cached_property
    def app_settings(self) -> AppSettingsStore:
        from ..features import AppSettingsStore

        return AppSettingsStore(self.firestore, self.audit)

    @cached_property
    def features(self) -> FeatureStore:
        from ..features import FeatureStore

        return FeatureStore(self.firestore, self.audit)

    @cached_property
    def preferences(self) -> PreferenceStore:
        from ..users import PreferenceStore

        return PreferenceStore(self.firestore)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        from ..users import Pseudonyms

        return Pseudonyms(self.firestore)

    @cached_property
    def audit(self) -> Audit:
        from ..firestore import Audit

        return Audit(self.firestore, limits=self.limits.firestore)

    @cached_property
    def vault(self) -> Vault:
        from ..keys import Vault

        return Vault(self.project, client=lambda: clients.secret_manager(self._environ))

    @cached_property
    def keys(self) -> Keys:
        from ..keys import Keys

        return Keys(self.vault, self.app_settings)

    @cached_property
    def ledger(self) -> Ledger:
        from ..ledger import Ledger

        return Ledger(
            self.ledger_store,
            background=self.background,
            instance=self.instance,
            limits=self.limits.ledger,
        )

    @cached_property
    def ledger_store(self) -> LedgerStore:
        from ..ledger import LedgerStore

        return LedgerStore(self.firestore, limits=self.limits.ledger)

    @cached_property
    def background(self) -> BackgroundTasks:
        """What goes on after callers have been answered."""
        from ..background import BackgroundTasks

        return BackgroundTasks()

    @cached_property
    def handover(self) -> Handover:
        from ..delivery import Handover, TaskQueue

        limits = self.limits.delivery
        queue = TaskQueue(self.project, lambda: clients.firebase_app(self.project), limits=limits)
        return Handover(
            self.firestore,
            queue,
            store=self.ledger_store,
            instance=self.instance,
            limits=limits,
            ledger_limits=self.limits.ledger,
        )

    @cached_property
    def instance(self) -> str:
        """A random id of this instance: who runs a generation, for those who stop it."""
        return secrets.token_hex(8)

    @cached_property
    def stops(self) -> StopSignals:
        from ..delivery import StopSignals

        return StopSignals(
            self.firestore,
            self.instance,
            store=self.ledger_store,
            limits=self.limits.delivery,
        )

    @cached_property
    def openrouter(self) -> OpenRouter:
        from ..openrouter import OpenRouter

        url = self._environ.get("OPENROUTER_BASE_URL", OPENROUTER_BASE_URL)
        return OpenRouter(base_url=url)

    @cached_property
    def responses(self) -> ResponseCache:
        from ..generation import ResponseCache

        return ResponseCache(self.firestore)

    @cached_property
    def catalog(self) -> Catalog:
        from ..models import Catalog

        return Catalog(self.firestore, openrouter=lambda: self.openrouter, keys=self.keys.of(None))

    @cached_property
    def conversations(self) -> ConversationStore:
        from ..conversations import ConversationStore

        return ConversationStore(self.firestore)

    @cached_property
    def progress(self) -> Progress:
        from ..delivery import Progress

        return Progress(
            self.firestore,
            store=self.ledger_store,
            background=self.background,
            limits=self.limits.delivery,
        )

    @cached_property
    def uploads(self) -> FileStorage:
        from ..files import FileStorage

        bucket = str(self._firebase_config.get("storageBucket", ""))
        return FileStorage(bucket, client=lambda: clients.storage(self.project, self._environ))
