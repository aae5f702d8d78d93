"""A generation on its way to the function that runs it without a listener, and its arrival there.

    the callable   admitted, nobody's yet -> what is asked is kept -> a task in the queue
    the task       claimed: this instance's now -> what is asked is read, and deleted -> answered

    generations/{id}/asked/{n}   {number, part, expireAt}: JSON, in as many parts as it takes

A task is delivered at least once, and maybe late. The claim is one guarded update of the entry: of
two deliveries one gets it, and what has ended meanwhile stays as it is. What is asked is all of the
request and the feature as it was admitted, so that a change of settings in between is no matter.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore import AsyncClient

from .. import limits, log
from ..contract import ExecutePrompt
from ..errors import LedgerUnavailable, QueueUnavailable
from ..features import Feature, FeatureSettings
from ..firestore import AWAY, GUARD_FAILED, commit
from ..ledger import Admission, Entry, UserLimits, deadline
from .queue import TaskQueue


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """What is to be answered: the request, and the feature as it was then.

    written: how the question was written into its conversation, as its thread tells it.
    """

    request: ExecutePrompt
    feature: Feature
    trace_id: str
    written: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A generation that is this instance's now. stopped: before anybody ran it."""

    entry: Entry
    stopped: bool


class Handover:
    """Hands generations over to the task queue's function, and takes them there.

    Make one an instance.
    """

    def __init__(
        self,
        firestore: AsyncClient,
        queue: TaskQueue,
        *,
        instance: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._queue = queue
        self._instance = instance
        self._now = now

    async def give(self, id_: str, asked: QueuedRequest) -> None:
        """Keep what is asked and queue the generation, which was admitted for it.

        Raises QueueUnavailable; whether it was queued is not known then.
        """
        text, most = _written(asked), limits.ASKED_PART_CHARS
        parts = [text[begin : begin + most] for begin in range(0, len(text), most)]
        try:
            await asyncio.gather(*(self._keep(id_, n, part) for n, part in enumerate(parts)))
        except AWAY as error:
            log.error("asked_not_kept", type=type(error).__name__)
            raise QueueUnavailable from None
        await self._queue.add(id_)

    async def claim(self, id_: str) -> Claim | None:
        """Make it this instance's; None where it is somebody's already, has ended or waited too
        long. Raises LedgerUnavailable: it can be claimed again."""
        nonce = secrets.token_hex(8)
        for pause_s in limits.CLAIM_PAUSES_S:
            try:
                return await self._claim(id_, nonce)
            except AWAY as error:  # which may hide that it was claimed: the next look tells
                log.warning("claim_delayed", type=type(error).__name__)
            await asyncio.sleep(pause_s)
        raise LedgerUnavailable

    async def asked(self, id_: str) -> QueuedRequest:
        """What is to be answered, deleted here: nobody else will ask. Raises LedgerUnavailable."""
        try:
            query = self._parts(id_).order_by("number")
            found = await query.get(retry=None, timeout=limits.READ_S)
        except AWAY as error:
            log.error("asked_not_read", type=type(error).__name__)
            raise LedgerUnavailable from None
        if not found:
            raise LedgerUnavailable
        batch = self._firestore.batch()
        for snapshot in found:
            batch.delete(snapshot.reference)
        try:
            await commit(batch, limits.READ_S)
        except AWAY as error:
            log.warning("asked_not_deleted", type=type(error).__name__)  # it expires
        return _read("".join(snapshot.get("part") for snapshot in found))

    async def _claim(self, id_: str, nonce: str) -> Claim | None:
        reference = self._firestore.collection("generations").document(id_)
        while True:
            snapshot = await reference.get(retry=None, timeout=limits.READ_S)
            document, version = snapshot.to_dict() or {}, snapshot.update_time
            now = self._now()
            if document.get("nonce") != nonce:  # else claimed by our own commit, sent twice
                if not _waits(document, now):
                    return None
                mine = {"instance": self._instance, "nonce": nonce, "deadlineAt": deadline(now)}
                batch = self._firestore.batch()
                guard = self._firestore.write_option(last_update_time=version)
                batch.update(reference, mine, option=guard)
                try:
                    version = (await commit(batch, limits.ADMIT_S))[0].update_time
                except GUARD_FAILED:
                    continue  # claimed, ended, or somebody wrote a stop on it
            return Claim(_entry(id_, document, nonce, version), stopped="stop" in document)

    async def _keep(self, id_: str, number: int, part: str) -> None:
        expires = self._now() + timedelta(days=limits.PROGRESS_TTL_DAYS)
        document = {"number": number, "part": part, "expireAt": expires}
        await (
            self._parts(id_)
            .document(f"{number:03}")
            .set(document, retry=None, timeout=limits.READ_S)
        )

    def _parts(self, id_: str) -> Any:
        return self._firestore.collection("generations").document(id_).collection("asked")


def _waits(document: dict[str, Any], now: datetime) -> bool:
    """Whether nobody runs it yet and somebody still should."""
    queued = document.get("status") == "running" and document.get("continues") is True
    return queued and not document.get("instance") and document["deadlineAt"] > now


def _entry(id_: str, document: dict[str, Any], nonce: str, version: Any) -> Entry:
    """As its admission made it; the caps were held against it then."""
    admission = Admission(
        id=id_,
        uid=document["uid"],
        feature=document["feature"],
        revision=document["revision"],
        model=document["model"],
        payload=document["payload"],
        limits=UserLimits(),
        reserve_nano_usd=document["reservedNanoUsd"],
        request_id=document["requestId"],
        place=document["place"],
        continues=True,
    )
    return Entry(admission, nonce, document["createdAt"], version)


def _written(asked: QueuedRequest) -> str:
    feature = asked.feature
    return json.dumps(
        {
            "request": asked.request.model_dump(by_alias=True, exclude_none=True),
            "feature": feature.id,
            "revision": feature.revision,
            "settings": feature.settings.to_json(),
            "traceId": asked.trace_id,
            "written": asked.written,
        }
    )


def _read(text: str) -> QueuedRequest:
    kept = json.loads(text)
    settings = FeatureSettings.model_validate(kept["settings"], by_alias=True, by_name=False)
    return QueuedRequest(
        ExecutePrompt.model_validate(kept["request"], by_alias=True, by_name=False),
        Feature(kept["feature"], True, kept["revision"], settings),
        kept["traceId"],
        kept["written"],
    )
