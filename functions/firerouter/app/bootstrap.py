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
    generation,
    keys,
    ledger,
    log,
    models,
    openrouter,
    reports,
    users,
)
from .. import firestore as firestore_room  # the property of that name is the client
from ..background import BackgroundTasks
from ..callable import Headers, Wire
from . import clients, rooms
from .environment import Environment
from .limits import Limits

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from ..admin import Preview
    from ..firestore import Audit, ConfigDocument
    from ..ledger import Ceiling


class App:
    """One instance: a property per room, which is built, with the rooms it needs, when first used.

    Building opens no connections. Slow imports are left to the parts that need them.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, limits: Limits | None = None
    ) -> None:
        """Raises EnvironmentRefused if a variable is malformed or has a forbidden value."""
        self.environment = Environment(environ)
        self.limits = limits or Limits()
        self.instance = secrets.token_hex(8)  # names it in its generations' entries
        self.background = BackgroundTasks()

    def interrupt(self) -> None:
        """End all generations, because the instance is going down."""
        if "generation" in vars(self):  # otherwise nothing has run
            self.generation.interrupt()

    @cached_property
    def wires(self) -> rooms.Wires:
        """How callables are answered."""
        host = self.environment.app_check_host
        identity = users.Identity(
            self.environment.project,
            firebase_app=partial(clients.firebase_app, self.environment),
            app_check_keys_url=f"http://{host}/v1/jwks" if host else users.APP_CHECK_KEYS_URL,
            limits=self.limits.identity,
        )
        return rooms.Wires(
            user=_wire(self, identity.verify, for_admins=False),
            admin=_wire(self, identity.verify_admin, for_admins=True),
        )

    @cached_property
    def call_rates(self) -> users.CallRates:
        """How often each user calls."""
        return users.CallRates(self.limits.calls)

    async def admit(self, kind: users.CallKind, caller: users.Caller, headers: Headers) -> None:
        """Let a caller call, before the request is read. Raises CallableError."""
        self.call_rates.take(kind, caller)
        await self.token_replay.check(caller, headers)

    @cached_property
    def token_replay(self) -> users.TokenReplay:
        """Whether App Check tokens were used before."""
        host = self.environment.app_check_host
        return users.TokenReplay(
            self.environment.project,
            setting=self._single_use_app_check,
            credentials=partial(clients.credentials, self.environment),
            root=f"http://{host}" if host else users.APP_CHECK_ROOT,
            limits=self.limits.identity,
        )

    async def _single_use_app_check(self) -> object:
        """Return the app's setting, from its document: no other part is built for that."""
        return (await self.config.get()).get("singleUseAppCheck", "off")

    @cached_property
    def firestore(self) -> AsyncClient:
        """The client of Firestore."""
        return clients.firestore(self.environment)

    @cached_property
    def audit(self) -> Audit:
        """Commits admins' changes together with their audit entries."""
        return firestore_room.Audit(self.firestore, limits=self.limits.firestore)

    @cached_property
    def config(self) -> ConfigDocument:
        """The document that the settings of the app, the keys and the catalog share."""
        return firestore_room.ConfigDocument(self.firestore, self.audit, limits=self.limits.config)

    @cached_property
    def users(self) -> rooms.Users:
        """Users: their identity, preferences and pseudonyms."""
        return rooms.Users(
            preferences=users.PreferenceStore(self.firestore),
            pseudonyms=users.Pseudonyms(self.firestore),
        )

    @cached_property
    def keys(self) -> rooms.Keys:
        """OpenRouter keys."""
        vault = keys.Vault(
            self.environment.project,
            client=lambda: clients.secret_manager(self.environment),
            limits=self.limits.keys,
        )
        slots = keys.KeySlotStore(self.config)
        refusals = keys.KeyRefusals(
            self.firestore, background=self.background, limits=self.limits.keys
        )
        pool = keys.KeyPool(vault, slots, on_refusal=refusals.note, limits=self.limits.keys)
        return rooms.Keys(pool=pool, refusals=refusals, slots=slots, vault=vault)

    @cached_property
    def ledger_store(self) -> ledger.LedgerStore:
        """The ledger's documents, for rooms that read entries of other instances."""
        return ledger.LedgerStore(self.firestore, limits=self.limits.ledger)

    @cached_property
    def leases(self) -> ledger.Leases:
        """Tells other instances that this instance's generations are alive."""
        return ledger.Leases(
            self.ledger_store,
            instance=self.instance,
            background=self.background,
            limits=self.limits.ledger,
        )

    @cached_property
    def own_limits(self) -> ledger.OwnLimitsStore:
        """The limits of single users."""
        return ledger.OwnLimitsStore(self.firestore, limits=self.limits.ledger)

    @cached_property
    def ledger(self) -> ledger.Ledger:
        """The ledger of this instance's generations."""
        return ledger.Ledger(
            self.ledger_store,
            background=self.background,
            instance=self.instance,
            leases=self.leases,
            on_refusal=self._count_refusal,
            limits=self.limits.ledger,
        )

    @cached_property
    def user_caps(self) -> generation.UserCaps:
        """The limits that apply to each call."""
        return generation.UserCaps(self.own_limits, self.call_rates.grant)

    @cached_property
    def openrouter(self) -> openrouter.OpenRouter:
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
            keys=self.keys.pool.slot(None),
            limits=self.limits.models,
        )
        return rooms.Models(catalog=catalog, search=models.ModelSearch(catalog))

    @cached_property
    def features(self) -> rooms.Features:
        """The settings of features, and those of the app as a whole."""
        store = features.FeatureStore(self.firestore, self.audit, limits=self.limits.features)
        app_settings = features.AppSettingsStore(self.config)
        preferences = self.users.preferences
        choice = features.ModelChoice(
            preferences=preferences,
            catalog=lambda: self.models.catalog,
            missing_defaults=app_settings.missing_defaults,
        )
        listing = features.FeatureListing(
            features=store, app_settings=app_settings, choice=choice, preferences=preferences
        )
        return rooms.Features(
            store=store, app_settings=app_settings, choice=choice, listing=listing
        )

    @cached_property
    def files(self) -> rooms.Files:
        """Files and images."""
        limits = self.limits.files
        storage = files.FileStorage(
            self.environment.storage_bucket,
            client=lambda: clients.storage(self.environment),
            limits=limits,
        )
        attachments = files.Attachments(
            storage=storage,
            quota=files.UploadQuota(self.firestore, limits=limits),
            choice=self.features.choice,
            background=self.background,
            limits=limits,
        )
        images = files.ImageStore(storage, limits=limits)
        return rooms.Files(attachments=attachments, images=images, storage=storage)

    @cached_property
    def delivery(self) -> rooms.Delivery:
        """Generations on other instances."""
        limits, store = self.limits.delivery, self.ledger_store
        stops = delivery.StopSignals(self.firestore, self.instance, store=store, limits=limits)
        progress = delivery.Progress(
            self.firestore, store=store, background=self.background, limits=limits
        )
        handover = delivery.Handover(
            self.firestore,
            delivery.TaskQueue(
                self.environment.project,
                partial(clients.firebase_app, self.environment),
                limits=limits,
            ),
            store=store,
            instance=self.instance,
            limits=limits,
            ledger_limits=self.limits.ledger,
        )
        return rooms.Delivery(
            progress=progress,
            follower=delivery.Follower(progress),
            handover=handover,
            stops=stops,
            stop=delivery.StopCallable(stops, limits=limits),
        )

    @cached_property
    def conversations(self) -> rooms.Conversations:
        """Conversations."""
        limits = self.limits.conversations
        store = conversations.ConversationStore(
            self.firestore, background=self.background, limits=limits
        )
        deletion = conversations.ConversationDeletion(
            self.firestore,
            conversations=store,
            texts=conversations.TextEraser(
                self.firestore, progress=self.delivery.progress, limits=limits
            ),
            delete_files=self.files.storage.delete,
            limits=limits,
        )
        return rooms.Conversations(
            store=store,
            deletion=deletion,
            callables=conversations.ConversationCallables(
                store, deletion, conversations.ExportReader(self.firestore, limits=limits)
            ),
        )

    @cached_property
    def generation(self) -> rooms.Generation:
        """Prompts, comparisons and embeddings."""
        limits = self.limits.generation
        cache = generation.ResponseCache(self.firestore, limits=limits)
        builder = generation.RequestBuilder(
            features=self.features.store,
            choice=self.features.choice,
            attachments=self.files.attachments,
            conversations=self.conversations.store,
            keys=self.keys.pool,
            pseudonyms=self.users.pseudonyms,
            default_referer=self.environment.default_referer,
            limits=limits,
        )
        prompts = generation.PromptExecution(
            app_settings=self.features.app_settings,
            builder=builder,
            answerer=_answerer(self),
            attachments=self.files.attachments,
            conversations=self.conversations.store,
            ledger=self.ledger,
            handover=self.delivery.handover,
            progress=self.delivery.progress,
            follower=self.delivery.follower,
            cache=cache,
            stops=self.delivery.stops,
            user_caps=self.user_caps,
            limits=limits,
            file_limits=self.limits.files,
        )
        comparisons = generation.ModelComparison(
            builder=builder,
            attachments=self.files.attachments,
            app_settings=self.features.app_settings,
            choice=self.features.choice,
            execution=prompts,
            ledger=self.ledger,
            stops=self.delivery.stops,
            limits=limits,
        )
        return rooms.Generation(
            prompts=prompts,
            comparisons=comparisons,
            embeddings=_embeddings(self),
            allowance=generation.AllowanceCallable(
                features=self.features.store,
                app_settings=self.features.app_settings,
                user_caps=self.user_caps,
                store=self.ledger_store,
            ),
            reconciler=_reconciler(self),
            cache=cache,
        )

    def _count_refusal(self, cap: str, feature: str) -> None:
        self.refusals.count(cap, feature)  # built with the first refusal, not with the ledger

    @cached_property
    def refusals(self) -> reports.RefusalCounts:
        """Counts the calls that a cap refused."""
        return reports.RefusalCounts(
            self.firestore, background=self.background, limits=self.limits.reports
        )

    async def _ceiling(self) -> Ceiling:
        """Return what the app may spend."""
        return (await self.features.app_settings.get()).ceiling

    @cached_property
    def reports(self) -> rooms.Reports:
        """Usage reports, alerts, and the export and erasure of users' data."""
        limits = self.limits.reports
        store = reports.UsageStore(self.firestore, limits=limits)
        rollup = reports.RollUp(store, limits=limits)
        alerts = reports.Alerts(self.firestore, limits=limits)
        upkeep = reports.UsageUpkeep(
            rollup=rollup,
            costs=reports.CostCheck(
                self.firestore, alerts=alerts, ceiling=self._ceiling, limits=limits
            ),
            accounts=reports.AccountCheck(
                self.firestore,
                alerts=alerts,
                keys=self.keys.pool,
                openrouter=lambda: self.openrouter,
                limits=limits,
            ),
        )
        usage = reports.UsageReportCallable(self.firestore, limits=limits)
        anonymous = reports.AnonymousUsage(self.firestore, store, limits=limits)
        erasure = reports.Erasure(
            self.firestore,
            store=self.ledger_store,
            usage=anonymous,
            stops=self.delivery.stops,
            progress=self.delivery.progress,
            conversations=self.conversations.deletion,
            files=self.files.storage,
            limits=limits,
        )
        export = reports.PersonalExport(
            self.firestore, anonymous, self.files.storage, limits=limits
        )
        return rooms.Reports(
            rollup=rollup,
            upkeep=upkeep,
            usage=usage,
            erasure=erasure,
            user_data=reports.UserDataCallables(erasure, export),
        )

    @cached_property
    def admin(self) -> rooms.Admin:
        """What admins call."""
        store, catalog, limits = self.features.store, self.models.catalog, self.limits.admin
        app_settings = self.features.app_settings
        feature_admin = admin.FeatureAdmin(
            features=store, app_settings=app_settings, catalog=catalog, limits=limits
        )
        app_admin = admin.AppSettingsAdmin(
            app_settings=app_settings, features=store, choice=self.features.choice
        )
        return rooms.Admin(
            features=feature_admin,
            deletion=admin.FeatureDeletion(
                features=store, feature_admin=feature_admin, keys=self.keys.pool, limits=limits
            ),
            overview=admin.FeatureOverview(
                features=store,
                app_admin=app_admin,
                keys=self.keys.pool,
                feature_admin=feature_admin,
            ),
            app_settings=app_admin,
            keys=admin.KeyAdmin(
                vault=self.keys.vault,
                keys=self.keys.pool,
                slots=self.keys.slots,
                features=store,
                openrouter=self.openrouter,
                limits=limits,
            ),
            key_list=_key_list(self),
            key_check=admin.KeyCheck(
                features=store, keys=self.keys.pool, openrouter=self.openrouter
            ),
            model_check=admin.ModelCheck(
                catalog=catalog,
                features=store,
                app_settings=app_settings,
                config=self.config,
                feature_admin=feature_admin,
                limits=limits,
            ),
            users=admin.UserAdmin(
                self.firestore,
                self.audit,
                store=self.ledger_store,
                own_limits=self.own_limits,
                app_settings=self.features.app_settings,
                stops=self.delivery.stops,
                accounts=users.Accounts(partial(clients.firebase_app, self.environment)),
            ),
        )

    @cached_property
    def preview(self) -> Preview:
        """The live test of settings; not in `admin`, because it needs the rooms that answer."""
        return admin.Preview(
            feature_admin=self.admin.features,
            prompts=self.generation.prompts,
            embeddings=self.generation.embeddings,
        )


