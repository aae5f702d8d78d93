"""The served instance: its memory is watched, and it is killed beyond its limit."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from scripts.benchmarks import proc_stats
from scripts.devtools.function_server import FunctionServer

MEMORY_MB: Final = 512  # of a deployed instance: firerouter.app.callables.RESOURCES
LOOK_EVERY_S: Final = 0.02


class LimitedMemory:
    """Watches the resident memory of an instance while entered, and kills it beyond its limit.

    The peak is the kernel's own count on Linux, so no short one is missed. A control group would do
    the same, but few machines let a program create one.

    Attributes:
        peak_mb: The most that it had.
        exceeded: Whether it was killed.
    """

    def __init__(self, server: FunctionServer) -> None:
        self._pid = server.worker_pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mb = 0.0
        self.exceeded = False

    def __enter__(self) -> Self:
        proc_stats.forget_peak(self._pid)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(OSError):  # it has ended
            while not self.exceeded:
                is_last = self._over.wait(LOOK_EVERY_S)
                self.peak_mb = max(self.peak_mb, proc_stats.peak_mb(self._pid))
                if self.peak_mb > MEMORY_MB:
                    self.exceeded = True
                    os.kill(self._pid, signal.SIGKILL)
                elif is_last:
                    return
