"""Ids that are none, of nobody or of somebody else, in every field that takes one of any callable.

Over HTTP: through `api`, whose Firestore is behind a proxy that counts what passes, and through
each function in the emulator.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from google.cloud.firestore import FieldFilter

from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.ports import LOOPBACK
from scripts.devtools.suite import Suite
from tests.support.calls import ASK
from tests.support.over_http import Home, Person, new_home
from tests.support.serve import Serve, serving

ODD: list[Any] = ["", "a/b", "..", "__x__", "\0", "é", "x" * 1500, 7, ["x"]]
ODD_REQUESTS: list[Any] = ["", "a b", "\0", "é", "x" * 1500, 7, ["x"]]  # any ASCII is one
ODD_FEATURES: list[Any] = [*ODD, "f" * 65]
ODD_PATHS: list[Any] = ["", "a/b", "..", "users/../x", "\0", "x" * 1500, 7, ["x"]]
COMPARE, EMBED, STOP = "execute_multi_model_prompt", "create_embeddings", "stop_generation"
UPDATE, DELETE, EXPORT = "update_conversation", "delete_conversation", "export_conversation"
ID, HASH = "c" + "0" * 32, "0" * 32
TALK = {"feature": "talk"}
ASKED: dict[str, Any] = {**TALK, "prompt": "Hi"}
COMPARED = {**ASKED, "models": ["sim/fast", "sim/paid"]}
EMBEDDED = {"feature": "vectors", "input": "Hi"}

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]
Somebody = Callable[[], AbstractAsyncContextManager[Call]]
Field = tuple[str, dict[str, Any], str, list[Any]]
# callable, its other data, the field, what is no value of it
FIELDS: list[Field] = [
    (ASK, ASKED, "feature", ODD_FEATURES),
    (ASK, ASKED, "conversationId", ODD),
    (ASK, {**ASKED, "conversationId": ID}, "parentMessageId", ODD),
    (ASK, {**TALK, "conversationId": ID}, "regenerate", ODD),
    (ASK, {}, "resume", ODD),
    (ASK, ASKED, "requestId", ODD_REQUESTS),
    (ASK, ASKED, "attachments", [[{"path": path}] for path in ODD_PATHS]),
    (COMPARE, COMPARED, "feature", ODD_FEATURES),
    (COMPARE, COMPARED, "requestId", ODD_REQUESTS),
    (EMBED, EMBEDDED, "feature", ODD_FEATURES),
    (EMBED, EMBEDDED, "requestId", ODD_REQUESTS),
    (STOP, {}, "generationId", ODD),
    (STOP, {}, "comparisonId", ODD),
    (STOP, {}, "requestId", ODD_REQUESTS),
    (UPDATE, {"title": "Mine"}, "conversationId", ODD),
    (UPDATE, {"conversationId": ID}, "messageId", ODD),
    (DELETE, {}, "conversationId", ODD),
    (EXPORT, {}, "conversationId", ODD),
    ("set_preferences", {"model": None}, "feature", ODD_FEATURES),
    ("set_preferences", TALK, "model", ["", "..", "\0", "é", "x" * 1500, 7, ["x"]]),
    ("get_allowance", {}, "feature", ODD_FEATURES),
    ("export_my_data", {}, "pageToken", ["a/b", "..", "\0", "x" * 1500, 7]),
    ("get_available_models", {}, "pageToken", ["a/b", "..", "\0", "x" * 1500, 7]),
]
SETTINGS_READS_MAX_BYTES = 20_000  # some twenty of them
CALLABLES = sorted({name for name, *_ in FIELDS})
FEATURES: dict[str, dict[str, Any]] = {
    "talk": {"model": "sim/fast", "allowedModels": ["sim/paid"], "titles": "beginning"},
    "vectors": {"kind": "embedding", "model": "sim/vectors"},
}


class Counter:
    """A TCP proxy before Firestore: `bytes` is how many were sent there."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.bytes = 0
        self.host = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._upstream.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(self._pump(reader, back, 1), self._pump(there, writer, 0))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, counts: int
    ) -> None:
        try:
            while data := await source.read(65536):
                self.bytes += counts * len(data)
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # the process was ended
        finally:
            sink.close()


@pytest.fixture(scope="module")
def home(suite: Suite) -> Home:
    return new_home(suite, FEATURES)


