"""Ending an answer that is being written, from any device of the user who asked for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from .. import limits
from ..callable import Call
from ..contract import StopGeneration, parse
from ..errors import GenerationUnknown, LedgerUnavailable
from ..ledger import comparison_ids, generation_id
from ..users import Caller
from .stop_signals import StopSignals


class StopCallable:
    """The use case `stop_generation`."""

    def __init__(self, stops: StopSignals) -> None:
        self._stops = stops

    async def stop_generation(self, call: Call[Caller]) -> dict[str, Any]:
        """`{generationId or comparisonId, stopped, status}`; status "running": the stop is on its
        way to it.

        Somebody else's generation and none at all are the same. Raises GenerationUnknown,
        LedgerUnavailable.
        """
        request, uid = parse(StopGeneration, call.data), call.caller.uid
        id_ = (
            request.generation_id or request.comparison_id or generation_id(uid, request.request_id)
        )
        if request.generation_id is not None:
            status = await self._stop(id_, uid)
        else:
            status = await self._stop_all(id_, uid)
        if status is None:
            raise GenerationUnknown
        name = "comparisonId" if request.comparison_id else "generationId"
        return {name: id_, "stopped": status == "running", "status": status}

    async def _stop_all(self, id_: str, uid: str) -> str | None:
        """As `_stop`, of what may be a comparison: "running" is that of any of its generations.

        It looks more than once: the request may be on its way still, and so may a judge be, when
        all that it judges has ended.
        """
        for pause_s in (0.0, *limits.STOP_LOOKS_S):
            await asyncio.sleep(pause_s)
            alone, *parts = await asyncio.gather(
                self._stop(id_, uid),
                *(self._stop(one, uid, comparison=id_) for one in comparison_ids(id_, uid)),
            )
            found = [status for status in (alone, *parts) if status is not None]
            if "running" in found or alone is not None or (found and "done" not in found):
                break
        return max(found, key=lambda status: status == "running", default=None)

    async def _stop(self, id_: str, uid: str, comparison: str | None = None) -> str | None:
        """The status that the stop found, None where this user has no such generation."""
        if not self._stops.here(id_, uid):
            return await self._stops.ask(id_, uid, comparison)
        with suppress(LedgerUnavailable):
            await self._stops.ask(id_, uid, comparison)  # for the record: it has been told already
        return "running"
