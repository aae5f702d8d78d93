"""A project of a test's own: instances of the functions in this process, and what they keep.

    (instance := world.instance())
    await instance.call("save_feature_settings", {...})           # as an admin
    await instance.call("execute_prompt", {...}, uid="ann")       # as anybody
    await world.document("features/chat")

Firestore, Secret Manager and OpenRouter are the suite's; the wire and its tokens are left out, for
they are tested by themselves.
"""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, Final

import httpx
import pytest

from firerouter.app.bootstrap import App
from firerouter.app.callables import FUNCTIONS
from firerouter.app.limits import Limits
from firerouter.callable import Call, CallableError
from firerouter.features.limits import SettingsLimits
from firerouter.firestore.limits import ConfigLimits
from firerouter.ledger import LedgerLimits
from firerouter.users.identity import Caller
from scripts.devtools.seed import LOCAL_KEY, store_key
from scripts.devtools.suite import BUCKET, Suite
from tests.support.calls import ADMIN, call_of
from tests.support.eventually import until
from tests.support.faulty_firestore import Send, send_commits
from tests.support.secret_store import SecretStore

_LEDGER: Final = LedgerLimits()
OVERDUE_S: Final = _LEDGER.run_s + _LEDGER.settle_s + 1  # after admission, nobody can run it

AUTH_EMULATOR: Final = "FIREBASE_AUTH_EMULATOR_HOST"

HANDLERS: dict[str, Callable[[App], Callable[..., Awaitable[Any]]]] = {
    function.name: function.handler for function in FUNCTIONS
}

# Instances that read all settings anew with each call: that they are cached is tested by itself
UNCACHED = Limits(
    config=ConfigLimits(fresh_s=0.0, stale_s=0.0), features=SettingsLimits(fresh_s=0.0, stale_s=0.0)
)


class Instance:
    """The functions' own parts, as one instance has them."""

    def __init__(
        self, suite: Suite, project: str, limits: Limits | None = None, **environ: str
    ) -> None:
        environment = {**suite.environment(), "GCLOUD_PROJECT": project, **environ}
        # the Admin SDK looks there itself
        os.environ.setdefault(AUTH_EMULATOR, environment[AUTH_EMULATOR])
        self.app = App(environment, limits=limits)

    async def call(self, name: str, data: Any, uid: str = ADMIN) -> Any:
        """The result of a callable. Raises CallableError."""
        return await HANDLERS[name](self.app)(call_of(data, uid))

    async def refusal(self, name: str, data: Any, uid: str = ADMIN) -> CallableError:
        with pytest.raises(CallableError) as refused:
            await self.call(name, data, uid)
        refused.value.to_wire("0" * 32)
        json.dumps(refused.value.details, allow_nan=False)
        return refused.value

    def begin(self, name: str, data: Any, uid: str = ADMIN) -> "Streaming":
        """Begin a streamed call."""
        call = call_of(data, uid, streaming=True)
        return Streaming(call, asyncio.ensure_future(HANDLERS[name](self.app)(call)))

    async def frames(self, name: str, data: Any, uid: str = ADMIN) -> tuple[list[Any], Any]:
        """Return the messages of a streamed call, and its result."""
        streaming = self.begin(name, data, uid)
        result = await streaming.task
        return streaming.messages, result

    async def save(self, feature: str, settings: Any, revision: int = 0, **more: Any) -> Any:
        """Save these settings, and no others."""
        data = {"feature": feature, "settings": settings, "revision": revision, "replace": True}
        data |= more
        return await self.call("save_feature_settings", data)

    async def ask(self, feature: str, uid: str = "user", **more: Any) -> Any:
        return await self.call("execute_prompt", {"feature": feature, "prompt": "Hi", **more}, uid)

    async def set_key(self, key: str, uid: str = ADMIN, **place: Any) -> dict[str, Any]:
        return await self.app.admin.keys.set_key(call_of({"key": key, **place}, uid))

    async def remove_key(self, uid: str = ADMIN, **place: Any) -> dict[str, Any]:
        return await self.app.admin.keys.remove_key(call_of(place or None, uid))

    async def check_key(self, **data: Any) -> dict[str, Any]:
        return await self.app.admin.key_check.test(call_of(data, ADMIN))

    async def serving_key(self, feature: str | None = None) -> str:
        """Return the key that this feature's requests go with."""
        return (await self.app.keys.pool.slot(feature).get()).reveal()

    def commits(self, send: Send) -> None:
        """Send every commit through `send(commit, ...)`."""
        send_commits(self.app.firestore, send)


