"""A real Firestore that is slow, down, or loses its answers.

    async with firestore_proxy(suite.firestore_host) as proxy:
        firestore = firestore_at(proxy.host, project)
        proxy.hold()

`FirestoreProxy` is for what happens to connections. That a client library sends a commit twice, or
never sees the answer to one, cannot be provoked from outside: for that, `send_commits` wraps the
one call that sends a commit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest
from google.api_core.exceptions import DeadlineExceeded
from google.cloud.firestore import AsyncClient

from firerouter.firestore import generated_client
from scripts.devtools.ports import LOOPBACK

PIECE_MAX_BYTES: Final = 65_536
Commit = Callable[..., Awaitable[Any]]  # as the client library sends one
Send = Callable[..., Awaitable[Any]]  # send(commit, *args, **kwargs)


def firestore_at(host: str, project: str) -> AsyncClient:
    """Return a client of the Firestore at that address, whatever the environment says later."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", host)
        client = AsyncClient(project=project)
        connect_now(client)
    return client


def connect_now(client: AsyncClient) -> None:
    """Have a client read FIRESTORE_EMULATOR_HOST now and not with its first request."""
    firestore_api(client)


def firestore_api(client: AsyncClient) -> Any:
    """Return the generated client below a client, for tests to replace one of its calls."""
    return generated_client(client)


# -- commits ---------------------------------------------------------------------------------------


def send_commits(firestore: AsyncClient, send: Send) -> AsyncClient:
    """Send every commit of this client through `send(commit, ...)`, and return the client."""
    api = firestore_api(firestore)
    commit = api.commit
    api.commit = lambda *args, **kwargs: send(commit, *args, **kwargs)
    return firestore


async def applied_twice(commit: Commit, *args: Any, **kwargs: Any) -> Any:
    """Do what a client library does that lost the first answer: commit again."""
    await commit(*args, **kwargs)
    return await commit(*args, **kwargs)


class CommitCounter:
    """A `send` that counts, and that loses the answers of the commits with these numbers."""

    def __init__(self, *, loses: Collection[int] = ()) -> None:
        self.sent = 0
        self._loses = loses

    async def __call__(self, commit: Commit, *args: Any, **kwargs: Any) -> Any:
        self.sent += 1
        lost = self.sent in self._loses
        answer = await commit(*args, **kwargs)
        if lost:
            raise DeadlineExceeded("lost")  # type: ignore[no-untyped-call]
        return answer


def at_commit(number: int, do: Callable[[], Awaitable[Any]], *, after: bool) -> Send:
    """Return a `send` that does something before or after the commit of that number."""
    sent = 0

    async def send(commit: Commit, *args: Any, **kwargs: Any) -> Any:
        nonlocal sent
        sent += 1
        mine = sent == number
        if mine and not after:
            await do()
        answer = await commit(*args, **kwargs)
        if mine and after:
            await do()
        return answer

    return send


# -- connections -----------------------------------------------------------------------------------


class FirestoreProxy:
    """A TCP proxy before Firestore that can stand still, refuse, and break what is connected.

    Attributes:
        host: What FIRESTORE_EMULATOR_HOST takes. It stays the same after `stop` and `start`.
        held: Set once a client waits for something it has sent to be let through.
    """

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.host = ""
        self.held = asyncio.Event()

    async def start(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.host = f"{LOOPBACK}:{self._port}"

    async def stop(self) -> None:
        """Refuse connections and end those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.close()
        self.release()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing through, either way, until `release`."""
        self.held.clear()
        self._passing.clear()

    def release(self) -> None:
        self._passing.set()

    async def _connected(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_connection(*self._upstream)
        self._writers |= {to_near, to_far}
        for source, sink, is_clients in ((near, to_far, True), (far, to_near, False)):
            task = asyncio.create_task(self._carry(source, sink, is_clients=is_clients))
            self._tasks.add(task)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_clients: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(PIECE_MAX_BYTES):
                if is_clients and not self._passing.is_set():
                    self.held.set()
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


@asynccontextmanager
async def firestore_proxy(upstream: str) -> AsyncIterator[FirestoreProxy]:
    """Start a proxy before the Firestore at `upstream`, and end it and its connections."""
    proxy = FirestoreProxy(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
