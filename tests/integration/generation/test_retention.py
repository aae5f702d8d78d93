"""How long what is kept, as admins set it; and that no texts are, where they do not want them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from firerouter.ledger import Retention
from firerouter.ledger.ids import generation_id
from tests.support.eventually import until
from tests.support.in_process import Instance, World

CANARY = "canary-of-a-prompt"
UID = "user"
FEATURES: dict[str, dict[str, Any]] = {
    "talk": {"model": "sim/fast", "allowedModels": ["sim/one-packet"]},
    "kept": {"model": "sim/fast", "cacheSeconds": 20 * 86_400, "cacheShared": True},
    "goes_on": {"model": "sim/fast", "onDisconnect": "continue"},
    "vectors": {"kind": "embedding", "model": "sim/vectors"},
    "fails": {"model": "sim/500"},
    "is_cut": {"model": "sim/cut-mid-stream"},
    "ticks": {"model": "sim/ticks", "maxTokens": 200},
}


async def keeping(world: World, **retention: Any) -> Instance:
    """Return an instance of an app that keeps things like this."""
    instance = world.instance()
    for name, settings in FEATURES.items():
        await instance.save(name, settings)
    data = {"settings": {"retention": retention}, "revision": 0}
    saved = await instance.call("save_app_settings", data)
    assert saved["settings"]["retention"] == {
        **Retention().model_dump(by_alias=True),
        **retention,
    }
    return instance


async def entry(world: World, request_id: str = "r") -> dict[str, Any]:
    return await world.document(f"generations/{generation_id(UID, request_id)}")


def days(document: dict[str, Any], field: str, since: str) -> int:
    span: timedelta = document[field] - document[since]
    return round(span / timedelta(days=1))


# -- how long --------------------------------------------------------------------------------------


async def test_by_default_all_is_kept_as_long_as_ever(world: World) -> None:
    instance = await keeping(world)
    await instance.ask("kept", UID, requestId="r")
    stored = await entry(world)
    assert days(stored, "expireAt", "createdAt") == 90
    assert "resultExpireAt" not in stored
    (answer,) = (await world.all("responses")).values()
    assert answer["expireAt"] - datetime.now(UTC) > timedelta(days=19)


async def test_new_documents_are_kept_as_an_admin_set_it(world: World) -> None:
    instance = await keeping(world, entryDays=30, resultDays=2, cacheDays=5)
    await instance.ask("kept", UID, requestId="r")
    stored = await entry(world)
    assert days(stored, "expireAt", "createdAt") == 30
    assert days(stored, "resultExpireAt", "endedAt") == 2
    (answer,) = (await world.all("responses")).values()
    assert timedelta(days=4) < answer["expireAt"] - datetime.now(UTC) < timedelta(days=6)


async def test_a_result_is_removed_when_its_time_is_over(world: World) -> None:
    instance = await keeping(world, resultDays=1)
    for request in ("old", "new"):
        await instance.ask("talk", UID, requestId=request)
    yesterday = datetime.now(UTC) - timedelta(seconds=1)
    old = world.firestore.document(f"generations/{generation_id(UID, 'old')}")
    await old.update({"resultExpireAt": yesterday})
    await instance.app.generation.reconciler.run()
    gone, stays = await entry(world, "old"), await entry(world, "new")
    assert gone["result"] is None
    assert "resultExpireAt" not in gone
    assert gone["costNanoUsd"] == stays["costNanoUsd"]
    assert stays["result"]["text"]
    again = {"feature": "talk", "prompt": "Hi", "requestId": "old"}
    assert (await instance.refusal("execute_prompt", again, UID)).reason == "result_not_kept"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entryDays", 6),
        ("entryDays", 3_651),
        ("resultDays", 0),
        ("cacheDays", 31),
        ("cacheDays", 0),
    ],
)
async def test_out_of_its_bounds_a_time_is_refused(world: World, field: str, value: int) -> None:
    data = {"settings": {"retention": {field: value}}, "revision": 0}
    refused = await world.instance().refusal("save_app_settings", data)
    assert refused.reason == "settings_refused"
    assert refused.details["errors"][0]["field"] == f"retention.{field}"


async def test_what_was_set_and_is_not_given_stays(world: World) -> None:
    instance = await keeping(world, entryDays=30)
    data = {"settings": {"retention": {"storeTexts": False}}, "revision": 1}
    saved = await instance.call("save_app_settings", data)
    assert saved["settings"]["retention"]["entryDays"] == 30


# -- no texts --------------------------------------------------------------------------------------


async def stateless(instance: Instance, world: World) -> Any:
    return await instance.ask("talk", UID, prompt=CANARY, context=CANARY, requestId="r")


async def conversation(instance: Instance, world: World) -> Any:
    first = await instance.ask("talk", UID, prompt=CANARY, conversationId="new", context=CANARY)
    own = {"conversationId": first["conversationId"]}
    await instance.ask("talk", UID, prompt=CANARY, **own)
    again = {"feature": "talk", "regenerate": first["messageId"], **own}
    return await instance.call("execute_prompt", again, UID)


async def cached(instance: Instance, world: World) -> Any:
    for _ in range(2):
        answer = await instance.ask("kept", UID, prompt=CANARY)
        assert answer["cached"] is False
    return answer


async def comparison(instance: Instance, world: World) -> Any:
    data = {"feature": "talk", "prompt": CANARY, "models": ["sim/fast", "sim/one-packet"]}
    return await instance.call("execute_multi_model_prompt", data, UID)


async def embeddings(instance: Instance, world: World) -> Any:
    data = {"feature": "vectors", "input": [CANARY], "requestId": "r"}
    return await instance.call("create_embeddings", data, UID)


async def queued(instance: Instance, world: World) -> Any:
    return await instance.ask("goes_on", UID, prompt=CANARY, requestId="r")


async def failed(instance: Instance, world: World) -> Any:
    data = {"prompt": CANARY, "conversationId": "new"}
    return await asyncio.gather(
        instance.ask("fails", UID, **data),
        instance.ask("is_cut", UID, **data),
        return_exceptions=True,
    )


async def stopped(instance: Instance, world: World) -> Any:
    prompt = f"{CANARY} {world.project}"
    asking = asyncio.create_task(instance.ask("ticks", UID, prompt=prompt, requestId="r"))
    await world.sent_tokens(30)  # three seconds: longer than progress would wait
    await instance.call("stop_generation", {"requestId": "r"}, UID)
    return await asking


CALLS: tuple[Callable[[Instance, World], Awaitable[Any]], ...] = (
    stateless,
    conversation,
    cached,
    comparison,
    embeddings,
    queued,
    failed,
    stopped,
)


async def holding(world: World, text: str) -> list[str]:
    """Return the documents that have a text, but for the user's own conversations."""
    ahead = [collection async for collection in world.firestore.collections()]
    found = []
    while ahead:
        async for reference in ahead.pop().list_documents():
            if reference.path.startswith(f"users/{UID}/conversations/"):
                continue
            if text in str((await reference.get()).to_dict()):
                found.append(reference.path)
            ahead += [collection async for collection in reference.collections()]
    return found


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_no_text_is_kept_but_in_the_conversation(
    world: World, call: Callable[[Instance, World], Awaitable[Any]]
) -> None:
    instance = await keeping(world, storeTexts=False)
    await call(instance, world)
    assert await holding(world, CANARY) == []
    for kept in (await world.all("generations")).values():
        assert kept["status"] != "running"
        assert kept["result"] is None
    assert await world.all("responses") == {}


