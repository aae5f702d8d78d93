"""An instance that is going down: what runs on it is ended while there is time to settle it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Final

from .. import log

SHUTDOWN_GRACE_S: Final = 5.0  # Cloud Run kills ten seconds after its SIGTERM


def before_shutdown(interrupt: Callable[[], None]) -> None:
    """On SIGTERM, let answers run a few seconds more, then end them while there is time to settle.

    The server's own handler, which waits for open responses, stays in charge. The framework has no
    hook of its own for this, and a signal handler can only be set in the main thread.
    """
    loop = asyncio.get_running_loop()
    served = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(loop.call_later, SHUTDOWN_GRACE_S, interrupt)
        if callable(served):
            served(number, frame)

    try:
        signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:
        log.warning("no_shutdown_hook")
