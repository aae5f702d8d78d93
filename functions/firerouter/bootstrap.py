"""Builds everything, once an instance, when it is first needed. The only place that does."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from . import clients, limits, log
from .callable import Call, CallableError, CallableResponse, Handler, Headers, Wire
from .environment import OPENROUTER_BASE_URL, check_environment
from .identity import APP_CHECK_KEYS_URL, Caller, Identity

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from .appconfig import AppConfig
    from .appsettings import AppSettingsStore
    from .archive import Archive
    from .attaching import Attaching
    from .audit import Audit
    from .browse import Browse
    from .catalog import Catalog
    from .checkup import Checkup
    from .choice import Choice
    from .configure import Configure
    from .connection import Connection
    from .conversations import Conversations
    from .features import Features
    from .generate import Generate
    from .keyring import Keyring
    from .keys import Keys, Vault
    from .ledger import Ledger
    from .livetest import LiveTest
    from .openrouter import OpenRouter
    from .preferences import Preferences
    from .profile import Profile
    from .progress import Progress
    from .reconcile import Reconcile
    from .stopping import Stopping
    from .stops import Stops
    from .uploads import Uploads

SHUTDOWN_GRACE_S: Final = 5.0  # Cloud Run kills ten seconds after its SIGTERM


class App:
    """The parts of an instance, each made at its first use."""

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
    def wire(self) -> Wire[Caller]:
        return self._wire(self.identity.verify)

    @cached_property
    def admin_wire(self) -> Wire[Caller]:
        return self._wire(self.identity.verify_admin)

    def _wire(self, authenticate: Callable[[Headers], Awaitable[Caller]]) -> Wire[Caller]:
        return Wire(
            authenticate=authenticate,
            report=log.unexpected,
            max_body_bytes=limits.BODY_MAX_BYTES,
            max_bodies_bytes=limits.BODIES_IN_FLIGHT_MAX_BYTES,
            heartbeat_s=limits.HEARTBEAT_S,
            emulated=bool(self._environ.get("FUNCTIONS_EMULATOR")),
        )

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
    def instance(self) -> str:
        """A random id of this instance: who runs a generation, for those who stop it."""
        return secrets.token_hex(8)

    @cached_property
    def stops(self) -> Stops:
        from .stops import Stops

        return Stops(self.firestore, self.instance)

    @cached_property
    def stopping(self) -> Stopping:
        from .stopping import Stopping

        return Stopping(self.stops)

    @cached_property
    def openrouter(self) -> OpenRouter:
        from .openrouter import OpenRouter

        url = self._environ.get("OPENROUTER_BASE_URL", OPENROUTER_BASE_URL)
        return OpenRouter(base_url=url)

    @cached_property
    def generate(self) -> Generate:
        from .generate import Generate
        from .responses import Responses

        generate = Generate(
            features=self.features,
            app_settings=self.app_settings,
            keys=self.keys,
            choice=self.choice,
            attaching=self.attaching,
            conversations=self.conversations,
            ledger=self.ledger,
            progress=self.progress,
            responses=Responses(self.firestore),
            stops=self.stops,
            openrouter=self.openrouter,
            default_referer=f"https://{self.project}.web.app",
        )
        _before_shutdown(generate.interrupt)
        return generate

    @cached_property
    def catalog(self) -> Catalog:
        from .catalog import Catalog

        return Catalog(self.firestore, openrouter=lambda: self.openrouter, keys=self.keys.of(None))

    @cached_property
    def browse(self) -> Browse:
        from .browse import Browse

        return Browse(self.catalog)

    @cached_property
    def connection(self) -> Connection:
        from .connection import Connection

        return Connection(keys=self.keys, openrouter=self.openrouter)

    @cached_property
    def keyring(self) -> Keyring:
        from .keyring import Keyring

        return Keyring(
            vault=self.vault,
            keys=self.keys,
            app_settings=self.app_settings,
            openrouter=self.openrouter,
        )

    @cached_property
    def conversations(self) -> Conversations:
        from .conversations import Conversations

        return Conversations(self.firestore)

    @cached_property
    def progress(self) -> Progress:
        from .progress import Progress

        return Progress(self.firestore)

    @cached_property
    def archive(self) -> Archive:
        from .archive import Archive

        return Archive(self.conversations, self.uploads.delete)

    @cached_property
    def uploads(self) -> Uploads:
        from .uploads import Uploads

        bucket = str(self._firebase_config.get("storageBucket", ""))
        return Uploads(bucket, client=lambda: clients.storage(self.project, self._environ))

    @cached_property
    def attaching(self) -> Attaching:
        from .allowance import Allowance
        from .attaching import Attaching

        allowance = Allowance(self.firestore)
        return Attaching(uploads=self.uploads, allowance=allowance, choice=self.choice)

    @cached_property
    def choice(self) -> Choice:
        from .choice import Choice

        return Choice(preferences=self.preferences, catalog=lambda: self.catalog)

    @cached_property
    def configure(self) -> Configure:
        from .configure import Configure

        return Configure(
            features=self.features, app_settings=self.app_settings, catalog=self.catalog
        )

    @cached_property
    def checkup(self) -> Checkup:
        from .checkup import Checkup

        return Checkup(
            catalog=self.catalog,
            features=self.features,
            app_settings=self.app_settings,
            configure=self.configure,
        )

    @cached_property
    def reconcile(self) -> Reconcile:
        from .books import Books
        from .reconcile import Reconcile

        return Reconcile(
            books=Books(self.firestore),
            progress=self.progress,
            conversations=self.conversations,
            keys=self.keys,
            openrouter=self.openrouter,
        )

    @cached_property
    def livetest(self) -> LiveTest:
        from .livetest import LiveTest

        return LiveTest(features=self.features, configure=self.configure, generate=self.generate)

    @cached_property
    def appconfig(self) -> AppConfig:
        from .appconfig import AppConfig

        return AppConfig(app_settings=self.app_settings, features=self.features, choice=self.choice)

    @cached_property
    def profile(self) -> Profile:
        from .profile import Profile

        return Profile(
            features=self.features,
            app_settings=self.app_settings,
            choice=self.choice,
            preferences=self.preferences,
        )

    async def dispatch(self, call: Call[Caller]) -> Any:
        """The callable `api`: every user callable behind one warm instance."""
        from .dispatch import dispatch

        endpoints: dict[str, Handler[Caller]] = {
            "execute_prompt": self.generate.execute_prompt,
            "stop_generation": self.stopping.stop_generation,
            "create_upload": self.attaching.create_upload,
            "get_available_models": self.browse.get_available_models,
            "list_features": self.profile.list_features,
            "set_preferences": self.profile.set_preferences,
            "update_conversation": self.archive.update,
            "delete_conversation": self.archive.delete,
            "export_conversation": self.archive.export,
        }
        return await dispatch(call, endpoints)


@cache
def app() -> App:
    """The instance's parts."""
    return App()


