"""Stops: how `stop_generation` on one instance reaches a generation that runs on another.

    generations/{id}   {..., instance, status, stop: {at, by, instance, comparison?}}

Whoever stops it writes `stop` onto the ledger's entry, guarded: only while it runs. The instance
that runs it listens to the entries whose stop names it. One listener an instance, open while
anything runs there and a little longer: an instance at rest holds nothing open. Opened again after
a break it begins with all that match, so no stop is missed. A comparison has no entry of its own:
each of its generations' stops names it, and the first one that is heard ends it all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from google.api_core import exceptions
from google.cloud.firestore import SERVER_TIMESTAMP, AsyncClient, FieldFilter
from google.cloud.firestore_v1.types import ListenRequest, ListenResponse, Target, TargetChange

from .. import limits, log
from ..errors import LedgerUnavailable
from ..firestore import AWAY, GUARD_FAILED, commit

LOOKED_AT: Final = ("uid", "status", "stop", "instance")  # an entry may hold a long result as well
TARGET: Final = 1


class StopSignals:
    """Asks for stops, and tells this instance's generations of theirs. Make one an instance."""

    def __init__(self, firestore: AsyncClient, instance: str) -> None:
        self._firestore = firestore
        self._generations = firestore.collection("generations")
        # equalities alone: Firestore joins single-field indexes for them, no composite one is asked
        mine = self._generations.where(filter=FieldFilter("stop.instance", "==", instance))
        asked = mine.where(filter=FieldFilter("status", "==", "running"))
        self._listener = Listener(firestore, asked, self._heard)
        self._here: dict[str, tuple[str, Callable[[], None]]] = {}

    async def ask(self, id_: str, uid: str, comparison: str | None = None) -> str | None:
        """Have a user's generation stopped, wherever it runs. comparison: the one that is stopped
        with it.

        "running": Firestore has taken the stop. Else the status that it had ended with; None where
        this user has no such generation. Raises LedgerUnavailable.
        """
        try:
            while (status := await self._write(id_, uid, comparison)) == "moved":
                pass
        except AWAY as error:
            log.error("stop_failed", type=type(error).__name__)
            raise LedgerUnavailable from None
        return status

    async def told(self, ids: Iterable[str]) -> bool:
        """Whether one of these was stopped with its comparison, on whichever instance."""
        references = [self._generations.document(id_) for id_ in ids]
        found = self._firestore.get_all(references, ["stop"], retry=None, timeout=limits.READ_S)
        try:
            stops = [(snapshot.to_dict() or {}).get("stop") async for snapshot in found]
        except AWAY as error:
            log.warning("stops_not_read", type=type(error).__name__)
            return False  # what is asked next needs Firestore too, and says so
        return any(stop and "comparison" in stop for stop in stops)

    async def _write(self, id_: str, uid: str, comparison: str | None) -> str | None:
        """As `ask`; "moved": the entry has changed meanwhile, by its end say."""
        reference = self._generations.document(id_)
        snapshot = await reference.get(LOOKED_AT, retry=None, timeout=limits.READ_S)
        entry = snapshot.to_dict() or {}
        if entry.get("uid") != uid:
            return None
        stopped = "stop" in entry and (comparison is None or "comparison" in entry["stop"])
        if entry.get("status") != "running" or stopped:
            return str(entry.get("status"))
        stop = {"at": SERVER_TIMESTAMP, "by": uid, "instance": entry.get("instance")}
        if comparison is not None:
            stop["comparison"] = comparison
        batch = self._firestore.batch()
        guard = self._firestore.write_option(last_update_time=snapshot.update_time)
        batch.update(reference, {"stop": stop}, option=guard)
        try:
            await commit(batch, limits.STOP_S)
        except GUARD_FAILED:
            return "moved"
        return "running"

    def here(self, id_: str, uid: str) -> bool:
        """Stop a user's generation at once if it runs on this instance. Whether it does."""
        owner, stop = self._here.get(id_, (None, None))
        if stop is None or owner != uid:
            return False
        stop()
        return True

    @contextmanager
    def reaching(self, id_: str, uid: str, stop: Callable[[], None]) -> Iterator[None]:
        """Inside, `stop` is called, once or more, when a user has this generation stopped."""
        self._here[id_] = (uid, stop)
        # most short answers end before anybody could stop them: they open nothing. A stop that
        # comes before it is open is among the first that it hears of
        opening = asyncio.get_running_loop().call_later(limits.LISTEN_AFTER_S, self._listener.open)
        try:
            yield
        finally:
            opening.cancel()
            self._here.pop(id_, None)  # a comparison may be asked for twice at the same time
            if not self._here:
                self._listener.rest()

    async def close(self) -> None:
        """Close the listener now."""
        await self._listener.close()

    def _heard(self, id_: str, comparison: str) -> None:
        for one in (id_, comparison):
            if one in self._here:
                _, stop = self._here[one]
                stop()