@pytest.fixture(scope="module")
def url(suite: Suite, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(suite, tmp_path_factory.mktemp("ids")) as serve:
        yield serve("api", env=home.environment).url


@pytest.fixture
async def people(home: Home, url: str) -> AsyncIterator[tuple[Person, Person]]:
    async with home.person(url) as owner, home.person(url) as other:
        yield owner, other


async def refused(call: Any) -> CallableFailure:
    with pytest.raises(CallableFailure) as failure:
        await call
    return failure.value


async def refused_all(somebody: Somebody, name: str | None = None) -> int:
    """Each of the odd values, of one callable or of all. How many there were.

    somebody: A new user for each field, because one may only call so often.
    """
    count = 0
    for callable_, data, field, values in FIELDS:
        if name not in (None, callable_):
            continue
        async with somebody() as call:
            for value in values:
                failure = await refused(call(callable_, {**data, field: value}))
                where = (callable_, field, value, failure.details)
                assert failure.status == "INVALID_ARGUMENT", where
                assert failure.details["reason"] == "invalid_argument", where
                assert failure.details["field"].startswith(field), where
                count += 1
    return count


async def test_what_is_no_id_is_refused_at_the_door(suite: Suite, home: Home, serve: Serve) -> None:
    counter = Counter(suite.firestore_host)
    server = await asyncio.start_server(counter.accept, LOOPBACK, 0)
    counter.host = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    environment = {**home.environment, "FIRESTORE_EMULATOR_HOST": counter.host}
    served = await asyncio.to_thread(serve, "api", env=environment)

    @asynccontextmanager
    async def somebody() -> AsyncIterator[Call]:
        async with home.person(served.url) as one:
            yield lambda name, data: one.call(name, **data)

    async with home.person(served.url) as person:
        count = await refused_all(somebody)
        assert count > 150
        read = counter.bytes
        assert read < SETTINGS_READS_MAX_BYTES, "only the app's settings, now and then"
        await person.call(ASK, **ASKED)
        assert counter.bytes > read
    server.close()


@pytest.mark.parametrize("name", CALLABLES)
async def test_each_function_refuses_what_is_no_id(suite: Suite, app_check: str, name: str) -> None:
    @asynccontextmanager
    async def somebody() -> AsyncIterator[Call]:
        token = id_token(suite.project, f"odd{secrets.token_hex(6)}")
        async with CallableClient(suite.functions_url, token, app_check) as client:
            yield client.call

    assert await refused_all(somebody, name)


async def test_every_callable_that_takes_an_id_is_looked_at(people: tuple[Person, Person]) -> None:
    failure = await refused(people[0].call("no_such"))
    known = re.findall(r"[a-z]+(?:_[a-z]+)+", failure.message)
    assert {*known} - {"create_upload", "list_features", "erase_my_data"} == {*CALLABLES}


# -- of nobody, of somebody else -------------------------------------------------------------------


async def everything(person: Person) -> dict[str, Any]:
    """When each document was changed last that the person's calls can change, by its path."""
    changed: dict[str, Any] = {}

    async def look(documents: Any) -> None:
        async for found in documents:
            changed[found.reference.path] = found.update_time
            async for collection in found.reference.collections():
                await look(collection.stream())

    entries = person.firestore.collection("generations")
    await look(entries.where(filter=FieldFilter("uid", "==", person.uid)).stream())
    for top in ("users", "quotas"):
        async for collection in person.firestore.document(top, person.uid).collections():
            await look(collection.stream())
    return changed


def named(there: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any], str]]:
    """(callable, data, the reason it is refused for) with these ids in every field that takes one.

    there: an answer, maybe of somebody else's.
    """
    conversation, message = there["conversationId"], there["messageId"]
    generation = there["generationId"]
    here = {"conversationId": conversation}
    no_conversation, no_generation = "conversation_unknown", "generation_unknown"
    return [
        (ASK, {**ASKED, **here}, no_conversation),
        (ASK, {**ASKED, **here, "parentMessageId": message}, no_conversation),
        (ASK, {**TALK, **here, "regenerate": message}, no_conversation),
        (ASK, {"resume": generation}, no_generation),
        (ASK, {**ASKED, "attachments": [{"path": path}]}, "attachment_unknown"),
        (STOP, {"generationId": generation}, no_generation),
        (STOP, {"comparisonId": generation}, no_generation),
        (STOP, {"requestId": "mine"}, no_generation),
        (UPDATE, {**here, "title": "Mine"}, no_conversation),
        (UPDATE, {**here, "messageId": message}, no_conversation),
        (DELETE, here, no_conversation),
        (EXPORT, here, no_conversation),
    ]


async def test_a_strangers_are_as_good_as_none_and_nothing_changes(
    people: tuple[Person, Person],
) -> None:
    owner, other = people
    asked = {**ASKED, "prompt": owner.uid, "conversationId": "new", "requestId": "mine"}
    theirs = await owner.call(ASK, **asked)
    file = await owner.call("create_upload", contentType="image/png", bytes=8)
    mine = await other.call(ASK, **ASKED, conversationId="new")
    before = await everything(owner), await everything(other)
    none = {"conversationId": ID, "messageId": f"a{HASH}", "generationId": HASH}
    for there, path in (
        (theirs, file["path"]),
        (none, f"users/{other.uid}/uploads/{HASH}"),
    ):
        for name, data, reason in named(there, path):
            failure = await refused(other.call(name, **data))
            told = (failure.status, failure.details["reason"])
            assert told == ("NOT_FOUND", reason), (name, data)
    # a message of another conversation, in one's own
    own = {"conversationId": mine["conversationId"]}
    for message in (theirs["messageId"], none["messageId"]):
        for name, data in (
            (ASK, {**ASKED, **own, "parentMessageId": message}),
            (ASK, {**TALK, **own, "regenerate": message}),
            (UPDATE, {**own, "messageId": message}),
        ):
            failure = await refused(other.call(name, **data))
            told = (failure.status, failure.details["reason"])
            assert told == ("NOT_FOUND", "message_unknown"), (name, data)
    assert (await everything(owner), await everything(other)) == before
    assert len(await owner.upstream()) == 1
