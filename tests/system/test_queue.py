"""Answers that need no listener, on the way they really go: queued, delivered, followed.

The functions emulator's own task queue delivers to the functions emulator; the callables are served
apart, so that a hang-up reaches them.
"""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient, FieldFilter

from scripts.devtools.callable_client import CallableClient, id_token
from scripts.devtools.seed import create_documents
from scripts.devtools.suite import PROJECT, REGION, Suite
from tests.support.eventually import until
from tests.support.serve import serving

EVENTUALLY_S = 30.0
MODELS = ("fast", "slow", "ticks")


@pytest.fixture(scope="module")
def url(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `execute_prompt` is served."""
    documents = {}
    for model in MODELS:
        settings = {"model": f"sim/{model}", "onDisconnect": "continue", "titles": "beginning"}
        document = {"enabled": True, "revision": 1, "settings": settings}
        documents[f"features/go-on-{model}"] = document
    create_documents(suite.firestore_host, suite.project, documents)
    with serving(suite, tmp_path_factory.mktemp("queue")) as serve:
        yield serve("execute_prompt").url


class Person:
    """One user, whose calls go to the served function, and whose stops to the emulator's."""

    def __init__(self, suite: Suite, url: str, firestore: AsyncClient, app_check: str) -> None:
        self.uid = f"person-{secrets.token_hex(4)}"
        token = id_token(suite.project, self.uid)
        self.asks = CallableClient(url, token, app_check)
        self.stops = CallableClient(suite.functions_url, token, app_check)
        self._suite = suite
        self._firestore = firestore

    def data(self, model: str, **more: Any) -> dict[str, Any]:
        return {"feature": f"go-on-{model}", "prompt": f"for {self.uid}", **more}

    async def ask_and_leave(self, model: str, **more: Any) -> str:
        """Leaves at the first frame; the generation's id."""
        stream = self.asks.stream("", self.data(model, **more))
        async for _, message in stream:
            await stream.aclose()  # type: ignore[attr-defined]
            return str(message["generationId"])
        raise AssertionError("no frame")

    async def entries(self) -> list[dict[str, Any]]:
        query = self._firestore.collection("generations")
        mine = query.where(filter=FieldFilter("uid", "==", self.uid))
        return [snapshot.to_dict() or {} for snapshot in await mine.get()]

    async def ended(self) -> dict[str, Any]:
        """The one entry, once it has ended, and what it held was given back."""

        async def has_ended() -> dict[str, Any]:
            (entry,) = await self.entries()
            return {} if entry["status"] == "running" else entry

        entry: dict[str, Any] = await until(has_ended)
        window = self._firestore.document("quotas", self.uid, "windows", "concurrent")
        assert ((await window.get()).to_dict() or {})["count"] == 0
        return entry

    async def upstream(self) -> list[dict[str, Any]]:
        """What the OpenRouter stand-in saw of this user."""
        async with httpx.AsyncClient(trust_env=False) as http:
            seen = (await http.get(f"{self._suite.openrouter_root}/sim/requests")).json()
        return [r for r in seen if f"for {self.uid}" in str(r["body"])]

    async def message(self, entry: dict[str, Any]) -> dict[str, Any]:
        place = entry["place"]
        path = f"users/{self.uid}/conversations/{place['conversationId']}"
        message = self._firestore.document(f"{path}/messages/{place['messageId']}")
        return (await message.get()).to_dict() or {}


@pytest.fixture
async def person(suite: Suite, url: str, firestore: AsyncClient, app_check: str) -> Person:
    return Person(suite, url, firestore, app_check)


async def test_an_answer_comes_as_any_other(person: Person) -> None:
    frames = [f async for f in person.asks.stream("", person.data("ticks", requestId="r"))]
    messages = [message for kind, message in frames if kind == "message"]
    _, result = frames[-1]
    assert messages[0]["type"] == "start"
    assert len(messages) > 5, "it comes as it is written"
    assert "".join(m["delta"] for m in messages[1:]) == result["text"]
    assert result["finishReason"] == "stop"
    entry = await person.ended()
    assert entry["result"] == result
    assert len(await person.upstream()) == 1


async def test_who_leaves_finds_it_finished(person: Person) -> None:
    id_ = await person.ask_and_leave("slow", conversationId="new")
    entry = await person.ended()
    assert entry["status"] == "done"
    assert (await person.message(entry))["text"] == entry["result"]["text"] != ""
    (request,) = await person.upstream()
    assert not request["closedByClient"]
    assert await person.asks.call("", {"resume": id_}) == entry["result"]


async def test_a_stop_from_another_device_ends_it(person: Person) -> None:
    id_ = await person.ask_and_leave("ticks", conversationId="new")

    async def some_text() -> bool:
        return any(request["tokensSent"] for request in await person.upstream())

    await until(some_text)
    stopped = await person.stops.call("stop_generation", {"generationId": id_})
    assert stopped["stopped"]
    entry = await person.ended()
    assert entry["status"] == "stopped"
    assert entry["result"]["text"].startswith("tick-1 ")
    (request,) = await person.upstream()
    assert request["closedByClient"]


async def test_two_calls_of_one_request_ask_once(person: Person) -> None:
    data = person.data("slow", requestId="twice")
    one, other = await asyncio.gather(person.asks.call("", data), person.asks.call("", data))
    assert one == other
    assert len(await person.upstream()) == 1
    assert (await person.ended())["status"] == "done"


async def test_a_task_that_comes_again_does_nothing(suite: Suite, person: Person) -> None:
    result = await person.asks.call("", person.data("fast"))
    function = f"{httpx.URL(suite.functions_url).join('/')}{PROJECT}/{REGION}/continuation"
    bodies: list[Any] = [{"data": {"generationId": result["generationId"]}}]
    bodies += [{"data": {"generationId": "../x"}}, {"data": 7}, []]
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        for body in bodies:
            answer = await http.post(function, json=body)
            assert (answer.status_code, answer.json()) == (200, {})
    assert len(await person.upstream()) == 1
