"""Builds everything, once an instance, when it is first needed. The only place that does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import limits, log
from .callable import Call, Handler, Headers, Wire
from .identity import Caller
from .shutdown import before_shutdown
from .stores import Stores

if TYPE_CHECKING:
    from .answering import Answering
    from .appconfig import AppConfig
    from .archive import Archive
    from .asides import Asides
    from .asking import Asking
    from .attaching import Attaching
    from .browse import Browse
    from .checkup import Checkup
    from .choice import Choice
    from .compare import Compare
    from .configure import Configure
    from .connection import Connection
    from .embed import Embed
    from .gallery import Gallery
    from .generate import Generate
    from .keyring import Keyring
    from .livetest import LiveTest
    from .profile import Profile
    from .reconcile import Reconcile
    from .stopping import Stopping


class App(Stores):
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
    def stopping(self) -> Stopping:
        from .stopping import Stopping

        return Stopping(self.stops)

    @cached_property
    def generate(self) -> Generate:
        from .generate import Generate

        generate = Generate(
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
    def asking(self) -> Asking:
        from .asking import Asking

        return Asking(
            features=self.features,
            choice=self.choice,
            attaching=self.attaching,
            conversations=self.conversations,
            keys=self.keys,
            pseudonyms=self.pseudonyms,
            default_referer=self._referer,
        )

    @cached_property
    def answering(self) -> Answering:
        from .answering import Answering

        return Answering(
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
    def gallery(self) -> Gallery:
        from .gallery import Gallery

        return Gallery(self.uploads)

    @cached_property
    def compare(self) -> Compare:
        from .compare import Compare

        return Compare(
            asking=self.asking,
            attaching=self.attaching,
            app_settings=self.app_settings,
            choice=self.choice,
            generate=self.generate,
            stops=self.stops,
        )

    @cached_property
    def embed(self) -> Embed:
        from .embed import Embed

        embed = Embed(
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
    def asides(self) -> Asides:
        from .asides import Asides

        return Asides(
            openrouter=self.openrouter,
            choice=self.choice,
            conversations=self.conversations,
            ledger=self.ledger,
        )

    @cached_property
    def archive(self) -> Archive:
        from .archive import Archive
        from .removals import Removals

        forget = self.uploads.delete
        removals = Removals(self.firestore, conversations=self.conversations, forget=forget)
        return Archive(self.conversations, removals)

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
            look=self.uploads.look,
        )

    @cached_property
    def livetest(self) -> LiveTest:
        from .livetest import LiveTest

        return LiveTest(
            features=self.features,
            configure=self.configure,
            generate=self.generate,
            embed=self.embed,
        )

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
