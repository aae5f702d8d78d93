"""What each call takes: documents in an instance of this process, CPU and bytes in a served one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from google.cloud.firestore_v1.types import CommitRequest

from firerouter.app.bootstrap import App
from firerouter.app.callables import FUNCTIONS
from firerouter.callable import Call, CallableError
from firerouter.firestore import generated_client
from firerouter.users import Caller
from scripts.benchmarks.proc_stats import cpu_s, machine
from scripts.devtools.callable_client import id_token
from scripts.devtools.cli_errors import Problem
from scripts.devtools.function_server import FunctionServer
from scripts.devtools.suite import Suite
from scripts.trials.project import prepare_project, serve
from scripts.worst_day.worst_case import OVER_CAP, STRANGER, TOO_OFTEN, Taken

PROJECT: Final = "demo-worst-day"
KEY: Final = "sk-or-v1-worst-day-00000000000000000000"
USERS: Final = 10  # each below every pace
CALLS_EACH: Final = 5
REFUSALS: Final = 1_000
READERS: Final = 2  # of each call that needs a long conversation
MESSAGES: Final = 1_000  # of a conversation that is exported: the smallest there are
BILLED: Final = ("found", "missing", "document", "result")  # in an answer, as a document
APP: Final = {"freeModelsOnly": False}
FEATURES: Final = {
    "chat": {"model": "sim/fast"},
    "embedding": {"model": "sim/vectors", "kind": "embedding"},
}


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that is measured: of the users with a long conversation, or of others."""

    function: str
    variant: str
    data: Callable[[int], Any]
    has_messages: bool = False

    @property
    def users(self) -> list[str]:
        """Return users of its own: what a call counts as is charged to them."""
        count = READERS if self.has_messages else USERS
        name = f"{self.function}-{self.variant}".replace(" ", "-")
        return [f"{name}-{number}" for number in range(count)]


ASK: Final = {"feature": "chat", "prompt": "Hi"}
PROBES: Final = (
    Probe("execute_prompt", "stateless", lambda _: ASK),
    Probe("execute_prompt", "a new conversation", lambda _: {**ASK, "conversationId": "new"}),
    Probe(
        "create_embeddings",
        "256 texts",
        lambda _: {"feature": "embedding", "input": ["Hi"] * 256},
    ),
    Probe("get_available_models", "200 models", lambda _: {"pageSize": 200}),
    Probe("get_allowance", "all limits", lambda _: {}),
    Probe("list_features", "all", lambda _: {}),
    Probe("stop_generation", "an unknown request", lambda n: {"requestId": f"unknown-{n}"}),
    Probe("set_preferences", "no model", lambda _: {"feature": "chat", "model": None}),
    Probe(
        "update_conversation",
        "another title",
        lambda n: {"conversationId": "c" * 33, "title": f"Title {n}"},
        has_messages=True,
    ),
    Probe("delete_conversation", "an unknown one", lambda n: {"conversationId": f"{n:033}"}),
    Probe(
        "create_upload",
        "a text",
        lambda _: {"contentType": "text/plain", "bytes": 10},
    ),
    Probe(
        "export_conversation",
        "1,000 messages as JSON",
        lambda _: {"conversationId": "c" * 33, "format": "json"},
        has_messages=True,
    ),
    Probe(
        "export_conversation",
        "1,000 messages as Markdown",
        lambda _: {"conversationId": "c" * 33, "format": "markdown"},
        has_messages=True,
    ),
    Probe("export_my_data", "1,000 messages", lambda _: {}, has_messages=True),
    Probe("erase_my_data", "nothing left", lambda _: {"confirm": True}),
)


