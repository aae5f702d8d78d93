"""Builds an instance, room by room. The only place where the parts of rooms are put together."""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

from .. import (
    admin,
    conversations,
    delivery,
    features,
    files,
    firestore,
    generation,
    keys,
    ledger,
    log,
    models,
    openrouter,
    users,
)
from ..background import BackgroundTasks
from ..callable import Headers, Wire
from . import clients, rooms
from .environment import Environment
from .limits import Limits

if TYPE_CHECKING:  # in the class, a room's name is that of a property
    from google.cloud.firestore import AsyncClient

    from ..admin import Preview
    from ..features import AppSettingsStore
    from ..firestore import Audit
    from ..ledger import Ledger, LedgerStore
    from ..openrouter import OpenRouter


class App:
    """One instance: a property per room, built with the rooms that it needs at its first use.

    Building connects to nothing. What takes long to import is imported by the part that needs it.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, limits: Limits | None = None
    ) -> None:
        """Raises EnvironmentRefused where a variable points where it may not."""
        self.environment = Environment(environ)
        self.limits = limits or Limits()
        self.instance = secrets.token_hex(8)  # who runs a generation, for those who stop it
        self.background = BackgroundTasks()  # what goes on after callers have been answered
        self._firebase_app = partial(clients.firebase_app, self.environment, self.limits.identity)

    def interrupt(self) -> None:
        """End all generations, because the instance is going down."""
        if "generation" in vars(self):  # or nothing has run
            self.generation.interrupt()

    @cached_property
    def wires(self) -> rooms.Wires:
        """How callables are answered."""
        host = self.environment.app_check_host
        identity = users.Identity(
            self.environment.project,
            firebase_app=self._firebase_app,
            app_check_keys_url=f"http://{host}/v1/jwks" if host else users.APP_CHECK_KEYS_URL,
            limits=self.limits.identity,
        )
        return rooms.Wires(
            user=_wire(self, identity.verify, for_admins=False),
            admin=_wire(self, identity.verify_admin, for_admins=True),
        )

    @cached_property
    def firestore(self) -> AsyncClient:
        """The client of Firestore."""
        return clients.firestore(self.environment)

    @cached_property
    def users(self) -> rooms.Users:
        """What is known of users."""
        return rooms.Users(
            preferences=users.PreferenceStore(self.firestore),
            pseudonyms=users.Pseudonyms(self.firestore),
        )

    @cached_property
    def audit(self) -> Audit:
        """The audit of admins' changes."""
        return firestore.Audit(self.firestore, limits=self.limits.firestore)

    @cached_property
    def app_settings(self) -> AppSettingsStore:
        """The settings of the app as a whole."""
        return features.AppSettingsStore(self.firestore, self.audit)

    @cached_property
    def keys(self) -> rooms.Keys:
        """OpenRouter keys."""
        vault = keys.Vault(
            self.environment.project, client=lambda: clients.secret_manager(self.environment)
        )
        return rooms.Keys(pool=keys.Keys(vault, self.app_settings), vault=vault)

    @cached_property
    def ledger_store(self) -> LedgerStore:
        """The ledger's documents, for those who look at entries of other instances."""
        return ledger.LedgerStore(self.firestore, limits=self.limits.ledger)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of this instance's generations."""
        return ledger.Ledger(
            self.ledger_store,
            background=self.background,
            instance=self.instance,
            limits=self.limits.ledger,
        )

    @cached_property
    def openrouter(self) -> OpenRouter:
        """The client of OpenRouter."""
        return openrouter.OpenRouter(
            base_url=self.environment.openrouter_url, limits=self.limits.openrouter
        )

    @cached_property
    def models(self) -> rooms.Models:
        """The catalog of models."""
        catalog = models.Catalog(
            self.firestore,
            openrouter=lambda: self.openrouter,
            keys=self.keys.pool.of(None),
        )
        return rooms.Models(catalog=catalog, search=models.ModelSearch(catalog))

    @cached_property
    def features(self) -> rooms.Features:
        """The settings of features."""
        store = features.FeatureStore(self.firestore, self.audit)
        preferences = self.users.preferences
        choice = features.ModelChoice(preferences=preferences, catalog=lambda: self.models.catalog)
        listing = features.FeatureListing(
            features=store, app_settings=self.app_settings, choice=choice, preferences=preferences
        )
        return rooms.Features(store=store, choice=choice, listing=listing)

    @cached_property
    def files(self) -> rooms.Files:
        """Files and images."""
        storage = files.FileStorage(
            self.environment.storage_bucket, client=lambda: clients.storage(self.environment)
        )
        attachments = files.Attachments(
            uploads=storage,
            allowance=files.UploadQuota(self.firestore),
            choice=self.features.choice,
        )
        return rooms.Files(
            attachments=attachments, images=files.ImageStore(storage), storage=storage
        )

    @cached_property
    def delivery(self) -> rooms.Delivery:
        """Generations on other instances."""
        limits, store = self.limits.delivery, self.ledger_store
        queue = delivery.TaskQueue(self.environment.project, self._firebase_app, limits=limits)
        handover = delivery.Handover(
            self.firestore,
            queue,
            store=store,
            instance=self.instance,
            limits=limits,
            ledger_limits=self.limits.ledger,
        )
        progress = delivery.Progress(
            self.firestore, store=store, background=self.background, limits=limits
        )
        stops = delivery.StopSignals(self.firestore, self.instance, store=store, limits=limits)
        return rooms.Delivery(
            progress=progress,
            handover=handover,
            stops=stops,
            stop=delivery.StopCallable(stops, limits=limits),
        )

    @cached_property
    def conversations(self) -> rooms.Conversations:
        """Conversations."""
        store = conversations.ConversationStore(self.firestore)
        deletion = conversations.ConversationDeletion(
            self.firestore, conversations=store, forget=self.files.storage.delete
        )
        return rooms.Conversations(
            store=store, callables=conversations.ConversationCallables(store, deletion)
        )

    @cached_property
    def generation(self) -> rooms.Generation:
        """Prompts, comparisons and embeddings."""
        responses = generation.ResponseCache(self.firestore)
        requests = generation.RequestBuilder(
            features=self.features.store,
            choice=self.features.choice,
            attaching=self.files.attachments,
            conversations=self.conversations.store,
            keys=self.keys.pool,
            pseudonyms=self.users.pseudonyms,
            default_referer=self.environment.default_referer,
        )
        prompts = generation.PromptExecution(
            app_settings=self.app_settings,
            asking=requests,
            answering=_answerer(self, responses),
            attaching=self.files.attachments,
            conversations=self.conversations.store,
            ledger=self.ledger,
            handover=self.delivery.handover,
            progress=self.delivery.progress,
            responses=responses,
            stops=self.delivery.stops,
        )
        comparisons = generation.ModelComparison(
            asking=requests,
            attaching=self.files.attachments,
            app_settings=self.app_settings,
            choice=self.features.choice,
            generate=prompts,
            stops=self.delivery.stops,
        )
        return rooms.Generation(
            prompts=prompts,
            comparisons=comparisons,
            embeddings=_embeddings(self),
            reconciler=_reconciler(self),
            responses=responses,
        )

    @cached_property
    def admin(self) -> rooms.Admin:
        """What admins call."""
        store, catalog = self.features.store, self.models.catalog
        feature_admin = admin.FeatureAdmin(
            features=store, app_settings=self.app_settings, catalog=catalog
        )
        return rooms.Admin(
            features=feature_admin,
            app_settings=admin.AppSettingsAdmin(
                app_settings=self.app_settings, features=store, choice=self.features.choice
            ),
            keys=admin.KeyAdmin(
                vault=self.keys.vault,
                keys=self.keys.pool,
                app_settings=self.app_settings,
                openrouter=self.openrouter,
            ),
            key_check=admin.KeyCheck(keys=self.keys.pool, openrouter=self.openrouter),
            model_check=admin.ModelCheck(
                catalog=catalog,
                features=store,
                app_settings=self.app_settings,
                configure=feature_admin,
            ),
        )

    @cached_property
    def preview(self) -> Preview:
        """The live test of settings, apart from `admin` because it needs all that answers."""
        return admin.Preview(
            features=self.features.store,
            configure=self.admin.features,
            generate=self.generation.prompts,
            embed=self.generation.embeddings,
        )


