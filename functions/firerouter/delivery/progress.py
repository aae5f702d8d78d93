"""What a long answer has come to by now, for whoever lost it or looks on from another instance.

    generations/{id}/progress/{n}   {text, reasoning, again?, expireAt}: what came since the piece
                                    before; with `again` the text begins anew, as a repair's does

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

from .. import limits, log
from ..errors import GenerationUnknown, LedgerUnavailable
from ..firestore import AWAY, commit

LOOKED_AT = (
    "uid",
    "status",
    "model",
    "error",
    "place",
    "deadlineAt",
    "result",
    "continues",
    "streams",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """What came next. number: of the piece. again: why the text begins anew, {model, at}."""

    number: int
    text: str
    reasoning: str
    again: dict[str, Any] | None = None


def latest(pieces: list[Piece]) -> list[Piece]:
    """Without what was written before the text began anew."""
    begins = [at for at, piece in enumerate(pieces) if piece.again is not None]
    return pieces[begins[-1] :] if begins else pieces


class Progress:
    """Keeps it in Firestore. Make one an instance."""

    def __init__(
        self, firestore: AsyncClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._firestore = firestore
        self._now = now
        self._pieced: dict[str, int] = {}  # the number of the next one, of who has any

    @asynccontextmanager
    async def kept(
        self,
        id_: str,
        written: Callable[[], tuple[str, str]],
        pace: tuple[float, float],
        again: dict[str, Any] | None = None,
    ) -> AsyncIterator[None]:
        """Inside, what `written` answers, (text, reasoning) so far, is kept as it grows.

        pace: seconds until the first piece, and between it and more. again: why another answer
        takes the place of one that was kept before.
        """
        keeping = asyncio.create_task(self._keep(id_, written, pace, again))
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
        return [
            Piece(d["number"], d.get("text", ""), d.get("reasoning", ""), d.get("again"))
            for d in documents
        ]

    async def forget(self, id_: str) -> None:
        """Delete the pieces, if there are any, all at once; where that fails they expire."""
        if id_ not in self._pieced:
            return
        del self._pieced[id_]
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
        self,
        id_: str,
        written: Callable[[], tuple[str, str]],
        pace: tuple[float, float],
        again: dict[str, Any] | None,
    ) -> None:
        after_s, every_s = pace
        await asyncio.sleep(after_s)
        texts, thoughts = 0, 0
        while True:
            text, reasoning = written()
            if len(text) > texts or len(reasoning) > thoughts:
                number = self._pieced.get(id_, 0)
                piece = Piece(number, text[texts:], reasoning[thoughts:], again if number else None)
                if await self._write(id_, piece):
                    again, texts, thoughts = None, len(text), len(reasoning)
            await asyncio.sleep(every_s)

    async def _write(self, id_: str, piece: Piece) -> bool:
        document = {
            "number": piece.number,
            "text": piece.text,
            "reasoning": piece.reasoning,
            **({"again": piece.again} if piece.again else {}),
            "expireAt": self._now() + timedelta(days=limits.PROGRESS_TTL_DAYS),
        }
        self._pieced[id_] = piece.number + 1  # also where this is cut off: it may get there yet
        reference = self._pieces(id_).document(f"{piece.number:05}")
        try:
            await reference.set(document, retry=None, timeout=limits.READ_S)
        except (*AWAY, ValueError) as error:
            log.warning("progress_not_kept", type=type(error).__name__)
            self._pieced[id_] = piece.number
            return False
        return True

    def _pieces(self, id_: str) -> Any:
        return self._firestore.collection("generations").document(id_).collection("progress")


def _away(error: BaseException) -> LedgerUnavailable:
    log.error("progress_unavailable", type=type(error).__name__)
    return LedgerUnavailable()
