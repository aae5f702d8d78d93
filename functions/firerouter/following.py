"""An answer that runs on another instance, or has ended: what there is of it, then the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from . import limits
from .callable import Call
from .errors import Restarting, ResultNotKept
from .formats import restored
from .identity import Caller
from .progress import Progress


class Following:
    """Follows generations by what is kept of them. Make one an instance."""

    def __init__(
        self, progress: Progress, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._progress = progress
        self._now = now

    async def follow(self, call: Call[Caller], id_: str) -> dict[str, Any]:
        """The result, once there is one; what has been written meanwhile, some seconds late.

        Whoever follows may leave: it does not end the answer. Raises GenerationUnknown,
        ResultNotKept, LedgerUnavailable, Restarting.
        """
        entry = await self._progress.look(id_, call.caller.uid)
        if entry.get("status") != "running":
            return _result(entry)
        place = entry.get("place") or {}
        shown = {name: place[name] for name in ("conversationId", "messageId") if name in place}
        start = {"type": "start", "generationId": id_, **shown, "model": entry.get("model")}
        await call.send(start)
        number, sent = -1, {"reasoning": 0, "text": 0}
        while entry.get("status") == "running" and not call.left:
            if entry["deadlineAt"] < self._now():
                raise Restarting  # its instance was killed; a reconciler will end it
            pieces = await self._progress.read(id_, number)
            for kind in sent:
                delta = "".join(getattr(piece, kind) for piece in pieces)
                sent[kind] += len(delta)
                if delta:
                    await call.send({"type": kind, "delta": delta})
            number = pieces[-1].number if pieces else number
            await asyncio.sleep(limits.PROGRESS_EVERY_S)
            entry = await self._progress.look(id_, call.caller.uid)
        result = _result(entry)
        for kind, so_far in sent.items():
            if rest := result.get(kind, "")[so_far:]:
                await call.send({"type": kind, "delta": rest})
        for kind, name in (("citation", "citations"), ("tool_call", "toolCalls")):
            for index, value in enumerate(result.get(name, ())):
                await call.send({"type": kind, "index": index, **value})
        return result


def _result(entry: dict[str, Any]) -> dict[str, Any]:
    result = entry.get("result")
    if not isinstance(result, dict):
        raise ResultNotKept(previousStatus=entry.get("status"), previousReason=entry.get("error"))
    return restored(result)
