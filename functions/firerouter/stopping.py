"""Ending an answer that is being written, from any device of the user who asked for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from . import limits
from .callable import Call
from .contract import StopGeneration, parse
from .errors import GenerationUnknown, LedgerUnavailable
from .identity import Caller
from .ledger import comparison_ids, generation_id
from .stops import Stops


class Stopping:
    """The use case `stop_generation`."""

    def __init__(self, stops: Stops) -> None:
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
        compared = request.generation_id is None
        status = await self._stop_all(id_, uid, compared=compared)
        if request.request_id is not None:
            for pause_s in limits.STOP_LOOKS_S:  # the request may be on its way still
                if status is None:
                    await asyncio.sleep(pause_s)
                    status = await self._stop_all(id_, uid, compared=compared)
        if status is None:
            raise GenerationUnknown
        name = "comparisonId" if request.comparison_id else "generationId"
        return {name: id_, "stopped": status == "running", "status": status}

    async def _stop_all(self, id_: str, uid: str, *, compared: bool) -> str | None:
        """As `_stop`. compared: it may be a comparison's id; "running" is then that of any."""
        status = await self._stop(id_, uid)
        if status is not None or not compared:
            return status
        parts = await asyncio.gather(*(self._stop(one, uid) for one in comparison_ids(id_, uid)))
        return max(filter(None, parts), key=lambda status: status == "running", default=None)

    async def _stop(self, id_: str, uid: str) -> str | None:
        """The status that the stop found, None where this user has no such generation."""
        if not self._stops.here(id_, uid):
            return await self._stops.ask(id_, uid)
        with suppress(LedgerUnavailable):
            await self._stops.ask(id_, uid)  # for the record: it has been told already
        return "running"
