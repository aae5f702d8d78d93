"""Stops an answer that is being written, from any device of the user who requested it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain

from ..callable import Call
from ..contract import StopGeneration, parse
from ..errors import GenerationUnknown, LedgerUnavailable
from ..firestore import Document
from ..ledger import comparison_ids, generation_id
from ..users import Caller
from .limits import DeliveryLimits
from .stop_signals import StopSignals


class StopCallable:
    """The callable `stop_generation`."""

    def __init__(self, stops: StopSignals, *, limits: DeliveryLimits | None = None) -> None:
        self._stops = stops
        self._limits = (limits or DeliveryLimits()).stops

    async def stop_generation(self, call: Call[Caller]) -> Document:
        """Return `{generationId or comparisonId, stopped, status}`.

        With status "running" the stop is on its way to the generation. Another user's generation is
        treated like one that does not exist.

        Raises:
            GenerationUnknown: The caller has no such generation.
            LedgerUnavailable: Firestore did not answer.
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
        """Stop what may be a comparison. Its status is "running" if any of its generations is.

        It looks more than once: the request may still be on its way or, if all answers have ended,
        the judge's may. A look that finds nothing costs one read, however many ids are looked for.
        """
        ids, statuses = (id_, *comparison_ids(id_, uid)), list[str]()
        for pause_s in chain((0.0,), self._limits.look_pauses_s):
            await asyncio.sleep(pause_s)
            known = await self._stops.known(ids, uid)
            found = await asyncio.gather(
                *(self._stop(one, uid, None if one == id_ else id_) for one in ids if one in known)
            )
            statuses = [status for status in found if status is not None]
            if "running" in statuses or (id_ in known and statuses):
                break
            if statuses and "done" not in statuses:
                break
        return max(statuses, key=lambda status: status == "running", default=None)

    async def _stop(self, id_: str, uid: str, comparison: str | None = None) -> str | None:
        """Return the status that the stop found; None if this user has no such generation."""
        if not self._stops.stop_here(id_, uid):
            return await self._stops.request(id_, uid, comparison)
        with suppress(LedgerUnavailable):
            await self._stops.request(id_, uid, comparison)  # for the record: it has been stopped
        return "running"
