"""`temporary`: whatever a call is of, no text of it is anywhere afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from firerouter.delivery import ProgressLimits
from scripts.devtools.suite import BUCKET
from tests.support.files import inline
from tests.support.in_process import Instance, World

MARKER = "canary-said-in-passing"
CASES: dict[str, dict[str, Any]] = {
    "stateless": {},
    "asked again": {"requestId": "again"},
    "a new conversation": {"conversationId": "new"},
    "kept for others": {"feature": "kept"},
    "without a listener": {"feature": "goes_on", "requestId": "goes-on"},
    "in short": {"feature": "summarised", "conversationId": True},
    "gone on with": {"conversationId": True},
    "answered once more": {"conversationId": True, "regenerate": True},
    "with a file": {"attachments": [inline(MARKER.encode(), "text/plain", name=f"{MARKER}.txt")]},
    "failed": {"feature": "fails"},
    "cut": {"feature": "is_cut", "conversationId": True},
    "JSON": {"responseFormat": {"type": "json_object"}},
}
FEATURES: dict[str, dict[str, Any]] = {
    "talk": {"model": "sim/fast"},
    "kept": {"model": "sim/fast", "cacheSeconds": 600, "cacheShared": True},
    "goes_on": {"model": "sim/fast", "onDisconnect": "continue"},
    "summarised": {"model": "sim/fast", "history": "summarised"},
    "fails": {"model": "sim/500"},
    "is_cut": {"model": "sim/cut-mid-stream"},
    "ticks": {"model": "sim/ticks", "maxTokens": 200},
}


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    for name, settings in FEATURES.items():
        await instance.save(name, settings)
    return instance


async def everything(world: World) -> AsyncIterator[str]:
    """Every document of the project as text, in whichever collection, and the names of all files
    and what is in them."""
    ahead = [collection async for collection in world.firestore.collections()]
    while ahead:
        async for reference in ahead.pop().list_documents():
            document = (await reference.get()).to_dict() or {}
            yield json.dumps({reference.path: document}, default=str)
            ahead += [collection async for collection in reference.collections()]
    bucket = f"{world.suite.storage_url}/storage/v1/b/{BUCKET}/o"
    async with httpx.AsyncClient(trust_env=False) as http:
        for item in (await http.get(bucket)).json().get("items", []):
            url = f"{bucket}/{item['name'].replace('/', '%2F')}"
            yield json.dumps(item) + (await http.get(url, params={"alt": "media"})).text


async def found(world: World, marker: str) -> list[str]:
    return [text[:300] async for text in everything(world) if marker in text]


async def test_the_look_finds_what_is_not_temporary(world: World, instance: Instance) -> None:
    marker = f"said for good in {world.project}"
    file = inline(marker.encode(), "text/plain", name="a.txt")
    await instance.ask("talk", prompt=marker, conversationId="new", attachments=[file])
    assert len(await found(world, marker)) >= 6, "entry, head, two messages, transcript, file"


@pytest.mark.parametrize("case", CASES)
async def test_nothing_said_in_passing_is_anywhere(
    world: World, instance: Instance, case: str
) -> None:
    data = {"feature": "talk", "prompt": MARKER, "temporary": True, **CASES[case]}
    if data.get("conversationId") is True:
        before = await instance.ask("talk", prompt="Before", conversationId="new")
        data["conversationId"] = before["conversationId"]
        if data.get("regenerate"):
            data |= {"regenerate": before["messageId"], "prompt": None}
    data = {name: value for name, value in data.items() if value is not None}
    asking = instance.call("execute_prompt", data, "user")
    if case in ("failed", "cut"):
        await asyncio.gather(asking, return_exceptions=True)
    else:
        assert (await asking)["text"]
    if "regenerate" in data:
        conversation = f"users/user/conversations/{data['conversationId']}"
        assert len(await world.all(f"{conversation}/messages")) == 2
    assert await found(world, MARKER) == []


async def test_nor_of_one_that_is_stopped_half_way(world: World, instance: Instance) -> None:
    data = {"feature": "ticks", "prompt": MARKER, "temporary": True, "requestId": "r"}
    asking = asyncio.create_task(instance.call("execute_prompt", data, "user"))
    # a hundred tokens in ten seconds: longer than progress would wait
    await world.sent_tokens(10 * int(ProgressLimits().after_s + 1), MARKER)
    assert await found(world, "tick-1 ") == []
    await instance.call("stop_generation", {"requestId": "r"}, "user")
    assert (await asking)["text"].startswith("tick-1 ")
    assert await found(world, MARKER) == await found(world, "tick-1 ") == []
