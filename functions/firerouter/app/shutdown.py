"""The shutdown of an instance: its generations end while there is time to settle them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from .. import log

SHUTDOWN_GRACE_S: Final = 5.0  # Cloud Run sends SIGKILL ten seconds after SIGTERM


def before_shutdown(interrupt: Callable[[], None], *, grace_s: float = SHUTDOWN_GRACE_S) -> None:
    """On SIGTERM, let generations run for a few more seconds, then end them in time to settle.

    The server's own handler, which waits for open responses, is still called. functions-framework
    has no hook for this. A signal handler can be set only in the main thread.

    Args:
        interrupt: Ends all generations. It is called on the event loop.
        grace_s: How long they may still run.
    """
    loop = asyncio.get_running_loop()
    servers_own = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(loop.call_later, grace_s, interrupt)
        if callable(servers_own):
            servers_own(number, frame)

    try:
        signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:
        log.warning("no_shutdown_hook")