class Counter:
    """Counts the documents that an instance reads, writes and deletes, as Firestore bills them."""

    def __init__(self, app: App) -> None:
        self.reads = self.writes = self.deletes = 0
        api: Any = generated_client(app.firestore)
        for name in ("batch_get_documents", "run_query", "run_aggregation_query"):
            setattr(api, name, self._reading(getattr(api, name)))
        api.commit = self._writing(api.commit)

    def reset(self) -> None:
        self.reads = self.writes = self.deletes = 0

    def _reading(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            return self._stream(await call(*args, **kwargs))

        return counted

    async def _stream(self, answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
        found = 0
        async for answer in answers:
            if any(getattr(answer, name, None) for name in BILLED):
                found += 1
                self.reads += 1
            yield answer
        if not found:
            self.reads += 1  # a query without results is billed as one

    def _writing(self, commit: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(*args: Any, **kwargs: Any) -> Any:
            request: Any = kwargs["request"]
            is_plain = isinstance(request, dict)
            writes = request["writes"] if is_plain else CommitRequest.pb(request).writes
            deleted = sum(bool(write.delete) for write in writes)
            self.deletes += deleted
            self.writes += len(writes) - deleted
            return await commit(*args, **kwargs)

        return counted


async def measure(suite: Suite, logs: Path) -> tuple[str, list[Taken]]:
    """Return the machine, and what each call takes."""
    on = machine()
    token = await asyncio.to_thread(
        prepare_project, suite, PROJECT, key=KEY, app=APP, features=FEATURES
    )
    app = App({**suite.environment(), "GCLOUD_PROJECT": PROJECT})
    counter = Counter(app)
    found = []
    for uid in ("warm-up", *(uid for one in PROBES if one.has_messages for uid in one.users)):
        await _write_conversation(app, uid)
    server = await asyncio.to_thread(
        serve, suite, PROJECT, "api", log=logs / "api.log", queue="127.0.0.1:1"
    )
    try:
        await asyncio.to_thread(server.wait_until_healthy)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            served = Served(http, server, token)
            for probe in PROBES:
                taken = await _documents(app, counter, probe)
                cpu_ms, sent = await served.of(probe, taken.units)
                found.append(replace(taken, cpu_ms=round(cpu_ms, 2), sent_bytes=round(sent)))
            found += await served.refusals()
            found.append(await _over_cap(app, counter))
    finally:
        await asyncio.to_thread(server.stop)
        await app.background.drain()
        await app.delivery.stops.close()
        await app.openrouter.close()
    return on, found


async def _write_conversation(app: App, uid: str) -> None:
    conversation = app.firestore.document(f"users/{uid}/conversations/{'c' * 33}")
    now = datetime.now(UTC)
    last = ""
    for begin in range(0, MESSAGES, 400):
        batch = app.firestore.batch()
        for number in range(begin, min(begin + 400, MESSAGES)):
            message: dict[str, Any] = {
                "role": "user" if number % 2 == 0 else "assistant",
                "text": "x",
                "createdAt": now + timedelta(milliseconds=number),
            }
            if last:
                message["parent"] = last
            last = f"{number:033}"
            batch.set(conversation.collection("messages").document(last), message)
        await batch.commit()
    await conversation.set({"title": "Title", "leaf": last, "createdAt": now, "updatedAt": now})


def _call(data: Any, uid: str) -> Call[Caller]:
    return Call(data, {}, caller=Caller(uid), streaming=False, trace_id="0" * 32)


async def _documents(app: App, counter: Counter, probe: Probe) -> Taken:
    """Return the documents of one call, and as how many it counts, once everything is warm."""
    (row,) = (row for row in FUNCTIONS if row.name == probe.function)
    units = 1
    first = "warm-up" if probe.has_messages else "another"
    for turn, uid in enumerate((first, first, probe.users[0])):
        counter.reset()
        call = _call(probe.data(turn), uid)
        try:
            await row.handler(app)(call)
        except CallableError as error:
            if error.reason not in {"generation_unknown", "conversation_unknown"}:
                raise
        units = call.units
        await app.background.drain()
    documents = (counter.reads, counter.writes, counter.deletes)
    return Taken(probe.function, probe.variant, *documents, 0, 0, units)


async def _over_cap(app: App, counter: Counter) -> Taken:
    """Return what a call takes that the ledger has refused before, documents only."""
    (row,) = (row for row in FUNCTIONS if row.name == "execute_prompt")
    refused = 0
    while refused < 3:
        counter.reset()
        try:
            await row.handler(app)(_call(ASK, "eager"))
        except CallableError:
            refused += 1
    await app.background.drain()
    return Taken(OVER_CAP, "", counter.reads, counter.writes, counter.deletes, 0, 0)


class Served:
    """An instance of `api` in a process of its own."""

    def __init__(self, http: httpx.AsyncClient, server: FunctionServer, token: str) -> None:
        self._http = http
        self._server = server
        self._token = token

    async def of(self, probe: Probe, units: float) -> tuple[float, float]:
        """Return the CPU in ms and the bytes of one call."""
        data = {"endpoint": probe.function}
        await self._send({**data, **probe.data(0)}, "warm-up" if probe.has_messages else "another")
        before, sent, calls = cpu_s(self._server.worker_pid), 0, 0
        for turn in range(1 if units > 1 else CALLS_EACH):
            sizes = await asyncio.gather(
                *(self._send({**data, **probe.data(turn + 10)}, user) for user in probe.users)
            )
            sent += sum(sizes)
            calls += len(sizes)
        return (cpu_s(self._server.worker_pid) - before) * 1000 / calls, sent / calls

    async def refusals(self) -> list[Taken]:
        """Return what a call takes of somebody who calls too often, and of a stranger."""
        found = []
        for name, id_ in ((TOO_OFTEN, id_token(PROJECT, "flood")), (STRANGER, "x.y.z")):
            for _ in range(400):
                await self._post({"endpoint": "list_features"}, id_)
            before, sent = cpu_s(self._server.worker_pid), 0
            for _ in range(REFUSALS):
                sent += await self._post({"endpoint": "list_features"}, id_)
            cpu_ms = (cpu_s(self._server.worker_pid) - before) * 1000 / REFUSALS
            found.append(Taken(name, "", 0, 0, 0, cpu_ms, sent / REFUSALS))
        return found

    async def _send(self, data: Any, uid: str) -> int:
        return await self._post(data, id_token(PROJECT, uid), wanted=False)

    async def _post(self, data: Any, id_: str, *, wanted: bool | None = None) -> int:
        """Send a call; wanted: whether it should be refused because there were too many."""
        headers = {"Authorization": f"Bearer {id_}", "X-Firebase-AppCheck": self._token}
        answer = await self._http.post(
            f"http://127.0.0.1:{self._server.port}/", json={"data": data}, headers=headers
        )
        head = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
        if wanted not in {None, b"quota_exceeded" in answer.content}:
            raise Problem(f"{data['endpoint']} was answered {answer.text[:300]}", "Measure again.")
        return len(answer.content) + head
