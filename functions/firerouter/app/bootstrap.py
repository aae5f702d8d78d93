"""Builds everything, once an instance, when it is first needed. The only place that does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import limits, log
from ..callable import Call, Handler, Headers, Wire
from ..users import Caller
from .services import Services
from .shutdown import before_shutdown

if TYPE_CHECKING:
    from ..admin import AppSettingsAdmin, FeatureAdmin, KeyAdmin, KeyCheck, ModelCheck, Preview
    from ..conversations import ConversationCallables
    from ..delivery import StopCallable
    from ..features import FeatureListing, ModelChoice
    from ..files import Attachments, ImageStore
    from ..generation import (
        Answerer,
        EmbeddingExecution,
        HelperModel,
        ModelComparison,
        PromptExecution,
        Reconciler,
        RequestBuilder,
    )
    from ..models import ModelSearch


class App(Services):
    """The parts of an instance, each made at its first use."""

    @property
    def _referer(self) -> str:
        return f"https://{self.project}.web.app"

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
    def stopping(self) -> StopCallable:
        from ..delivery import StopCallable

        return StopCallable(self.stops, limits=self.limits.delivery)

    @cached_property
    def generate(self) -> PromptExecution:
        from ..generation import PromptExecution

        generate = PromptExecution(
            app_settings=self.app_settings,
            asking=self.asking,
            answering=self.answering,
            attaching=self.attaching,
            conversations=self.conversations,
            ledger=self.ledger,
            handover=self.handover,
            progress=self.progress,
            responses=self.responses,
            stops=self.stops,
        )
        before_shutdown(generate.interrupt)
        return generate

    @cached_property
    def asking(self) -> RequestBuilder:
        from ..generation import RequestBuilder

        return RequestBuilder(
            features=self.features,
            choice=self.choice,
            attaching=self.attaching,
            conversations=self.conversations,
            keys=self.keys,
            pseudonyms=self.pseudonyms,
            default_referer=self._referer,
        )

    @cached_property
    def answering(self) -> Answerer:
        from ..generation import Answerer

        return Answerer(
            asides=self.asides,
            attaching=self.attaching,
            conversations=self.conversations,
            gallery=self.gallery,
            ledger=self.ledger,
            progress=self.progress,
            responses=self.responses,
            openrouter=self.openrouter,
        )

    @cached_property
    def gallery(self) -> ImageStore:
        from ..files import ImageStore

        return ImageStore(self.uploads)

    @cached_property
    def compare(self) -> ModelComparison:
        from ..generation import ModelComparison

        return ModelComparison(
            asking=self.asking,
            attaching=self.attaching,
            app_settings=self.app_settings,
            choice=self.choice,
            generate=self.generate,
            stops=self.stops,
        )

    @cached_property
    def embed(self) -> EmbeddingExecution:
        from ..generation import EmbeddingExecution

        embed = EmbeddingExecution(
            features=self.features,
            app_settings=self.app_settings,
            keys=self.keys,
            choice=self.choice,
            ledger=self.ledger,
            stops=self.stops,
            openrouter=self.openrouter,
            pseudonyms=self.pseudonyms,
            default_referer=self._referer,
        )
        before_shutdown(embed.interrupt)
        return embed

    @cached_property
    def browse(self) -> ModelSearch:
        from ..models import ModelSearch

        return ModelSearch(self.catalog)

    @cached_property
    def connection(self) -> KeyCheck:
        from ..admin import KeyCheck

        return KeyCheck(keys=self.keys, openrouter=self.openrouter)

    @cached_property
    def keyring(self) -> KeyAdmin:
        from ..admin import KeyAdmin

        return KeyAdmin(
            vault=self.vault,
            keys=self.keys,
            app_settings=self.app_settings,
            openrouter=self.openrouter,
        )

    @cached_property
    def asides(self) -> HelperModel:
        from ..generation import HelperModel

        return HelperModel(
            openrouter=self.openrouter,
            choice=self.choice,
            conversations=self.conversations,
            ledger=self.ledger,
        )

    @cached_property
    def archive(self) -> ConversationCallables:
        from ..conversations import ConversationCallables, ConversationDeletion

        forget = self.uploads.delete
        removals = ConversationDeletion(
            self.firestore, conversations=self.conversations, forget=forget
        )
        return ConversationCallables(self.conversations, removals)

    @cached_property
    def attaching(self) -> Attachments:
        from ..files import Attachments, UploadQuota

        allowance = UploadQuota(self.firestore)
        return Attachments(uploads=self.uploads, allowance=allowance, choice=self.choice)

    @cached_property
    def choice(self) -> ModelChoice:
        from ..features import ModelChoice

        return ModelChoice(preferences=self.preferences, catalog=lambda: self.catalog)

    @cached_property
    def configure(self) -> FeatureAdmin:
        from ..admin import FeatureAdmin

        return FeatureAdmin(
            features=self.features, app_settings=self.app_settings, catalog=self.catalog
        )

    @cached_property
    def checkup(self) -> ModelCheck:
        from ..admin import ModelCheck

        return ModelCheck(
            catalog=self.catalog,
            features=self.features,
            app_settings=self.app_settings,
            configure=self.configure,
        )

    @cached_property
    def reconcile(self) -> Reconciler:
        from ..generation import Reconciler

        return Reconciler(
            store=self.ledger_store,
            progress=self.progress,
            conversations=self.conversations,
            keys=self.keys,
            openrouter=self.openrouter,
            look=self.uploads.look,
        )

    @cached_property
    def livetest(self) -> Preview:
        from ..admin import Preview

        return Preview(
            features=self.features,
            configure=self.configure,
            generate=self.generate,
            embed=self.embed,
        )

    @cached_property
    def appconfig(self) -> AppSettingsAdmin:
        from ..admin import AppSettingsAdmin

        return AppSettingsAdmin(
            app_settings=self.app_settings, features=self.features, choice=self.choice
        )

    @cached_property
    def profile(self) -> FeatureListing:
        from ..features import FeatureListing

        return FeatureListing(
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
            "execute_multi_model_prompt": self.compare.execute_multi_model_prompt,
            "create_embeddings": self.embed.create_embeddings,
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
