"""The interface through which a request to OpenRouter gets its key. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .secret import Secret


class KeySource(Protocol):
    """The keys that one request may use, in order. `pool.KeySlot` implements it."""

    async def get(self) -> Secret:
        """Return the key to use. Raises a CallableError if there is none."""
        ...

    async def next_after_refusal(self, refused: Sequence[Secret], reason: str) -> Secret | None:
        """Return a key that is none of the refused ones, or None if there is none left.

        Args:
            refused: The keys that OpenRouter refused this request with, the last one just now.
            reason: Why it refused that one, as an error's reason.
        """
        ...