class Listener:
    """A query's matches as they come, off everybody's path: nothing here is ever waited for.

    The raw stream under the client, whose asynchronous `on_snapshot` is not implemented.
    on_match: called with a document's id, and its stop's comparison or "", when it begins to match;
    after a break, for all that do.
    """

    def __init__(
        self, firestore: AsyncClient, query: Any, on_match: Callable[[str, str], None]
    ) -> None:
        self._firestore = firestore
        self._query = query
        self._on_match = on_match
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._out = False  # nothing was heard since it broke, which has been logged
        self._pause_s = limits.LISTEN_PAUSE_FIRST_S

    def open(self) -> None:
        """Begin to listen, if it is not so yet."""
        self._stay()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def rest(self) -> None:
        """Nobody listens any more: close in a while, unless somebody does again."""
        self._stay()  # or an older timer would close it upon whoever does
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(limits.LISTEN_REST_S, self._cancel)

    async def close(self) -> None:
        """Close now."""
        if (task := self._task) is not None:
            self._cancel()
            await asyncio.wait({task})

    def _stay(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _cancel(self) -> None:
        self._stay()
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def _run(self) -> None:
        self._pause_s = limits.LISTEN_PAUSE_FIRST_S
        while True:
            try:
                await self._follow()  # ends from time to time, as Firestore likes
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._broke(error)  # gRPC says this too when it was the other side that cancelled
            except Exception as error:  # whatever it is, generations go on, and so does listening
                self._broke(error)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, limits.LISTEN_PAUSE_MAX_S)

    def _broke(self, error: BaseException) -> None:
        if not self._out:
            log.warning("stops_not_heard", type=type(error).__name__)
        self._out = True

    async def _follow(self) -> None:
        """Listen until the stream ends. Raises what it breaks with."""
        stream, ended = None, asyncio.Event()
        try:
            async with asyncio.timeout(limits.LISTEN_OPEN_S) as opening:
                stream = await self._firestore._firestore_api.listen(
                    requests=self._requests(ended),
                    retry=None,
                    timeout=None,
                    metadata=self._firestore._rpc_metadata,
                )
                async for response in stream:
                    if self._take(response):
                        opening.reschedule(None)
        finally:
            ended.set()
            if stream is not None:
                stream.cancel()

    async def _requests(self, ended: asyncio.Event) -> AsyncIterator[ListenRequest]:
        """One: Firestore goes on answering it for as long as this does not end."""
        parent, _ = self._query._parent._parent_info()
        query = Target.QueryTarget(parent=parent, structured_query=self._query._to_protobuf())
        target = Target(query=query, target_id=TARGET)
        yield ListenRequest(database=self._firestore._database_string, add_target=target)
        await ended.wait()

    def _take(self, response: ListenResponse) -> bool:
        """Whether everything until now has been heard."""
        said = ListenResponse.pb(response)  # which costs less: the emulator speaks at each commit
        if TARGET in said.document_change.target_ids:
            document = said.document_change.document
            stop = document.fields["stop"].map_value.fields
            self._on_match(document.name.rsplit("/", 1)[1], stop["comparison"].string_value)
        kind = said.target_change.target_change_type
        if kind == TargetChange.TargetChangeType.REMOVE:
            refused: Any = exceptions.from_grpc_status  # typed nowhere
            raise refused(said.target_change.cause.code, "")
        if kind != TargetChange.TargetChangeType.CURRENT:
            return False
        self._out, self._pause_s = False, limits.LISTEN_PAUSE_FIRST_S
        return True