def answer(pick: Callable[[App], Handler[Caller]]) -> CallableResponse[Caller]:
    """The response of one request, answered by the handler that `pick` finds among the parts."""
    return _answer(app(), app().wire, pick)


def answer_admin(pick: Callable[[App], Handler[Caller]]) -> CallableResponse[Caller]:
    """The same for admins alone: nobody else gets as far as the handler."""
    return _answer(app(), app().admin_wire, pick)


async def scheduled(
    path: str, pick: Callable[[App], Callable[[], Awaitable[dict[str, Any]]]]
) -> tuple[dict[str, Any], int]:
    """What a schedule's request is answered, once its work is done; 500 has it sent again.

    Only Cloud Scheduler may send one: IAM sees to that, in front of the function. path: the
    emulator asks each function whether it is well, at an address of its own.
    """
    if path.endswith("/__/health"):
        return {}, 200
    try:
        return await pick(app())(), 200
    except CallableError as error:
        log.error("schedule_failed", reason=error.reason)
    except Exception as error:
        log.unexpected(error, "")
    return {}, 500


def _answer(
    parts: App, wire: Wire[Caller], pick: Callable[[App], Handler[Caller]]
) -> CallableResponse[Caller]:
    async def handle(call: Call[Caller]) -> Any:
        return await pick(parts)(call)  # made after the caller is known to be one

    return wire.answer(handle)


def _before_shutdown(interrupt: Callable[[], None]) -> None:
    """On SIGTERM, let answers run a few seconds more, then end them while there is time to settle.

    The server's own handler, which waits for open responses, stays in charge. The framework has no
    hook of its own for this, and a signal handler can only be set in the main thread.
    """
    loop = asyncio.get_running_loop()
    served = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(loop.call_later, SHUTDOWN_GRACE_S, interrupt)
        if callable(served):
            served(number, frame)

    try:
        signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:
        log.warning("no_shutdown_hook")