async def test_it_is_kept_otherwise(world: World) -> None:
    """What the other tests would not notice if the look missed something."""
    instance = await keeping(world)
    await stateless(instance, world)
    await instance.ask("kept", UID, prompt=CANARY)
    kinds = {path.split("/")[0] for path in await holding(world, CANARY)}
    assert kinds == {"generations", "responses"}


async def test_nor_while_it_runs(world: World) -> None:
    instance = await keeping(world, storeTexts=False)
    data = {"prompt": f"{CANARY} {world.project}", "requestId": "r", "conversationId": "new"}
    asking = asyncio.create_task(instance.ask("ticks", UID, **data))
    await world.sent_tokens(30)
    assert (await entry(world))["status"] == "running"
    assert await holding(world, CANARY) == await holding(world, "tick-1 ") == []
    await instance.call("stop_generation", {"requestId": "r"}, UID)
    said = await asking
    messages = f"users/{UID}/conversations/{said['conversationId']}/messages"
    assert len(await world.all(messages)) == 2


@pytest.mark.parametrize("feature", ["talk", "goes_on"])
async def test_the_same_request_again_is_told_that_nothing_is_kept(
    world: World, feature: str
) -> None:
    instance = await keeping(world, storeTexts=False)
    data = {"feature": feature, "prompt": CANARY, "requestId": "r"}
    await instance.call("execute_prompt", data, UID)
    refused = await instance.refusal("execute_prompt", data, UID)
    assert refused.reason == "result_not_kept"
    again = {"resume": generation_id(UID, "r")}
    assert (await instance.refusal("execute_prompt", again, UID)).reason == "result_not_kept"


async def test_what_was_cached_before_is_not_served(world: World) -> None:
    instance = await keeping(world)
    await instance.ask("kept", UID, prompt=CANARY)
    data = {"settings": {"retention": {"storeTexts": False}}, "revision": 0}
    await instance.call("save_app_settings", data)
    await until(lambda: not_stored(instance))
    assert (await instance.ask("kept", UID, prompt=CANARY))["cached"] is False


async def not_stored(instance: Instance) -> bool:
    return not (await instance.app.features.app_settings.get()).retention.store_texts


@pytest.mark.parametrize("retention", [{"storeTexts": "no"}, {"storeTexts": None}, "none", 7])
async def test_a_switch_that_was_typed_wrong_keeps_no_texts(world: World, retention: Any) -> None:
    instance = await keeping(world)
    await world.firestore.document("config/app").set({"retention": retention}, merge=True)
    await world.instance().ask("talk", UID, prompt=CANARY, requestId="r")
    assert instance is not None
    assert await holding(world, CANARY) == []
