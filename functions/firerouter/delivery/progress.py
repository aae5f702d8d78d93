"""The progress of a long answer, for clients that lost it or follow it from another instance.

    generations/{id}/progress/{n}   {number, text, reasoning, again?, expireAt}: what came since the
                                    piece before; with `again`, the text starts over: a repair's

An answer that ends within two seconds stores nothing. Any other one stores a piece every two
seconds, or every second if it needs no listener. The pieces are deleted when the answer has ended
and its whole result is stored. An answer whose result is not stored has no progress either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from google.cloud.firestore import AsyncClient, FieldFilter

from .. import log
from ..background import BackgroundTasks
from ..errors import GenerationUnknown, LedgerUnavailable
from ..firestore import (
    Batch,
    Document,
    FirestoreError,
    Paths,
    commit,
    content,
    put,
    query,
    translated,
)
from ..ledger import EntryField, LedgerStore, StoredEntry
from .limits import DeliveryLimits

FOLLOWED: Final = (
    EntryField.UID,
    EntryField.STATUS,
    EntryField.MODEL,
    EntryField.ERROR,
    EntryField.ATTEMPTS,
    EntryField.PLACE,
    EntryField.DEADLINE_AT,
    EntryField.RESULT,
    EntryField.CONTINUES,
    EntryField.STREAMS,
)

Written = Callable[[], tuple[str, str]]  # (text, reasoning) so far


@dataclass(frozen=True, slots=True)
class Repair:
    """Why the text of an answer starts over: it broke its format and is repaired.

    Attributes:
        model: The model that is called again.
        at: Where the first answer broke its format.
    """

    model: str
    at: str

    @classmethod
    def from_document(cls, document: object) -> Repair | None:
        if not isinstance(document, dict):
            return None
        return cls(str(document.get("model", "")), str(document.get("at", "")))

    def to_wire(self) -> dict[str, str]:
        """Return what a `repair` frame has besides its type."""
        return {"model": self.model, "at": self.at}


@dataclass(frozen=True, slots=True)
class Piece:
    """What an answer has written since the piece before.

    Attributes:
        number: The piece's place, from 0.
        text: The text since then.
        reasoning: The reasoning since then.
        repair: Why the text starts over with this piece, if it does.
    """

    number: int
    text: str
    reasoning: str
    repair: Repair | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Piece:
        number, text, reasoning = (document.get(n) for n in ("number", "text", "reasoning"))
        return cls(
            number=number if isinstance(number, int) else 0,
            text=text if isinstance(text, str) else "",
            reasoning=reasoning if isinstance(reasoning, str) else "",
            repair=Repair.from_document(document.get("again")),
        )

    def to_document(self, expire_at: datetime) -> Document:
        repair = {} if self.repair is None else {"again": self.repair.to_wire()}
        return {
            "number": self.number,
            "text": self.text,
            "reasoning": self.reasoning,
            **repair,
            "expireAt": expire_at,
        }


def latest(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces without those from before the text last started over."""
    begins = [at for at, piece in enumerate(pieces) if piece.repair is not None]
    return pieces[begins[-1] :] if begins else pieces


class Progress:
    """Stores and reads the progress of answers. One per instance."""

    def __init__(
        self,
        firestore: AsyncClient,
        *,
        store: LedgerStore,
        background: BackgroundTasks,
        limits: DeliveryLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._firestore = firestore
        self._paths = Paths(firestore)
        self._store = store
        self._background = background
        self.limits = (limits or DeliveryLimits()).progress
        self._now = now
        self._next_number: dict[str, int] = {}  # of the generations that have pieces

    @asynccontextmanager
    async def record(
        self,
        id_: str,
        written: Written,
        *,
        continues: bool,
        elapsed_s: float,
        repair: Repair | None = None,
    ) -> AsyncIterator[None]:
        """Within this context, store what `written` returns as it grows.

        Args:
            id_: The generation's ID.
            written: Returns the text and the reasoning so far.
            continues: Whether the generation needs no listener: its clients follow its progress.
            elapsed_s: How long it has been running.
            repair: Why this text replaces what was stored before, if it does.
        """
        first_s, every_s = self.limits.after_s, self.limits.every_s
        if continues:
            first_s, every_s = max(0.0, first_s - elapsed_s), self.limits.live_s
        recording = self._background.start(self._record(id_, written, first_s, every_s, repair))
        try:
            yield
        finally:
            recording.cancel()
            await asyncio.wait({recording})

    async def entry(self, id_: str, uid: str) -> StoredEntry:
        """Return the fields of a user's generation that a follower needs.

        Raises:
            GenerationUnknown: This user has no such generation.
            LedgerUnavailable: Firestore did not answer.
        """
        with translated(LedgerUnavailable, "progress_unavailable"):
            stored = await self._store.read(id_, FOLLOWED)
        if stored is None or stored.uid != uid:
            raise GenerationUnknown(field="resume")
        return stored

    async def read(self, id_: str, after: int = -1) -> list[Piece]:
        """Return the pieces with a number above `after`. Raises LedgerUnavailable."""
        later = self._paths.progress(id_).where(filter=FieldFilter("number", ">", after))
        with translated(LedgerUnavailable, "progress_unavailable"):
            found = await query(later.order_by("number"))
        return [Piece.from_document(content(snapshot)) for snapshot in found]

    def is_known(self, id_: str) -> bool:
        """Return whether this instance has stored pieces of a generation, or has tried to."""
        return id_ in self._next_number

    async def forget(self, id_: str, *, delete: bool = True) -> None:
        """Let go of a generation that has ended, and delete its pieces all at once.

        Args:
            id_: The generation's ID.
            delete: Whether to delete the pieces, if there are any. If not, or if that fails, they
                expire.
        """
        if self._next_number.pop(id_, None) is None or not delete:
            return
        try:
            batch = Batch(self._firestore)
            for snapshot in await query(self._paths.progress(id_).select([])):
                batch.delete(snapshot.reference)
            await commit(batch, self.limits.delete_s)
        except FirestoreError as error:
            log.warning("progress_not_deleted", type=error.cause)

    async def erase(self, id_: str) -> None:
        """Delete what is left of a generation that no instance runs: progress and queued request.

        Raises:
            FirestoreError: Firestore did not answer.
        """
        batch = Batch(self._firestore)
        for collection in (self._paths.progress(id_), self._paths.queued_request(id_)):
            for snapshot in await query(collection.select([])):
                batch.delete(snapshot.reference)
        await commit(batch, self.limits.erase_s)

    async def _record(
        self, id_: str, written: Written, first_s: float, every_s: float, repair: Repair | None
    ) -> None:
        await asyncio.sleep(first_s)
        texts, reasonings = 0, 0
        while True:
            text, reasoning = written()
            if len(text) > texts or len(reasoning) > reasonings:
                number = self._next_number.get(id_, 0)
                begins_anew = repair if number else None
                piece = Piece(number, text[texts:], reasoning[reasonings:], begins_anew)
                if await self._write(id_, piece):
                    repair, texts, reasonings = None, len(text), len(reasoning)
            await asyncio.sleep(every_s)

    async def _write(self, id_: str, piece: Piece) -> bool:
        expires = self._now() + timedelta(days=self.limits.ttl_days)
        # before the write: if this is cancelled, the piece may be stored nevertheless
        self._next_number[id_] = piece.number + 1
        reference = self._paths.progress(id_).document(f"{piece.number:05}")
        try:
            await put(reference, piece.to_document(expires), within_s=self.limits.write_s)
        except FirestoreError as error:
            log.warning("progress_not_kept", type=error.cause)
            self._next_number[id_] = piece.number
            return False
        return True
