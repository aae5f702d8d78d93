"""What a long answer has come to by now, for whoever lost it or looks on from another instance.

    generations/{id}/progress/{n}   {text, reasoning, expireAt}: what came since the piece before

Nothing is kept of an answer that ends within two seconds, and once in two seconds of any other,
once a second of one that needs no listener; it is deleted when the answer has ended and its result
is kept as a whole. Of an answer whose result is not to be kept there is no progress either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore import AsyncClient, FieldFilter

from . import limits, log
from .commits import AWAY, commit
from .errors import GenerationUnknown, LedgerUnavailable

LOOKED_AT = ("uid", "status", "model", "error", "place", "deadlineAt", "result", "continues")


@dataclass(frozen=True, slots=True)
class Piece:
    """What came next. number: of the piece."""

    number: int
    text: str
    reasoning: str


class Progress:
    """Keeps it in Firestore. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._firestore = firestore
        self._now = now
        self._pieced: set[str] = set()  # the generations that have any

    @asynccontextmanager
    async def kept(
        self, id_: str, written: Callable[[], tuple[str, str]], after_s: float, every_s: float
    ) -> AsyncIterator[None]:
        """Inside, what `written` answers, (text, reasoning) so far, is kept as it grows."""
        keeping = asyncio.create_task(self._keep(id_, written, after_s, every_s))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def read(self, id_: str, after: int = -1) -> list[Piece]:
        """The pieces after that one. Raises LedgerUnavailable."""
        query = self._pieces(id_).where(filter=FieldFilter("number", ">", after)).order_by("number")
        try:
            found = await query.get(retry=None, timeout=limits.READ_S)
        except AWAY as error:
            raise _away(error) from None
        documents = (snapshot.to_dict() or {} for snapshot in found)
        return [Piece(d["number"], d.get("text", ""), d.get("reasoning", "")) for d in documents]

    async def forget(self, id_: str) -> None:
        """Delete the pieces, if there are any, all at once; where that fails they expire."""
        if id_ not in self._pieced:
            return
        self._pieced.discard(id_)
        try:
            found = await self._pieces(id_).select([]).get(retry=None, timeout=limits.READ_S)
            batch = self._firestore.batch()
            for snapshot in found:
                batch.delete(snapshot.reference)
            await commit(batch, limits.SETTLE_BEFORE_RESULT_S)
        except AWAY as error:
            log.warning("progress_not_deleted", type=type(error).__name__)

    async def erase(self, id_: str) -> None:
        """Delete what is kept of one that nobody runs any more: its progress, what was asked.

        Raises what Firestore raises.
        """
        entry = self._firestore.collection("generations").document(id_)
        batch = self._firestore.batch()
        for name in ("progress", "asked"):
            pieces = entry.collection(name).select([])
            for snapshot in await pieces.get(retry=None, timeout=limits.READ_S):
                batch.delete(snapshot.reference)
        await commit(batch, limits.CHANGE_S)

    async def look(self, id_: str, uid: str) -> dict[str, Any]:
        """A user's generation as the ledger has it. Raises GenerationUnknown, LedgerUnavailable."""
        reference = self._firestore.collection("generations").document(id_)
        try:
            snapshot = await reference.get(LOOKED_AT, retry=None, timeout=limits.READ_S)
        except AWAY as error:
            raise _away(error) from None
        entry = snapshot.to_dict() or {}
        if entry.get("uid") != uid:
            raise GenerationUnknown(field="resume")
        return entry

    async def _keep(
        self, id_: str, written: Callable[[], tuple[str, str]], after_s: float, every_s: float
    ) -> None:
        await asyncio.sleep(after_s)
        number, texts, thoughts = 0, 0, 0
        while True:
            text, reasoning = written()
            if len(text) > texts or len(reasoning) > thoughts:
                piece = Piece(number, text[texts:], reasoning[thoughts:])
                if await self._write(id_, piece):
                    number, texts, thoughts = number + 1, len(text), len(reasoning)
            await asyncio.sleep(every_s)

    async def _write(self, id_: str, piece: Piece) -> bool:
        document = {
            "number": piece.number,
            "text": piece.text,
            "reasoning": piece.reasoning,
            "expireAt": self._now() + timedelta(days=limits.PROGRESS_TTL_DAYS),
        }
        self._pieced.add(id_)
        reference = self._pieces(id_).document(f"{piece.number:05}")
        try:
            await reference.set(document, retry=None, timeout=limits.READ_S)
        except (*AWAY, ValueError) as error:
            log.warning("progress_not_kept", type=type(error).__name__)
            return False
        return True

    def _pieces(self, id_: str) -> Any:
        return self._firestore.collection("generations").document(id_).collection("progress")


def _away(error: BaseException) -> LedgerUnavailable:
    log.error("progress_unavailable", type=type(error).__name__)
    return LedgerUnavailable()