def _wire(
    app: App, authenticate: Callable[[Headers], Awaitable[users.Caller]], *, for_admins: bool
) -> Wire[users.Caller]:
    return Wire(
        authenticate=authenticate,
        report=log.unexpected,
        limits=app.limits.callable,
        emulated=app.environment.emulated,
        for_admins=for_admins,
    )


def _answerer(app: App, responses: generation.ResponseCache) -> generation.Answerer:
    helper_model = generation.HelperModel(
        openrouter=app.openrouter,
        choice=app.features.choice,
        conversations=app.conversations.store,
        ledger=app.ledger,
    )
    return generation.Answerer(
        asides=helper_model,
        attaching=app.files.attachments,
        conversations=app.conversations.store,
        gallery=app.files.images,
        ledger=app.ledger,
        progress=app.delivery.progress,
        responses=responses,
        openrouter=app.openrouter,
    )


def _embeddings(app: App) -> generation.EmbeddingExecution:
    return generation.EmbeddingExecution(
        features=app.features.store,
        app_settings=app.app_settings,
        keys=app.keys.pool,
        choice=app.features.choice,
        ledger=app.ledger,
        stops=app.delivery.stops,
        openrouter=app.openrouter,
        pseudonyms=app.users.pseudonyms,
        default_referer=app.environment.default_referer,
    )


def _reconciler(app: App) -> generation.Reconciler:
    return generation.Reconciler(
        store=app.ledger_store,
        progress=app.delivery.progress,
        conversations=app.conversations.store,
        keys=app.keys.pool,
        openrouter=app.openrouter,
        look=app.files.storage.look,
    )
