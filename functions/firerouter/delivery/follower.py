"""An answer that runs on another instance, or has ended: what there is of it, then the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

from .. import limits
from ..callable import Call
from ..contract import restored
from ..errors import AlreadyRunning, Restarting, ResultNotKept, failure_of
from ..users import Caller
from .progress import Progress, latest


class Follower:
    """Follows generations by what is kept of them. Make one an instance."""

    def __init__(
        self, progress: Progress, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._progress = progress
        self._now = now

    async def resume(self, call: Call[Caller], id_: str) -> dict[str, Any]:
        """The result, at once if it has ended before.

        Raises GenerationUnknown, ResultNotKept and what `follow` raises.
        """
        entry = await self._progress.look(id_, call.caller.uid)
        if entry.get("status") != "running":
            return _result(entry)
        return await self._follow(call, id_, entry)

    async def follow(self, call: Call[Caller], id_: str) -> dict[str, Any]:
        """The result of one that was begun just now, once there is one; what has been written
        meanwhile, a second or some late, where the feature streams.

        Whoever follows may leave: it does not end the answer. Raises what the answer failed with,
        ResultNotKept, LedgerUnavailable, Restarting, AlreadyRunning.
        """
        entry = await self._progress.look(id_, call.caller.uid)
        return await self._follow(call, id_, entry)

    async def _follow(self, call: Call[Caller], id_: str, entry: dict[str, Any]) -> dict[str, Any]:
        place = entry.get("place") or {}
        shown = {name: place[name] for name in ("conversationId", "messageId") if name in place}
        start = {"type": "start", "generationId": id_, **shown, "model": entry.get("model")}
        await call.send(start)
        deltas = entry.get("streams") is not False
        number, sent = -1, {"reasoning": "", "text": ""}
        pauses, loop = _pauses(entry), asyncio.get_running_loop()
        until = loop.time() + limits.TOTAL_S
        while entry.get("status") == "running" and not call.left:
            if entry["deadlineAt"] < self._now():
                raise Restarting  # its instance was killed; a reconciler will end it
            if loop.time() > until:  # it waited in a queue first: our own function ends before it
                raise AlreadyRunning(retry_after_seconds=1, generationId=id_)
            pieces = await self._progress.read(id_, number) if deltas else []
            current = latest(pieces)
            if current and current[0].again and any(sent.values()):
                sent = dict.fromkeys(sent, "")
                await call.send({"type": "repair", **current[0].again})
            for kind in sent:
                delta = "".join(getattr(piece, kind) for piece in current)
                sent[kind] += delta
                if delta:
                    await call.send({"type": kind, "delta": delta})
            number = pieces[-1].number if pieces else number
            await asyncio.sleep(next(pauses))
            entry = await self._progress.look(id_, call.caller.uid)
        if (reason := entry.get("error")) is not None:
            raise failure_of(reason)(generationId=id_)
        result = _result(entry)
        await _send_rest(call, result, sent if deltas else None)
        return result


async def _send_rest(
    call: Call[Caller], result: dict[str, Any], sent: dict[str, str] | None
) -> None:
    """What of an answer was not sent by its end. sent: None where no text is to be."""
    if sent is not None:
        if not all(result.get(kind, "").startswith(so_far) for kind, so_far in sent.items()):
            await call.send({"type": "repair", "model": result["model"]})
            sent = dict.fromkeys(sent, "")
        for kind, so_far in sent.items():
            if rest := result.get(kind, "")[len(so_far) :]:
                await call.send({"type": kind, "delta": rest})
    for kind, name in (("citation", "citations"), ("tool_call", "toolCalls")):
        for index, value in enumerate(result.get(name, ())):
            await call.send({"type": kind, "index": index, **value})
    for image in result.get("images", ()):
        await call.send({"type": "image", "image": image})


def _pauses(entry: dict[str, Any]) -> Iterator[float]:
    """Between looks. One that needs no listener has written a piece each second, and at first is
    about to begin, or ends before there is any."""
    if entry.get("continues"):
        return chain(limits.FOLLOW_LOOKS_S, repeat(limits.PROGRESS_LIVE_S))
    return repeat(limits.PROGRESS_EVERY_S)


def _result(entry: dict[str, Any]) -> dict[str, Any]:
    result = entry.get("result")
    if not isinstance(result, dict):
        raise ResultNotKept(previousStatus=entry.get("status"), previousReason=entry.get("error"))
    return restored(result)
