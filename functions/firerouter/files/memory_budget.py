"""Files in memory on their way to models: each once, however many generations send it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .. import limits
from ..callable import Overloaded

ReadT = TypeVar("ReadT")


@dataclass(slots=True)
class _Held(Generic[ReadT]):
    """size: in bytes. by: the generations that send it."""

    size: int
    by: set[str] = field(default_factory=set)
    read: asyncio.Task[ReadT] | None = None

    @property
    def counted(self) -> int:
        """The first one holds it COPIES times over; another one, its request's body alone."""
        return self.size * (limits.ATTACHMENT_COPIES - 1 + len(self.by)) // limits.ATTACHMENT_COPIES


class MemoryBudget(Generic[ReadT]):
    """What an instance holds, by keys that say which bytes they are. Make one an instance."""

    def __init__(self) -> None:
        self._held: dict[str, _Held[ReadT]] = {}
        self._beside: dict[str, int] = {}  # bytes of a generation's own

    @property
    def size(self) -> int:
        """In bytes, as they are counted."""
        return sum(held.counted for held in self._held.values()) + sum(self._beside.values())

    def hold(self, generation: str, sizes: Mapping[str, int], beside: int) -> None:
        """Count these, and so many bytes beside them, until `release`. Raises Overloaded where the
        instance would hold too much at once."""
        for key, size in sizes.items():
            self._held.setdefault(key, _Held(size)).by.add(generation)
        self._beside[generation] = beside
        if self.size > limits.ATTACHMENTS_IN_FLIGHT_MAX_BYTES:
            self.release(generation)
            raise Overloaded(retry_after_seconds=2)

    async def read(self, key: str, read: Callable[[], Coroutine[None, None, ReadT]]) -> ReadT:
        """What the first one reads that asks for it. It is read on while anybody holds it."""
        held = self._held[key]
        if held.read is None:
            held.read = asyncio.create_task(read())
        return await asyncio.shield(held.read)

    def release(self, generation: str) -> None:
        """Nothing of it is in memory any more, but what others hold as well."""
        self._beside.pop(generation, None)
        for key, held in [*self._held.items()]:
            held.by.discard(generation)
            if not held.by:
                del self._held[key]
                if held.read is not None:
                    held.read.cancel()
