"""What an instance remembers: a value while it is fresh, and what it has used most recently."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
KeyT = TypeVar("KeyT", bound=Hashable)


class Recent(Generic[KeyT, T]):
    """Values by key, as many as fit: the one that was not used for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[KeyT, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: KeyT) -> T | None:
        """Return a value, which counts as used; None if there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: KeyT, value: T) -> None:
        """Keep a value, in place of the one before."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def pop(self, key: KeyT) -> None:
        """Keep a value no longer."""
        self._values.pop(key, None)


class Cached(Generic[T]):
    """A cached value.

    It is served as it is for `fresh_s`. After that, up to `stale_s`, it is still served while it is
    fetched again. When it is older, all callers wait for the same fetch, and get its error if it
    fails.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        *,
        fresh_s: float,
        stale_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._clock = clock
        self._value: T | None = None
        self._since: float | None = None
        self._puts = 0
        self._fetching: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value. Raises what `fetch` raises."""
        age = self._age()
        if age < self._fresh_s:
            return self._value  # type: ignore[return-value]  # fetched: its age is finite
        task = self._start()
        if age < self._stale_s:
            return self._value  # type: ignore[return-value]
        # shielded: a caller that is cancelled does not cancel the others' fetch
        return await asyncio.shield(task)

    async def renew(self) -> T:
        """Fetch the value now, whatever its age, and return it. Raises what `fetch` raises."""
        return await asyncio.shield(self._start())

    def forget(self) -> None:
        """Stop serving the value: the next caller waits for a new one."""
        self._since = None

    def put(self, value: T) -> None:
        """Serve a value that is known to be the newest."""
        self._value, self._since = value, self._clock()
        self._puts += 1

    def _age(self) -> float:
        return float("inf") if self._since is None else self._clock() - self._since

    def _start(self) -> asyncio.Task[T]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._run())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    async def _run(self) -> T:
        begun, puts = self._clock(), self._puts
        value = await self._fetch()
        if puts != self._puts:  # a value that was put in the meantime is newer
            return self._value  # type: ignore[return-value]  # put: it is a T
        self._value, self._since = value, begun
        return value

    def _fetched(self, task: asyncio.Task[T]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # retrieved, because perhaps no caller is waiting for it
