"""Recorded streams: `sim/replay/<name>` answers with the file `<name>.sse`, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .faults import Fault
from .streams import Event, Exchange

PREFIX = "sim/replay/"
OWN = Path(__file__).with_name("fixtures")
RECORDED_ID = re.compile(rb'"id":\s*"(gen-[^"]+)"')
EVENT = re.compile(rb".*?(?:\r?\n\r?\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Recording:
    name: str
    data: bytes

    @property
    def generation_id(self) -> str | None:
        """The ID inside the recording, which the header must equal."""
        found = RECORDED_ID.search(self.data)
        return found.group(1).decode() if found else None

    def fault(self) -> Fault:
        return Fault(PREFIX + self.name, "a recorded stream, byte for byte", self.play, self.play)

    async def play(self, ex: Exchange) -> None:
        ex.settle()
        await ex.play([_event(data, ex.pace_s) for data in EVENT.findall(self.data) if data])


def load_recordings(directories: Iterable[Path]) -> dict[str, Recording]:
    """Load recordings by model name. Raises NotADirectoryError if a directory is missing."""
    found = {}
    for directory in (OWN, *directories):
        if not directory.is_dir():
            raise NotADirectoryError(f"no directory to replay: {directory}")
        for file in sorted(directory.glob("*.sse")):
            found[PREFIX + file.stem] = Recording(file.stem, file.read_bytes())
    return found


def _event(data: bytes, pace_s: float) -> Event:
    is_chunk = data.startswith(b"data: {")
    return Event(data, int(is_chunk), pace_s if is_chunk else 0.0)
