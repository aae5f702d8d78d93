"""An answer that runs on another instance, or has ended: the text so far, then the rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import cast

from ..callable import CallableError, Listener
from ..contract import PromptResult, from_stored
from ..errors import AlreadyRunning, Restarting, ResultNotKept, failure_of
from ..firestore import Document
from ..ledger import StoredEntry
from .limits import ProgressLimits
from .progress import Piece, Progress, latest

KINDS = ("reasoning", "text")


class Follower:
    """Follows generations by their progress. One per instance."""

    def __init__(
        self, progress: Progress, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._progress = progress
        self._limits = progress.limits
        self._now = now
        self._following: Counter[str] = Counter()  # by generation

    async def resume(self, listener: Listener, uid: str, id_: str) -> PromptResult:
        """Return the result of a generation, at once if it has ended.

        Raises:
            GenerationUnknown: The caller has no such generation.
            ResultNotKept: It has ended, and its result is not stored.
            CallableError: What `follow` raises.
        """
        entry = await self._progress.entry(id_, uid)
        if not entry.is_running:
            return _result(entry)
        return await self._follow(listener, uid, id_, entry)

    async def follow(self, listener: Listener, uid: str, id_: str) -> PromptResult:
        """Return the result of a generation that has just begun, once there is one.

        Until then, if the feature streams, send the text as it is stored, a second or two late.
        The answer does not end when a follower leaves.

        Raises:
            CallableError: What the answer failed with.
            ResultNotKept: It has ended, and its result is not stored.
            LedgerUnavailable: Firestore did not answer.
            Restarting: Its instance was killed.
            AlreadyRunning: It takes longer than this call may, or too many follow it.
        """
        entry = await self._progress.entry(id_, uid)
        return await self._follow(listener, uid, id_, entry)

    async def _follow(
        self, listener: Listener, uid: str, id_: str, entry: StoredEntry
    ) -> PromptResult:
        """Follow, as one of a few: each reads the progress by itself."""
        if self._following[id_] >= self._limits.followers_max:
            raise AlreadyRunning(retry_after_seconds=2, generationId=id_)
        self._following[id_] += 1
        try:
            return await self._read_on(listener, uid, id_, entry)
        finally:
            self._following[id_] -= 1
            self._following += Counter()  # without those that nobody follows

    async def _read_on(
        self, listener: Listener, uid: str, id_: str, entry: StoredEntry
    ) -> PromptResult:
        ids = entry.place.ids() if entry.place else {}
        await listener.send({"type": "start", "generationId": id_, **ids, "model": entry.model})
        reader = _Reader(listener, self._progress, id_) if entry.streams else None
        pauses, loop = _pauses(entry, self._limits), asyncio.get_running_loop()
        until = loop.time() + self._limits.follow_max_s
        while entry.is_running and not listener.left:
            if entry.deadline_at is None or entry.deadline_at < self._now():
                raise Restarting  # its instance was killed; the reconciler will close it
            if loop.time() > until:  # it was queued first: this function ends before it
                raise AlreadyRunning(retry_after_seconds=1, generationId=id_)
            if reader is not None:
                await reader.send_new()
            await asyncio.sleep(next(pauses))
            entry = await self._progress.entry(id_, uid)
        if entry.error is not None:
            raise _failure(entry, entry.error)
        result = _result(entry)
        if reader is not None:
            await reader.send_rest(result)
        await _send_whole_parts(listener, result)
        return result


class _Reader:
    """Sends the text of an answer that runs elsewhere, as its progress is stored."""

    def __init__(self, listener: Listener, progress: Progress, id_: str) -> None:
        self._listener = listener
        self._progress = progress
        self._id = id_
        self._number = -1  # of the last piece
        self._sent = dict.fromkeys(KINDS, "")

    async def send_new(self) -> None:
        """Send what was stored since the last call."""
        pieces = await self._progress.read(self._id, self._number)
        current = latest(pieces)
        if current and (repair := current[0].repair) is not None and any(self._sent.values()):
            self._sent = dict.fromkeys(KINDS, "")
            await self._listener.send({"type": "repair", **repair.to_wire()})
        await self._send("reasoning", "".join(piece.reasoning for piece in current))
        await self._send("text", "".join(piece.text for piece in current))
        self._number = _last_number(pieces, self._number)

    async def send_rest(self, result: Mapping[str, object]) -> None:
        """Send what has not been sent of the whole answer."""
        whole = {kind: _text(result, kind) for kind in KINDS}
        if not all(whole[kind].startswith(sent) for kind, sent in self._sent.items()):
            await self._listener.send({"type": "repair", "model": result["model"]})
            self._sent = dict.fromkeys(KINDS, "")
        for kind in KINDS:
            await self._send(kind, whole[kind][len(self._sent[kind]) :])

    async def _send(self, kind: str, delta: str) -> None:
        if delta:
            self._sent[kind] += delta
            await self._listener.send({"type": kind, "delta": delta})


def _last_number(pieces: list[Piece], before: int) -> int:
    return pieces[-1].number if pieces else before


async def _send_whole_parts(listener: Listener, result: Mapping[str, object]) -> None:
    """Send what an answer has besides its text, each part in one piece."""
    for kind, name in (("citation", "citations"), ("tool_call", "toolCalls")):
        for index, value in enumerate(_list(result, name)):
            await listener.send({"type": kind, "index": index, **value})
    for image in _list(result, "images"):
        await listener.send({"type": "image", "image": image})


def _pauses(entry: StoredEntry, limits: ProgressLimits) -> Iterator[float]:
    """Yield the pauses between reads.

    An answer that needs no listener stores a piece every second. At first, it either is about to
    begin or ends before it has stored any, so the first reads come sooner.
    """
    if entry.continues:
        return chain(limits.first_looks_s, repeat(limits.live_s))
    return repeat(limits.every_s)


def _failure(entry: StoredEntry, reason: str) -> CallableError:
    """Return what an answer failed with; admins also read what OpenRouter said of it."""
    failure = failure_of(reason)(generationId=entry.id)
    said = [attempt.upstream_reason for attempt in entry.attempts if attempt.purpose is None]
    if said and said[-1]:
        failure.admin_details["upstreamReason"] = said[-1]
    return failure


def _result(entry: StoredEntry) -> PromptResult:
    if entry.result is None:
        raise ResultNotKept(previousStatus=entry.status, previousReason=entry.error)
    return cast(PromptResult, from_stored(entry.result))


def _text(result: Mapping[str, object], name: str) -> str:
    value = result.get(name)
    return value if isinstance(value, str) else ""


def _list(result: Mapping[str, object], name: str) -> list[Document]:
    value = result.get(name)
    return value if isinstance(value, list) else []
