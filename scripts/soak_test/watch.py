"""Memory and open files of an instance, over time."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from scripts.benchmarks import proc_stats
from scripts.devtools.function_server import FunctionServer

EVERY_S: Final = 2.0
SETTLED_AFTER: Final = 0.25  # of the time: caches fill, and Python's heap takes its size
WINDOW: Final = 0.15  # of the time, at the beginning of what is compared and at its end
GROWTH_MAX: Final = 0.05  # of the memory
FILES_MAX: Final = 8  # a few more connections at once


@dataclass
class Watch:
    """Samples of one process.

    Attributes:
        memory_mb: Its resident memory.
        files: How many file descriptors it has open.
    """

    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    async def run(self, find: Callable[[], FunctionServer | None]) -> None:
        """Take samples until cancelled, or until the process has ended."""
        while True:
            if (server := find()) is not None:
                try:
                    memory = proc_stats.rss_mb(server.worker_pid)
                    files = proc_stats.open_files(server.worker_pid)
                except OSError:
                    return
                self.memory_mb.append(memory)
                self.files.append(files)
            await asyncio.sleep(EVERY_S)

    @property
    def growth(self) -> float:
        """By which part memory grew, from after the first quarter to the end."""
        before, after = _windows(self.memory_mb)
        return after / before - 1

    @property
    def files_growth(self) -> float:
        """By how many open files there were more, likewise."""
        before, after = _windows([float(count) for count in self.files])
        return after - before

    def findings(self) -> list[str]:
        """Return what is left over, if anything is. As many files as calls at once may be open."""
        found = []
        if self.growth > GROWTH_MAX:
            found.append(f"memory grew by {self.growth:.1%}, more than {GROWTH_MAX:.0%}")
        if self.files_growth > FILES_MAX:
            found.append(f"{self.files_growth:.0f} more files are open")
        return found


def _windows(samples: list[float]) -> tuple[float, float]:
    """Return the medians of the two windows that are compared."""
    size = max(1, round(len(samples) * WINDOW))
    begin = round(len(samples) * SETTLED_AFTER)
    return statistics.median(samples[begin : begin + size]), statistics.median(samples[-size:])
