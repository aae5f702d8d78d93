"""An answer that runs on another instance, or has ended: what there is of it, then the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, repeat

from ..callable import Call
from ..contract import restored
from ..errors import AlreadyRunning, Restarting, ResultNotKept, failure_of
from ..firestore import Document
from ..ledger import StoredEntry
from ..users import Caller
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

    async def resume(self, call: Call[Caller], id_: str) -> Document:
        """Return the result of a generation, at once if it has ended.

        Raises:
            GenerationUnknown: The caller has no such generation.
            ResultNotKept: It has ended, and its result is not stored.
            CallableError: What `follow` raises.
        """
        entry = await self._progress.entry(id_, call.caller.uid)
        return await self._follow(call, id_, entry) if entry.is_running else _result(entry)

    async def follow(self, call: Call[Caller], id_: str) -> Document:
        """Return the result of a generation that was just begun, once there is one.

        Until then it sends what has been written, a second or two late, if the feature streams.
        The answer does not end when a follower leaves.

        Raises:
            CallableError: What the answer failed with.
            ResultNotKept: It has ended, and its result is not stored.
            LedgerUnavailable: Firestore did not answer.
            Restarting: Its instance was killed.
            AlreadyRunning: It takes longer than this call may.
        """
        entry = await self._progress.entry(id_, call.caller.uid)
        return await self._follow(call, id_, entry)

    async def _follow(self, call: Call[Caller], id_: str, entry: StoredEntry) -> Document:
        ids = entry.place.ids() if entry.place else {}
        await call.send({"type": "start", "generationId": id_, **ids, "model": entry.model})
        reader = _Reader(call, self._progress, id_) if entry.streams else None
        pauses, loop = _pauses(entry, self._limits), asyncio.get_running_loop()
        until = loop.time() + self._limits.follow_max_s
        while entry.is_running and not call.left:
            if entry.deadline_at is None or entry.deadline_at < self._now():
                raise Restarting  # its instance was killed; a reconciler will end it
            if loop.time() > until:  # it waited in a queue first: our own function ends before it
                raise AlreadyRunning(retry_after_seconds=1, generationId=id_)
            if reader is not None:
                await reader.send_new()
            await asyncio.sleep(next(pauses))
            entry = await self._progress.entry(id_, call.caller.uid)
        if entry.error is not None:
            raise failure_of(entry.error)(generationId=id_)
        result = _result(entry)
        if reader is not None:
            await reader.send_rest(result)
        await _send_whole_parts(call, result)
        return result


class _Reader:
    """Sends the text of an answer that runs elsewhere, as its progress has it."""

    def __init__(self, call: Call[Caller], progress: Progress, id_: str) -> None:
        self._call = call
        self._progress = progress
        self._id = id_
        self._number = -1  # of the last piece
        self._sent = dict.fromkeys(KINDS, "")

    async def send_new(self) -> None:
        """Send what was stored since the last look."""
        pieces = await self._progress.read(self._id, self._number)
        current = latest(pieces)
        if current and (repair := current[0].repair) is not None and any(self._sent.values()):
            self._sent = dict.fromkeys(KINDS, "")
            await self._call.send({"type": "repair", **repair.to_wire()})
        await self._send("reasoning", "".join(piece.reasoning for piece in current))
        await self._send("text", "".join(piece.text for piece in current))
        self._number = _last_number(pieces, self._number)

    async def send_rest(self, result: Mapping[str, object]) -> None:
        """Send what of the whole answer was not sent by its end."""
        whole = {kind: _text(result, kind) for kind in KINDS}
        if not all(whole[kind].startswith(sent) for kind, sent in self._sent.items()):
            await self._call.send({"type": "repair", "model": result["model"]})
            self._sent = dict.fromkeys(KINDS, "")
        for kind in KINDS:
            await self._send(kind, whole[kind][len(self._sent[kind]) :])

    async def _send(self, kind: str, delta: str) -> None:
        if delta:
            self._sent[kind] += delta
            await self._call.send({"type": kind, "delta": delta})


def _last_number(pieces: list[Piece], before: int) -> int:
    return pieces[-1].number if pieces else before


async def _send_whole_parts(call: Call[Caller], result: Mapping[str, object]) -> None:
    """Send what an answer has beside its text: each part comes in one piece."""
    for kind, name in (("citation", "citations"), ("tool_call", "toolCalls")):
        for index, value in enumerate(_list(result, name)):
            await call.send({"type": kind, "index": index, **value})
    for image in _list(result, "images"):
        await call.send({"type": "image", "image": image})


def _pauses(entry: StoredEntry, limits: ProgressLimits) -> Iterator[float]:
    """Yield the pauses between looks.

    An answer that needs no listener stores a piece each second. At first it is either about to
    begin, or ends before there is any piece.
    """
    if entry.continues:
        return chain(limits.first_looks_s, repeat(limits.live_s))
    return repeat(limits.every_s)


def _result(entry: StoredEntry) -> Document:
    if entry.result is None:
        raise ResultNotKept(previousStatus=entry.status, previousReason=entry.error)
    return restored(entry.result)


def _text(result: Mapping[str, object], name: str) -> str:
    value = result.get(name)
    return value if isinstance(value, str) else ""


def _list(result: Mapping[str, object], name: str) -> list[Document]:
    value = result.get(name)
    return value if isinstance(value, list) else []
