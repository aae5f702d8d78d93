"""Stops: how `stop_generation` on one instance reaches a generation that runs on another.

    generations/{id}   {..., instance, status, stop: {at, by, instance, comparison?}}

A stop is written to the generation's ledger entry, guarded: only while it runs. The instance that
runs it listens to the entries whose stop names this instance. There is one listener per instance,
open while anything runs there that takes longer than a moment, and a little longer: an instance
that is idle, or gives only short answers, holds no connection open. When it reopens after a break,
it begins with all entries that match, so no stop is missed. A comparison has no entry of its own:
the stop of each of its generations names it, and the first one that arrives ends the whole
comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from google.api_core import exceptions
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1.types import (
    ListenRequest,
    ListenResponse,
    StructuredQuery,
    Target,
    TargetChange,
    Value,
)

from .. import log
from ..errors import LedgerUnavailable
from ..firestore import (
    GENERATIONS,
    Conflict,
    FirestoreError,
    database_name,
    listen,
    translated,
)
from ..ledger import RUNNING, EntryField, LedgerStore, Stop
from .limits import DeliveryLimits, StopLimits

STOPPABLE: Final = (EntryField.UID, EntryField.STATUS, EntryField.STOP, EntryField.INSTANCE)
TARGET_ID: Final = 1


class StopSignals:
    """Sends stops, and passes those that arrive on to their generations. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        instance: str,
        *,
        store: LedgerStore,
        limits: DeliveryLimits | None = None,
    ) -> None:
        self._store = store
        self._limits = (limits or DeliveryLimits()).stops
        self._listener = Listener(firestore, instance, self._heard, limits=self._limits)
        self._stoppable: dict[str, tuple[str, Callable[[], None]]] = {}
        self._long: set[object] = set()  # those that run long enough to be listened for

    async def request(self, id_: str, uid: str, comparison: str | None = None) -> str | None:
        """Have a user's generation stopped, on whichever instance it runs.

        Args:
            id_: The generation's ID.
            uid: The user.
            comparison: The ID of the comparison that is stopped with it.

        Returns:
            "running" if the stop is stored; otherwise the status with which the generation has
            ended; None if this user has no such generation.

        Raises:
            LedgerUnavailable: Firestore did not answer.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        with translated(LedgerUnavailable, "stop_failed"):
            while True:
                stored = await self._store.read(id_, STOPPABLE)
                if stored is None or stored.uid != uid:
                    return None
                known = stored.stop is not None
                if stored.stop is not None and comparison is not None:
                    known = stored.stop.comparison is not None
                if known or not stored.is_running:
                    return str(stored.status)
                stop = Stop(by=uid, instance=stored.instance or "", comparison=comparison)
                try:
                    await self._store.write_stop(stored, stop, within_s=self._limits.write_s)
                except Conflict:
                    continue  # the entry has changed, for example ended: read it again
                return "running"

    async def known(self, ids: Sequence[str], uid: str) -> set[str]:
        """Return which of these are generations of this user's, or run here as anything else.

        Raises:
            LedgerUnavailable: Firestore did not answer.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        here = {id_ for id_ in ids if self._stoppable.get(id_, ("", None))[0] == uid}
        with translated(LedgerUnavailable, "stop_failed"):
            found = await self._store.find(ids, (EntryField.UID,))
        return here | {stored.id for stored in found if stored.uid == uid}

    async def comparison_was_stopped(self, ids: Iterable[str]) -> bool:
        """Return whether any of these was stopped with its comparison, on whichever instance."""
        try:
            found = await self._store.read_all(ids, (EntryField.STOP,))
        except FirestoreError as error:
            log.warning("stops_not_read", type=error.cause)
            return False  # what comes next needs Firestore too, and reports it
        return any(stored.stop and stored.stop.comparison for stored in found)

    def stop_here(self, id_: str, uid: str) -> bool:
        """Stop a user's generation at once if it runs on this instance. Return whether it does."""
        owner, stop = self._stoppable.get(id_, (None, None))
        if stop is None or owner != uid:
            return False
        stop()
        return True

    @contextmanager
    def register(self, id_: str, uid: str, stop: Callable[[], None]) -> Iterator[None]:
        """Within this context, call `stop`, once or more, when its user stops this generation."""
        self._stoppable[id_] = (uid, stop)
        # most short answers end before a user could stop them, so they open no listener. A stop
        # from before the listener is open is among the first that it reports
        run = object()  # the same comparison may run twice at the same time
        loop = asyncio.get_running_loop()
        opening = loop.call_later(self._limits.listen_after_s, self._listen, run)
        try:
            yield
        finally:
            opening.cancel()
            self._stoppable.pop(id_, None)
            if run in self._long:
                self._long.discard(run)
                if not self._long:
                    self._listener.rest()

    @property
    def is_listening(self) -> bool:
        return self._listener.is_open

    async def close(self) -> None:
        """Close the listener now."""
        await self._listener.close()

    def _listen(self, run: object) -> None:
        self._long.add(run)
        self._listener.open()

    def _heard(self, id_: str, comparison: str) -> None:
        for known in (id_, comparison):
            if known in self._stoppable:
                _, stop = self._stoppable[known]
                stop()