class Streaming:
    """A streamed call that runs: what has come of it so far, and the task of its result."""

    def __init__(self, call: Call[Caller], task: "asyncio.Future[Any]") -> None:
        self.call = call
        self.task = task
        self._messages: list[dict[str, Any]] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All that came until now. Raises what the call has failed with."""
        self._messages += [json.loads(frame)["message"] for frame in self.call.take() if frame]
        if self.task.done() and not self.task.cancelled():
            self.task.result()
        return self._messages

    @property
    def text(self) -> str:
        return "".join(one["delta"] for one in self.messages if one["type"] == "text")

    async def has_text(self) -> None:
        """Wait until some of its text has come."""
        await until(lambda: self.text)


class World:
    """One project: its instances and its documents."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.limits: Limits | None = None  # of instances that are not given others
        self.project = f"demo-world-{secrets.token_hex(4)}"
        self._instances: list[Instance] = []
        self.firestore = self.instance().app.firestore

    @cached_property
    def secrets(self) -> SecretStore:
        """Return the project's keys, as Secret Manager has them."""
        return SecretStore(self.suite, self.project)

    def instance(self, limits: Limits | None = None, **environ: str) -> Instance:
        """Return another instance: with these limits, and with these variables on top."""
        limits = limits or self.limits
        self._instances.append(Instance(self.suite, self.project, limits, **environ))
        return self._instances[-1]

    async def close(self) -> None:
        for instance in self._instances:
            await instance.app.background.drain()
            await instance.app.delivery.stops.close()
            await instance.app.openrouter.close()

    async def document(self, path: str) -> dict[str, Any]:
        """Empty where there is none."""
        return (await self.firestore.document(path).get()).to_dict() or {}

    async def upstream(self) -> list[dict[str, Any]]:
        """Return the requests that OpenRouter got from every project of the suite."""
        async with httpx.AsyncClient(trust_env=False) as http:
            asked = await http.get(f"{self.suite.openrouter_root}/sim/requests")
        return list(asked.json())

    async def requests(self, marker: str | None = None) -> list[dict[str, Any]]:
        """Return the requests with a marker in them, by default the project's name, oldest first.

        Each has its `body`, and what the stand-in says of it: `open`, `endedAt`, `tokensSent`, ...
        """
        wanted = marker or self.project
        return [one for one in await self.upstream() if wanted in json.dumps(one["body"])]

    async def sent_tokens(self, count: int, marker: str | None = None) -> None:
        """Wait until OpenRouter has sent so many tokens to the one such request."""

        async def enough() -> bool:
            requests = await self.requests(marker)
            return any(request["tokensSent"] >= count for request in requests)

        await until(enough)

    async def bodies(self, marker: str | None = None) -> list[dict[str, Any]]:
        """Return the bodies of `requests`."""
        return [request["body"] for request in await self.requests(marker)]

    async def embedded(self, marker: str) -> list[dict[str, Any]]:
        """Return the requests for embeddings with a marker in them, oldest first."""
        asked = [one for one in await self.upstream() if one["path"].endswith("/embeddings")]
        return [request for request in asked if marker in str(request["body"])]

    async def files(self, uid: str, folder: str = "uploads") -> dict[str, dict[str, Any]]:
        """Return what Cloud Storage holds in this folder of the user's, by path."""
        async with httpx.AsyncClient(trust_env=False) as http:
            prefix = {"prefix": f"users/{uid}/{folder}/"}
            listed = await http.get(f"{self._bucket}/o", params=prefix)
        return {item["name"]: item for item in listed.json().get("items", [])}

    async def content(self, path: str) -> bytes:
        """Return the bytes of a file in Cloud Storage."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(self._url(path), params={"alt": "media"})).content

    async def remove(self, path: str) -> None:
        """Remove a file from Cloud Storage."""
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.delete(self._url(path))

    @property
    def _bucket(self) -> str:
        return f"{self.suite.storage_url}/storage/v1/b/{BUCKET}"

    def _url(self, path: str) -> str:
        return f"{self._bucket}/o/{path.replace('/', '%2F')}"

    async def write(self, path: str, document: dict[str, Any]) -> None:
        await self.firestore.document(path).set(document)

    async def all(self, collection: str) -> dict[str, dict[str, Any]]:
        found = self.firestore.collection(collection).stream()
        return {snapshot.id: snapshot.to_dict() or {} async for snapshot in found}

    async def documents(self, parent: Any = None) -> list[dict[str, Any]]:
        """Every document there is."""
        found = []
        async for collection in (parent or self.firestore).collections():
            async for snapshot in collection.stream():
                found.append({"id": snapshot.id, **(snapshot.to_dict() or {})})
                found += await self.documents(snapshot.reference)
        return found

    async def app_check(self) -> str:
        """A token of an app of this project's."""
        asked = {"projectId": self.project, "audience": [f"projects/{self.project}"]}
        async with httpx.AsyncClient(trust_env=False) as http:
            issued = await http.post(f"http://{self.suite.app_check_host}/token", json=asked)
        return str(issued.json()["token"])

    async def revisions(self, feature: str) -> dict[int, dict[str, Any]]:
        found = await self.all(f"features/{feature}/revisions")
        return {int(id_): found[id_] for id_ in sorted(found, key=int)}

    async def audit(self) -> list[dict[str, Any]]:
        return sorted((await self.all("audit")).values(), key=lambda entry: entry["at"])


@asynccontextmanager
async def new_world(suite: Suite, *, key: bool = True) -> AsyncIterator[World]:
    """key: whether OpenRouter can be asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
        world = World(suite)
        if key:
            host = suite.secret_manager_host
            await asyncio.to_thread(store_key, host, world.project, LOCAL_KEY)
        try:
            yield world
        finally:
            await world.close()
