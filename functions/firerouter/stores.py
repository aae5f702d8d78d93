"""What an instance talks to: stores, services, OpenRouter. Each is made when it is first needed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import clients
from .environment import OPENROUTER_BASE_URL, check_environment
from .identity import APP_CHECK_KEYS_URL, Identity

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from .appsettings import AppSettingsStore
    from .audit import Audit
    from .catalog import Catalog
    from .conversations import Conversations
    from .features import Features
    from .handover import Handover
    from .keys import Keys, Vault
    from .ledger import Ledger
    from .openrouter import OpenRouter
    from .preferences import Preferences
    from .progress import Progress
    from .pseudonyms import Pseudonyms
    from .responses import Responses
    from .stops import Stops
    from .uploads import Uploads


class Stores:
    """The parts of an instance that use cases are made of."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        check_environment(environ)
        self._environ = environ

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
        )

    @cached_property
    def firestore(self) -> AsyncClient:
        from google.cloud.firestore import AsyncClient

        return AsyncClient(project=self.project)

    @cached_property
    def app_settings(self) -> AppSettingsStore:
        from .appsettings import AppSettingsStore

        return AppSettingsStore(self.firestore, self.audit)

    @cached_property
    def features(self) -> Features:
        from .features import Features

        return Features(self.firestore, self.audit)

    @cached_property
    def preferences(self) -> Preferences:
        from .preferences import Preferences

        return Preferences(self.firestore)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        from .pseudonyms import Pseudonyms

        return Pseudonyms(self.firestore)

    @cached_property
    def audit(self) -> Audit:
        from .audit import Audit

        return Audit(self.firestore)

    @cached_property
    def vault(self) -> Vault:
        from .keys import Vault

        return Vault(self.project, client=lambda: clients.secret_manager(self._environ))

    @cached_property
    def keys(self) -> Keys:
        from .keys import Keys

        return Keys(self.vault, self.app_settings)

    @cached_property
    def ledger(self) -> Ledger:
        from .ledger import Ledger

        return Ledger(self.firestore, instance=self.instance)

    @cached_property
    def handover(self) -> Handover:
        from .handover import Handover
        from .taskqueue import TaskQueue

        queue = TaskQueue(self.project, lambda: clients.firebase_app(self.project))
        return Handover(self.firestore, queue, instance=self.instance)

    @cached_property
    def instance(self) -> str:
        """A random id of this instance: who runs a generation, for those who stop it."""
        return secrets.token_hex(8)

    @cached_property
    def stops(self) -> Stops:
        from .stops import Stops

        return Stops(self.firestore, self.instance)

    @cached_property
    def openrouter(self) -> OpenRouter:
        from .openrouter import OpenRouter

        url = self._environ.get("OPENROUTER_BASE_URL", OPENROUTER_BASE_URL)
        return OpenRouter(base_url=url)

    @cached_property
    def responses(self) -> Responses:
        from .responses import Responses

        return Responses(self.firestore)

    @cached_property
    def catalog(self) -> Catalog:
        from .catalog import Catalog

        return Catalog(self.firestore, openrouter=lambda: self.openrouter, keys=self.keys.of(None))

    @cached_property
    def conversations(self) -> Conversations:
        from .conversations import Conversations

        return Conversations(self.firestore)

    @cached_property
    def progress(self) -> Progress:
        from .progress import Progress

        return Progress(self.firestore)

    @cached_property
    def uploads(self) -> Uploads:
        from .uploads import Uploads

        bucket = str(self._firebase_config.get("storageBucket", ""))
        return Uploads(bucket, client=lambda: clients.storage(self.project, self._environ))