class Listener:
    """Listens for the stops of one instance. Nothing ever waits for it.

    It reads the client's raw stream, because asynchronous `on_snapshot` is not implemented.
    """

    def __init__(
        self,
        firestore: AsyncClient,
        instance: str,
        on_match: Callable[[str, str], None],
        *,
        limits: StopLimits,
    ) -> None:
        """Create a listener, which is closed.

        Args:
            firestore: The client whose connection it shares.
            instance: The instance whose stops it listens for.
            on_match: Called with a generation's ID, and its stop's comparison or "", when its entry
                begins to match; after a break, for all entries that match.
            limits: How long it stays open, and waits.
        """
        self._firestore = firestore
        self._instance = instance
        self._on_match = on_match
        self._limits = limits
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._is_broken = False  # it broke, which has been logged, and is not back yet
        self._pause_s = limits.first_pause_s

    @property
    def is_open(self) -> bool:
        return self._task is not None

    def open(self) -> None:
        """Begin to listen, unless it is listening already."""
        self._keep_open()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def rest(self) -> None:
        """Close after a while, because nothing is running, unless it is opened again first."""
        self._keep_open()  # cancels the previous timer, which would close a listener in use
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(self._limits.rest_s, self._cancel)

    async def close(self) -> None:
        """Close now."""
        if (task := self._task) is not None:
            self._cancel()
            await asyncio.wait({task})

    def _keep_open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _cancel(self) -> None:
        self._keep_open()
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def _run(self) -> None:
        self._pause_s = self._limits.first_pause_s
        while True:
            try:
                await self._follow()  # Firestore ends the stream from time to time
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._note_break(error)  # gRPC raises this too when the server cancelled
            except Exception as error:  # whatever it is, generations and this loop continue
                self._note_break(error)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, self._limits.max_pause_s)

    def _note_break(self, error: BaseException) -> None:
        if not self._is_broken:
            log.warning("stops_not_heard", type=type(error).__name__)
        self._is_broken = True

    async def _follow(self) -> None:
        """Listen until the stream ends. Raises what breaks it."""
        stream, ended = None, asyncio.Event()
        try:
            async with asyncio.timeout(self._limits.open_s) as opening:
                stream = await listen(self._firestore, self._requests(ended))
                async for response in stream:
                    if self._take(response):
                        opening.reschedule(None)
        finally:
            ended.set()
            if stream is not None:
                stream.cancel()

    async def _requests(self, ended: asyncio.Event) -> AsyncIterator[ListenRequest]:
        """Yield the one request, which Firestore keeps answering until this generator ends."""
        database = database_name(self._firestore)
        query = Target.QueryTarget(
            parent=f"{database}/documents", structured_query=stops_of(self._instance)
        )
        target = Target(query=query, target_id=TARGET_ID)
        yield ListenRequest(database=database, add_target=target)
        await ended.wait()

    def _take(self, response: ListenResponse) -> bool:
        """Handle one response. Return whether the listener is up to date."""
        said = ListenResponse.pb(response)  # cheaper: the emulator responds to every commit
        if TARGET_ID in said.document_change.target_ids:
            document = said.document_change.document
            stop = document.fields[EntryField.STOP].map_value.fields
            self._on_match(document.name.rsplit("/", 1)[1], stop["comparison"].string_value)
        kind = said.target_change.target_change_type
        if kind == TargetChange.TargetChangeType.REMOVE:
            code = said.target_change.cause.code
            raise exceptions.from_grpc_status(code, "")  # type: ignore[no-untyped-call]  # no types
        if kind != TargetChange.TargetChangeType.CURRENT:
            return False
        self._is_broken, self._pause_s = False, self._limits.first_pause_s
        return True


def stops_of(instance: str) -> StructuredQuery:
    """Return the query for the running entries of an instance that were stopped.

    It compares only for equality: for that, Firestore merges single-field indexes and needs no
    composite one.
    """
    filters = [
        equals(EntryField.STOP_INSTANCE, instance),
        equals(EntryField.STATUS, RUNNING),
    ]
    both = StructuredQuery.CompositeFilter(
        op=StructuredQuery.CompositeFilter.Operator.AND, filters=filters
    )
    return StructuredQuery(
        from_=[StructuredQuery.CollectionSelector(collection_id=GENERATIONS)],
        where=StructuredQuery.Filter(composite_filter=both),
    )


def equals(path: str, value: str) -> StructuredQuery.Filter:
    """Return the filter for documents whose field is this text."""
    return StructuredQuery.Filter(
        field_filter=StructuredQuery.FieldFilter(
            field=StructuredQuery.FieldReference(field_path=path),
            op=StructuredQuery.FieldFilter.Operator.EQUAL,
            value=Value(string_value=value),
        )
    )