def _wire(
    app: App, authenticate: Callable[[Headers], Awaitable[users.Caller]], *, for_admins: bool
) -> Wire[users.Caller]:
    return Wire(
        authenticate=authenticate,
        report=log.unexpected,
        compute=app.background.compute,
        limits=app.limits.callable,
        emulated=app.environment.emulated,
        for_admins=for_admins,
    )


def _key_list(app: App) -> admin.KeyListing:
    return admin.KeyListing(
        vault=app.keys.vault,
        keys=app.keys.pool,
        slots=app.keys.slots,
        refusals=app.keys.refusals,
        features=app.features.store,
        openrouter=app.openrouter,
        limits=app.limits.admin,
    )


def _answerer(app: App) -> generation.Answerer:
    limits = app.limits.generation
    helper_model = generation.HelperModel(
        openrouter=app.openrouter, choice=app.features.choice, limits=limits
    )
    return generation.Answerer(
        helper_model=helper_model,
        attachments=app.files.attachments,
        conversations=app.conversations.store,
        images=app.files.images,
        ledger=app.ledger,
        progress=app.delivery.progress,
        openrouter=app.openrouter,
        limits=limits,
    )


def _embeddings(app: App) -> generation.EmbeddingExecution:
    return generation.EmbeddingExecution(
        features=app.features.store,
        app_settings=app.features.app_settings,
        keys=app.keys.pool,
        choice=app.features.choice,
        ledger=app.ledger,
        stops=app.delivery.stops,
        openrouter=app.openrouter,
        pseudonyms=app.users.pseudonyms,
        user_caps=app.user_caps,
        default_referer=app.environment.default_referer,
        limits=app.limits.generation,
    )


def _reconciler(app: App) -> generation.Reconciler:
    return generation.Reconciler(
        store=app.ledger_store,
        progress=app.delivery.progress,
        conversations=app.conversations.store,
        keys=app.keys.pool,
        openrouter=app.openrouter,
        find_file=app.files.storage.look,
        limits=app.limits.generation,
    )
