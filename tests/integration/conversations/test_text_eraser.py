"""A deleted conversation's texts are gone from the response cache and the ledger as well (M13)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import DELETE_FIELD

from firerouter.app.limits import Limits
from firerouter.conversations.limits import ConversationLimits
from firerouter.generation.cache import ResponseCache
from tests.support.conversations import FEATURE, talk
from tests.support.eventually import until
from tests.support.in_process import Instance, World

CACHING: dict[str, Any] = {**FEATURE, "cacheSeconds": 600}


@pytest.fixture
async def instance(world: World) -> Instance:
    instance = world.instance()
    await instance.save("talk", CACHING)
    return instance


async def delete(instance: Instance, result: dict[str, Any], uid: str = "user") -> None:
    await instance.call("delete_conversation", {"conversationId": result["conversationId"]}, uid)


async def says(world: World, text: str) -> list[str]:
    """Where any document holds this text."""
    return [str(document["id"]) for document in await world.documents() if text in str(document)]


async def test_what_was_cached_is_deleted_with_its_conversation(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "A secret", conversationId="new", requestId="r")
    kept = await talk(instance, "No secret", conversationId="new", requestId="s")
    entry = await world.document(f"generations/{first['generationId']}")
    cached = await world.all("responses")
    assert cached[entry["cacheId"]]["conversationId"] == first["conversationId"]
    assert cached[entry["cacheId"]]["uid"] == "user"
    await delete(instance, first)
    assert await says(world, "A secret") == []
    assert len(await world.all("responses")) == 1
    again = await talk(instance, "No secret")
    assert (again["cached"], again["text"]) == (True, kept["text"])
    entry = await world.document(f"generations/{first['generationId']}")
    assert (entry["status"], entry["result"]) == ("done", None)
    assert "cacheId" not in entry


async def test_a_shared_answer_goes_with_whichever_conversation_it_is_in(
    world: World, instance: Instance
) -> None:
    await instance.save("talk", {**CACHING, "cacheShared": True}, 1)
    await talk(instance, "Shared", "ann", conversationId="new")
    served = await talk(instance, "Shared", "bob", conversationId="new")
    assert served["cached"]
    await delete(instance, served, "bob")
    assert await world.all("responses") == {}, "bob's answer is the text of the cached one"
    anew = await talk(instance, "Shared", "ann", conversationId="new")
    assert not anew["cached"]
    await delete(instance, anew, "ann")
    assert await world.all("responses") == {}


async def test_a_deletion_that_was_cut_off_takes_the_cached_answer_the_next_time(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "A secret", conversationId="new", requestId="r")
    broken = world.instance(limits=Limits(conversations=ConversationLimits(change_s=0.3)))

    async def without_the_ledger(
        commit: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        if "/generations/" in str(kwargs.get("request") or args[0]):
            raise ServiceUnavailable("x")  # type: ignore[no-untyped-call]  # it ships no types
        return await commit(*args, **kwargs)

    broken.commits(without_the_ledger)
    data = {"conversationId": first["conversationId"]}
    assert (await broken.refusal("delete_conversation", data, "user")).retryable
    assert len(await world.all("responses")) == 1
    await delete(instance, first)
    assert await says(world, "A secret") == []


async def test_an_instance_killed_before_its_entry_named_the_answer_leaves_nothing(
    world: World, instance: Instance
) -> None:
    first = await talk(instance, "A secret", conversationId="new")
    entry = world.firestore.document(f"generations/{first['generationId']}")
    await entry.update({"cacheId": DELETE_FIELD})
    await delete(instance, first)
    assert await world.all("responses") == {}


@pytest.mark.parametrize("where", ["before it is cached", "after it is cached"])
async def test_an_answer_that_ends_while_its_conversation_is_deleted_leaves_nothing(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It is in its conversation by then, and in the ledger it is not yet."""
    first = await talk(instance, "One", conversationId="new")
    id_ = first["conversationId"]
    put = ResponseCache.put

    async def meanwhile(self: ResponseCache, *args: Any) -> None:
        async def stored() -> bool:
            return len(await world.all(f"users/user/conversations/{id_}/messages")) == 4

        await until(stored)
        if where == "after it is cached":
            await put(self, *args)
        await delete(world.instance(), first)
        if where == "before it is cached":
            await put(self, *args)

    monkeypatch.setattr(ResponseCache, "put", meanwhile)
    second = await talk(instance, "A secret", conversationId=id_, requestId="r")
    assert second["text"]
    assert await says(world, "A secret") == []
    assert len(await world.all("responses")) == 0
    entry = await world.document(f"generations/{second['generationId']}")
    assert (entry["status"], entry["result"], entry["textsErased"]) == ("done", None, True)
    again = {"feature": "talk", "prompt": "A secret", "conversationId": id_, "requestId": "r"}
    refused = await instance.refusal("execute_prompt", again, "user")
    assert refused.reason == "conversation_unknown"
