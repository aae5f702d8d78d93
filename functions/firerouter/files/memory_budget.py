"""Limits the memory for files on their way to models; generations share equal files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..callable import Overloaded
from .limits import FileLimits

ReadT = TypeVar("ReadT")


@dataclass(slots=True)
class _Held(Generic[ReadT]):
    """A file in memory. users: the generations that send it."""

    size_bytes: int
    users: set[str] = field(default_factory=set)
    read: asyncio.Task[ReadT] | None = None


class MemoryBudget(Generic[ReadT]):
    """The files that an instance holds, by keys that identify their bytes. One per instance."""

    def __init__(self, *, limits: FileLimits) -> None:
        self._limits = limits
        self._held: dict[str, _Held[ReadT]] = {}
        self._own_bytes: dict[str, int] = {}  # of each generation, besides its files

    @property
    def used_bytes(self) -> int:
        """The bytes that count against the budget."""
        return sum(map(self._counted, self._held.values())) + sum(self._own_bytes.values())

    def hold(self, generation: str, sizes: Mapping[str, int], own_bytes: int) -> None:
        """Count files, and the generation's other bytes, until `release`.

        Args:
            generation: The generation that sends the files.
            sizes: The bytes of each file, by key.
            own_bytes: The bytes that the generation holds besides its files.

        Raises:
            Overloaded: The instance would hold too much at once.
        """
        for key, size in sizes.items():
            self._held.setdefault(key, _Held(size)).users.add(generation)
        self._own_bytes[generation] = own_bytes
        if self.used_bytes > self._limits.in_flight_max_bytes:
            self.release(generation)
            raise Overloaded(retry_after_seconds=2)

    async def read(self, key: str, read: Callable[[], Coroutine[None, None, ReadT]]) -> ReadT:
        """Return what the first `read` for this key returned, or will return.

        The read continues as long as any generation holds the file.
        """
        held = self._held[key]
        if held.read is None:
            held.read = asyncio.create_task(read())
        return await asyncio.shield(held.read)

    def release(self, generation: str) -> None:
        """Free what only this generation held."""
        self._own_bytes.pop(generation, None)
        for key, held in [*self._held.items()]:
            held.users.discard(generation)
            if not held.users:
                del self._held[key]
                if held.read is not None:
                    held.read.cancel()

    def _counted(self, held: _Held[ReadT]) -> int:
        """Count all copies for the first user, and one for each other: its request's body."""
        copies = self._limits.copies
        return held.size_bytes * (copies - 1 + len(held.users)) // copies
