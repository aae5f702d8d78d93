"""The roll-ups of a day and the entries of the ledger, all as of one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from google.cloud.firestore import AsyncClient, FieldFilter

from firerouter.features import read_app_settings
from firerouter.firestore import Paths
from firerouter.ledger import EntryField
from firerouter.reports import COUNTED_FIELDS

PAGE: Final = 1_000  # entries read at a time
Json = dict[str, Any]


class UsageDocuments:
    """Reads one project."""

    def __init__(self, firestore: AsyncClient, at: datetime) -> None:
        self._paths = Paths(firestore)
        self._at = at

    @classmethod
    async def of(cls, firestore: AsyncClient) -> UsageDocuments:
        """Return the documents as of now, by the server's clock."""
        cursor = await Paths(firestore).usage_cursor().get()
        return cls(firestore, cursor.read_time)

    async def entry_days(self) -> int:
        """Return how many days entries are kept, according to the app's current settings."""
        snapshot = await self._paths.app_settings().get(read_time=self._at)
        return read_app_settings(snapshot.to_dict() or {}).settings.retention.entry_days

    async def day(self, day: str) -> Json:
        """Return `usage/{day}`."""
        snapshot = await self._paths.usage(day).get(read_time=self._at)
        return snapshot.to_dict() or {}

    async def cells(self, day: str) -> dict[str, Json]:
        """Return the cells of a day, by their names."""
        found = self._paths.usage_cells(day).stream(read_time=self._at)
        return {snapshot.id: snapshot.to_dict() or {} async for snapshot in found}

    async def users(self, day: str) -> dict[str, Json]:
        """Return the users of a day, by their keys."""
        found = self._paths.usage_users(day).stream(read_time=self._at)
        return {snapshot.id: snapshot.to_dict() or {} async for snapshot in found}

    async def entries(self, day: str) -> AsyncIterator[tuple[str, Json]]:
        """Yield each entry that was admitted on a day, with its id and the fields that count."""
        begins = datetime.combine(date.fromisoformat(day), time(), UTC)
        query = (
            self._paths.generations()
            .where(filter=FieldFilter(EntryField.CREATED_AT, ">=", begins))
            .where(filter=FieldFilter(EntryField.CREATED_AT, "<", begins + timedelta(days=1)))
            .order_by(EntryField.CREATED_AT)
            .select([*COUNTED_FIELDS, EntryField.ROLL_DUE_AT])
            .limit(PAGE)
        )
        page = [snapshot async for snapshot in query.stream(read_time=self._at)]
        while page:
            for snapshot in page:
                yield snapshot.id, snapshot.to_dict() or {}
            after = query.start_after(page[-1])
            page = [snapshot async for snapshot in after.stream(read_time=self._at)]
