"""A user's calls as an app sends them: HTTP and tokens, to functions in processes of their own.

    home = new_home(suite, {"talk": {"model": "sim/fast"}})       # a project, its key, its features
    with serving(suite, logs) as serve:
        one, other = (serve("api", env=home.environment).url for _ in range(2))
        async with home.person(one, other) as ann:
            await ann.call("execute_prompt", feature="talk", prompt="Hi")
            await ann.stream("execute_prompt", feature="talk", prompt="Hi", at=1)

Every callable goes through `api`, as one of the module's processes (`at`) serves it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.seed import LOCAL_KEY, create_documents, store_key
from scripts.devtools.suite import Suite
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.faulty_firestore import firestore_at


@dataclass
class Streamed:
    """A streamed call: what has come of it so far, and its result."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    task: asyncio.Task[Any] = field(init=False)

    @property
    def text(self) -> str:
        return self.told("text")

    def told(self, type_: str) -> str:
        return "".join(m["delta"] for m in self.messages if m["type"] == type_)

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == type_]

    async def result(self) -> Any:
        return await asyncio.wait_for(self.task, EVENTUALLY_S)


class Person:
    """One user. `uid` is in every prompt of theirs, which is how OpenRouter's records tell it."""

    def __init__(self, home: "Home", uid: str, clients: list[CallableClient]) -> None:
        self.uid = uid
        self._home = home
        self._clients = clients
        self.firestore = firestore_at(home.suite.firestore_host, home.project)

    async def call(self, name: str, *, at: int = 0, **data: Any) -> Any:
        """The result. Raises CallableFailure."""
        return await self._clients[at].call("", {"endpoint": name, **data})

    def begin(self, name: str, *, at: int = 0, streams: bool = True, **data: Any) -> Streamed:
        """streams: off, and it gets no messages."""
        streamed = Streamed()

        async def read() -> Any:
            async for kind, value in self._clients[at].stream("", {"endpoint": name, **data}):
                if kind == "result":
                    return value
                streamed.messages.append(value)
            raise AssertionError("a stream without a result")

        work = read() if streams else self.call(name, at=at, **data)
        streamed.task = asyncio.create_task(work)
        return streamed

    async def stream(self, name: str, *, at: int = 0, **data: Any) -> tuple[Streamed, Any]:
        """What came, and the result. Raises CallableFailure."""
        streamed = self.begin(name, at=at, **data)
        return streamed, await streamed.result()

    async def refusal(self, name: str, *, at: int = 0, **data: Any) -> CallableFailure:
        with pytest.raises(CallableFailure) as refused:
            await self.call(name, at=at, **data)
        return refused.value

    async def upstream(self) -> list[dict[str, Any]]:
        """What OpenRouter was asked in this user's words, the oldest first."""
        async with httpx.AsyncClient(trust_env=False) as http:
            seen = (await http.get(f"{self._home.suite.openrouter_root}/sim/requests")).json()
        return [request for request in seen if self.uid in str(request["body"])]

    async def bodies(self) -> list[dict[str, Any]]:
        return [request["body"] for request in await self.upstream()]

    async def document(self, path: str) -> dict[str, Any]:
        """Empty where there is none."""
        return (await self.firestore.document(path).get()).to_dict() or {}

    async def documents(self, collection: str) -> dict[str, Any]:
        """Snapshots by id."""
        return {found.id: found async for found in self.firestore.collection(collection).stream()}


@dataclass(frozen=True)
class Home:
    """A project of a module's own."""

    suite: Suite
    project: str
    app_check: str

    @property
    def environment(self) -> dict[str, str]:
        return {"GCLOUD_PROJECT": self.project}

    @asynccontextmanager
    async def person(self, *urls: str, uid: str | None = None) -> AsyncIterator[Person]:
        uid = uid or f"person{secrets.token_hex(6)}"
        token = id_token(self.project, uid)
        async with AsyncExitStack() as stack:
            clients = [CallableClient(url, token, self.app_check) for url in urls]
            for client in clients:
                await stack.enter_async_context(client)
            yield Person(self, uid, clients)


def new_home(suite: Suite, features: dict[str, dict[str, Any]]) -> Home:
    """features: their settings. Paid models are allowed, and many calls."""
    project = f"demo-wired-{secrets.token_hex(4)}"
    store_key(suite.secret_manager_host, project, LOCAL_KEY)
    settings_of_app = {
        "keys": {"default": [{"version": 1}]},
        "freeModelsOnly": False,
        "limits": {"requestsPerMinute": 10_000, "concurrent": 100, "usdPerDay": 100},
    }
    documents = {
        f"features/{id_}": {"enabled": True, "revision": 1, "settings": settings}
        for id_, settings in features.items()
    }
    create_documents(suite.firestore_host, project, {"config/app": settings_of_app, **documents})
    app = {"projectId": project, "audience": [f"projects/{project}"]}
    issued = httpx.post(f"http://{suite.app_check_host}/token", json=app, trust_env=False)
    return Home(suite, project, str(issued.raise_for_status().json()["token"]))


async def has_come(streamed: Streamed, type_: str = "text") -> None:
    async def some() -> bool:
        if streamed.task.done():
            streamed.task.result()
        return bool(streamed.of(type_))

    await until(some)
