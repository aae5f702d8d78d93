"""What a process imports for its first call, in a thread while the caller is verified.

Imports are most of a cold start. In a thread they fill the time in which Google's public keys are
fetched, and the event loop stays free for other calls. No part of the instance is built here: that
waits until the caller is known.

Imports also create some 400,000 objects, which live as long as the process. Python's garbage
collector would scan them again and again, so it is disabled in the meantime. Then they are frozen:
later collections, which pause all streams, skip them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress


class Imports:
    """The imports of one function, done once per process."""

    def __init__(self, load: Callable[[], None]) -> None:
        """Do nothing yet.

        Args:
            load: Imports what the function needs. It runs in a thread.
        """
        self._load = load
        self._loaded: Future[None] | None = None

    def begin(self) -> Future[None]:
        """Start importing, unless that has begun; return a future that is done when it is over."""
        if self._loaded is None:
            thread = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)
            self._loaded = thread.submit(_run_uncollected, self._load)
            thread.shutdown(wait=False)  # the thread ends with its one task
        return self._loaded

    async def wait(self) -> None:
        """Return when the imports are done, or have failed."""
        await asyncio.shield(asyncio.wrap_future(self.begin()))  # other callers wait for it too


def load_generation() -> None:
    """Import what a call needs to get an answer from a model."""
    from .. import generation, keys, openrouter, users

    # First, and in the same order as the threads that verify callers: if two threads enter a
    # package at different places, Python avoids a deadlock by showing one of them half of it.
    users.Identity.load()
    openrouter.OpenRouter.load()
    keys.Vault.load()
    for name in generation.__all__:
        getattr(generation, name)


def _run_uncollected(load: Callable[[], None]) -> None:
    gc.disable()
    try:
        with suppress(Exception):  # building the parts fails with it again, and reports it
            load()
    finally:
        gc.freeze()
        gc.enable()
