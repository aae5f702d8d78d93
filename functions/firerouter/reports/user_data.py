"""The callables `erase_my_data` and `export_my_data`."""

from __future__ import annotations

from typing import cast

from ..callable import Call
from ..contract import DataErased, DataExport, EraseMyData, ExportMyData, parse
from ..errors import HistoryUnavailable
from ..firestore import translated
from ..users import Caller
from .erasure import Erased, Erasure
from .personal_export import PersonalExport


class UserDataCallables:
    """Lets users export and erase their data. One per instance."""

    def __init__(self, erasure: Erasure, export: PersonalExport) -> None:
        self._erasure = erasure
        self._export = export

    async def erase(self, call: Call[Caller]) -> DataErased:
        """Erase all of the caller's data; return `{isComplete, erased, running}`.

        Raises:
            LedgerUnavailable, HistoryUnavailable: Firestore did not answer.
            StorageUnavailable: Cloud Storage did not answer.
        """
        parse(EraseMyData, call.data)
        return to_wire(await self._erasure.erase(call.caller.uid))

    async def export(self, call: Call[Caller]) -> DataExport:
        """Return a page of the caller's data.

        Raises:
            HistoryUnavailable: Firestore did not answer.
            StorageUnavailable: Cloud Storage did not answer.
        """
        request = parse(ExportMyData, call.data)
        with translated(HistoryUnavailable, "not_exported"):
            return await self._export.page(call.caller.uid, request, call.weigh)


def to_wire(erased: Erased) -> DataErased:
    """Return what was erased, as callers get it."""
    wire = {
        "isComplete": erased.is_complete,
        "erased": erased.counts,
        "running": erased.running,
    }
    return cast(DataErased, wire)
