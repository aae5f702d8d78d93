"""Hands a generation over to the function that runs it without a listener, and claims it there.

    the callable   admitted, unclaimed -> its request is stored -> a task in the queue
    the task       claimed by this instance -> its request is read, and deleted -> answered

    generations/{id}/asked/{n}   {number, part, expireAt}: JSON, in as many parts as it takes

A task is delivered at least once, and perhaps late. The claim is one guarded update of the entry:
of two deliveries only one succeeds, and an entry that has since ended stays as it is. The whole
request is stored, with the feature as it was admitted, so that a change of its settings in between
does not matter.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.cloud.firestore import AsyncClient

from .. import log
from ..contract import ExecutePrompt
from ..errors import LedgerUnavailable, QueueUnavailable
from ..features import Feature, FeatureSettings
from ..firestore import (
    Batch,
    Conflict,
    Document,
    FirestoreError,
    Paths,
    Unavailable,
    commit,
    cut,
    put,
    query,
    translated,
)
from ..ledger import (
    EntryField,
    EntryState,
    LedgerLimits,
    LedgerStore,
    OpenEntry,
    StoredEntry,
    run_deadline,
)
from .limits import DeliveryLimits
from .queue import TaskQueue


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """What a task has to answer.

    Attributes:
        request: The request.
        feature: The feature as it was admitted.
        trace_id: The trace of the call that queued it.
        question_state: How the question was stored in its conversation: what
            `conversations.ThreadWriter` continues from.
    """

    request: ExecutePrompt
    feature: Feature
    trace_id: str
    question_state: Document | None = None

    def to_json(self) -> str:
        return json.dumps(
            {
                "request": self.request.model_dump(by_alias=True, exclude_none=True),
                "feature": self.feature.id,
                "revision": self.feature.revision,
                "settings": self.feature.settings.to_json(),
                "traceId": self.trace_id,
                "written": self.question_state,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> QueuedRequest:
        stored = json.loads(text)
        settings = FeatureSettings.model_validate(stored["settings"], by_alias=True, by_name=False)
        return cls(
            ExecutePrompt.model_validate(stored["request"], by_alias=True, by_name=False),
            Feature(stored["feature"], True, stored["revision"], settings),
            stored["traceId"],
            stored["written"],
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """A generation that this instance has claimed.

    Attributes:
        entry: Its ledger entry.
        is_stopped: Whether a user stopped it before any instance ran it.
    """

    entry: OpenEntry
    is_stopped: bool


class Handover:
    """Hands generations over to the task queue's function, and claims them there.

    One per instance.
    """

    def __init__(
        self,
        firestore: AsyncClient,
        queue: TaskQueue,
        *,
        store: LedgerStore,
        instance: str,
        limits: DeliveryLimits | None = None,
        ledger_limits: LedgerLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._queue = queue
        self._store = store
        self._instance = instance
        self._limits = (limits or DeliveryLimits()).queue
        self._ledger_limits = ledger_limits or LedgerLimits()
        self._now = now

    async def enqueue(self, id_: str, queued: QueuedRequest) -> None:
        """Store a request and queue the generation that was admitted for it.

        Raises:
            QueueUnavailable: It is not known whether the generation was queued.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        parts = cut(queued.to_json(), self._limits.part_chars)
        with translated(QueueUnavailable, "asked_not_kept"):
            await asyncio.gather(*(self._store_part(id_, n, part) for n, part in enumerate(parts)))
        await self._queue.add(id_)

    async def claim(self, id_: str) -> Claim | None:
        """Claim a generation for this instance.

        Returns:
            The claim; None if an instance has claimed it, it has ended, or it waited too long.

        Raises:
            LedgerUnavailable: The task has to be delivered again.
            FirestoreForbidden: The functions' service account lacks a role.
        """
        nonce = secrets.token_hex(8)
        with translated(LedgerUnavailable, "claim_delayed"):
            for pause_s in self._limits.claim_pauses_s:
                try:
                    return await self._claim(id_, nonce)
                except Unavailable as error:  # it may be claimed: the next read shows
                    log.warning("claim_delayed", type=error.cause)
                await asyncio.sleep(pause_s)
        raise LedgerUnavailable

    async def take_request(self, id_: str) -> QueuedRequest:
        """Return the request of a claimed generation and delete it: no other instance reads it.

        Raises:
            LedgerUnavailable: It cannot be read.
        """
        with translated(LedgerUnavailable, "asked_not_read"):
            found = await query(self._paths.queued_request(id_).order_by("number"))
        if not found:
            raise LedgerUnavailable
        batch = Batch(self._firestore)
        for snapshot in found:
            batch.delete(snapshot.reference)
        try:
            await commit(batch, self._limits.write_s)
        except FirestoreError as error:
            log.warning("asked_not_deleted", type=error.cause)  # it expires
        return QueuedRequest.from_json("".join(snapshot.get("part") for snapshot in found))

    async def _claim(self, id_: str, nonce: str) -> Claim | None:
        while True:
            stored = await self._store.read(id_)
            if stored is None:
                return None
            if stored.nonce == nonce:  # claimed by our own commit, whose response was lost
                return _claimed(stored, nonce, stored.version)
            now = self._now()
            if not stored.is_claimable(now):
                return None
            fields = {
                EntryField.INSTANCE: self._instance,
                EntryField.NONCE: nonce,
                EntryField.DEADLINE_AT: run_deadline(now, self._ledger_limits),
                EntryField.LEASE_UNTIL: now + timedelta(seconds=self._ledger_limits.lease_s),
            }
            try:
                version = await self._store.update(
                    id_, stored.version, fields, within_s=self._limits.claim_s
                )
            except Conflict:
                continue  # claimed, ended, or a stop was written
            return _claimed(stored, nonce, version)

    async def _store_part(self, id_: str, number: int, part: str) -> None:
        expires = self._now() + timedelta(days=self._limits.ttl_days)
        document = {"number": number, "part": part, "expireAt": expires}
        reference = self._paths.queued_request(id_).document(f"{number:03}")
        await put(reference, document, within_s=self._limits.write_s)


def _claimed(stored: StoredEntry, nonce: str, version: datetime) -> Claim | None:
    admission = stored.admission()
    if admission is None:  # damaged: nobody can run it, and the reconciler closes it
        log.error("entry_damaged", generation=stored.id)
        return None
    state = EntryState(version, freed=stored.freed, texts_erased=stored.texts_erased)
    entry = OpenEntry(admission, nonce, stored.windows, state)
    return Claim(entry, is_stopped=stored.stop is not None)
