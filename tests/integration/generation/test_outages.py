"""Services of Google's that fail while a prompt is answered: what its user gets, what is billed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from firerouter.app.limits import Limits
from firerouter.conversations.limits import ConversationLimits
from firerouter.generation.limits import GenerationLimits
from firerouter.ledger.limits import LedgerLimits
from scripts.devtools.suite import Suite
from tests.support.conversations import messages
from tests.support.eventually import EVENTUALLY_S
from tests.support.faulty_firestore import FirestoreProxy, connect_now, firestore_proxy
from tests.support.in_process import Instance, World

TOKENS = 20  # of `sim/paid-ticks`, two seconds
LIMITS = Limits(
    ledger=LedgerLimits(admit_s=1.0, note_s=0.5, lease_renewal_s=0.3, settle_before_result_s=0.5),
    generation=GenerationLimits(question_wait_s=0.2),
    conversations=ConversationLimits(answer_s=0.5),
)
FEATURE = {"model": "sim/paid-ticks", "maxTokens": TOKENS, "titles": "beginning"}


@pytest.fixture
async def proxy(suite: Suite) -> AsyncIterator[FirestoreProxy]:
    async with firestore_proxy(suite.firestore_host) as proxy:
        yield proxy


@pytest.fixture
async def instance(
    world: World, proxy: FirestoreProxy, monkeypatch: pytest.MonkeyPatch
) -> Instance:
    """An instance that reaches Firestore by the proxy, and has answered before."""
    await world.write("config/app", {"freeModelsOnly": False})
    await world.instance().save("slow", FEATURE)
    instance = world.instance(LIMITS)
    with monkeypatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", proxy.host)
        connect_now(instance.app.firestore)
    await instance.ask("slow", prompt="warm")
    await instance.app.background.drain()
    return instance


async def concurrent(world: World) -> int:
    count: int = (await world.document("quotas/user/windows/concurrent"))["count"]
    return count


async def test_while_firestore_is_away_nothing_is_begun(
    world: World, proxy: FirestoreProxy, instance: Instance, capfd: pytest.CaptureFixture[str]
) -> None:
    await proxy.stop()
    data = {"feature": "slow", "prompt": f"Never sent, {world.project}"}
    refused = await instance.refusal("execute_prompt", data, "user")
    assert (refused.reason, refused.retryable) == ("ledger_unavailable", True)
    await proxy.start()
    await instance.app.background.drain()
    assert await world.bodies() == []
    assert await concurrent(world) == 0
    assert "admit_failed" in capfd.readouterr().out


@pytest.mark.parametrize("fails", ["silent", "down"])
async def test_an_answer_reaches_its_user_though_firestore_fails_and_is_stored_afterwards(
    world: World,
    proxy: FirestoreProxy,
    instance: Instance,
    capfd: pytest.CaptureFixture[str],
    fails: str,
) -> None:
    prompt = f"Go on, {world.project}"
    data = {"feature": "slow", "prompt": prompt, "conversationId": "new"}
    running = instance.begin("execute_prompt", data, "user")
    await running.has_text()
    if fails == "silent":
        proxy.hold()
    else:
        await proxy.stop()
    result = await asyncio.wait_for(running.task, EVENTUALLY_S)
    assert result["usage"]["completionTokens"] == TOKENS
    assert result["usage"]["cost"] > 0
    entry = await world.document(f"generations/{result['generationId']}")
    assert entry["status"] == "running", "nobody could settle it yet"
    if fails == "silent":
        proxy.release()
    else:
        await proxy.start()
    await instance.app.background.drain()
    entry = await world.document(f"generations/{result['generationId']}")
    assert (entry["status"], entry["costIsEstimate"]) == ("done", False)
    assert entry["costNanoUsd"] == round(result["usage"]["cost"] * 10**9)
    assert await concurrent(world) == 0
    assert len(await world.bodies()) == 1, "it was asked once"
    stored = await messages(world, result["conversationId"])
    assert [one["text"] for one in stored.values() if one["role"] == "assistant"] == [
        result["text"]
    ]
    logged = capfd.readouterr().out
    assert "lease_not_renewed" in logged
    assert "message_not_kept" in logged


async def test_while_secret_manager_is_away_nothing_is_sent_and_nothing_held(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    await world.instance().save("chatty", {"model": "sim/fast"})
    away = world.instance(SECRET_MANAGER_EMULATOR_HOST="127.0.0.1:9")
    data = {"feature": "chatty", "prompt": f"Never sent, {world.project}"}
    refused = await away.refusal("execute_prompt", data, "user")
    assert (refused.reason, refused.retryable) == ("key_unavailable", True)
    assert await world.bodies() == []
    assert await world.all("generations") == {}
    assert "key_unavailable" in capfd.readouterr().out
