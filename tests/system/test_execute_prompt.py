"""`execute_prompt` as an app calls it: answers, choices, repetition, limits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from google.cloud.firestore import AsyncClient

from firerouter import limits
from scripts.devtools.callable_client import CallableClient, CallableFailure, id_token
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.eventually import until
from tests.support.serve import Serve

CHAT = {"feature": "chat", "prompt": "Why is the sky blue?"}
FREE = "z-ai/glm-4.5-air:free"

ClientFor = Callable[[str], CallableClient]


@pytest.fixture
async def client_for(suite: Suite, serve: Serve, app_check: str) -> AsyncIterator[ClientFor]:
    """Clients of one served function, each as another user."""
    served = serve("execute_prompt")
    clients: list[CallableClient] = []

    def client_for(uid: str) -> CallableClient:
        clients.append(CallableClient(served.url, id_token(suite.project, uid), app_check))
        return clients[-1]

    yield client_for
    for client in clients:
        await client.aclose()


async def write_feature(firestore: AsyncClient, id_: str, **settings: Any) -> None:
    document = {"enabled": True, "revision": 7, "settings": settings}
    await firestore.collection("features").document(id_).set(document)


async def sent_upstream(suite: Suite, marker: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        requests = (await http.get(f"{suite.openrouter_root}/sim/requests")).json()
    return [request for request in requests if marker in str(request["body"])]


async def test_streams_an_answer_in_the_emulator_and_returns_it_whole(
    client: CallableClient,
) -> None:
    frames = [frame async for frame in client.stream("execute_prompt", CHAT)]
    messages = [value for kind, value in frames if kind == "message"]
    kind, result = frames[-1]
    assert kind == "result"
    assert messages[0] == {
        "type": "start",
        "generationId": result["generationId"],
        "model": FREE,
    }
    assert "".join(m["delta"] for m in messages if m["type"] == "text") == result["text"]
    assert len(messages) > 5
    assert result["feature"] == "chat"
    assert result["model"] == FREE
    assert result["finishReason"] == "stop"
    assert result["usage"]["totalTokens"] > 0
    assert result["usage"]["cost"] == 0
    assert result["cached"] is False
    assert result["attempts"] == [{"model": FREE}]
    assert 0 < result["timing"]["firstTokenMs"] <= result["timing"]["totalMs"]


async def test_answers_whole_through_the_emulator(client: CallableClient) -> None:
    result = await client.call("execute_prompt", CHAT)
    assert "simulated answer" in result["text"]


async def test_the_api_callable_reaches_the_user_callables_and_not_itself(
    client: CallableClient,
) -> None:
    result = await client.call("api", {"endpoint": "execute_prompt", **CHAT})
    assert result["text"]
    for endpoint in ("api", "test_openrouter_connection", "__class__", "nope"):
        with pytest.raises(CallableFailure) as refused:
            await client.call("api", {"endpoint": endpoint, **CHAT})
        assert refused.value.details["field"] == "endpoint"


async def test_an_admin_tests_the_stored_key_and_a_candidate(
    suite: Suite, admin: str, app_check: str
) -> None:
    name = "test_openrouter_connection"
    async with CallableClient(suite.functions_url, admin, app_check) as client:
        stored = await client.call(name, {})
        assert stored["valid"] is True
        assert stored["lastFour"] == "0000"
        assert stored["limitUsd"] is None or stored["limitRemainingUsd"] <= stored["limitUsd"]
        assert stored["latencyMs"] >= 0
        assert stored["usageUsd"] >= stored["usageTodayUsd"] >= 0
        refused = await client.call(name, {"key": "sk-or-v1-revoked-abcd"})
        assert refused["valid"] is False
        assert refused["reason"] == "key_invalid"
        assert refused["message"].startswith("OpenRouter doesn't accept this key. Check that you")
        assert refused["latencyMs"] >= 0
        management = await client.call(name, {"key": "sk-or-v1-management-abcd"})
        assert (management["valid"], management["reason"]) == (False, "management_key")
        for feature, reason in (("nosuch", "feature_unknown"), ("chat", "invalid_argument")):
            with pytest.raises(CallableFailure) as unknown:
                await client.call(name, {"feature": feature})
            assert unknown.value.details["reason"] == reason


async def test_a_plain_user_may_not_test_the_key(client: CallableClient) -> None:
    with pytest.raises(CallableFailure) as refused:
        await client.call("test_openrouter_connection", {})
    assert refused.value.status == "PERMISSION_DENIED"
    assert refused.value.details["reason"] == "not_admin"


async def test_the_admins_settings_and_the_callers_choices_make_the_request(
    suite: Suite, firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(
        firestore,
        "choices",
        model="sim/flaky-2",
        allowedModels=["sim/fast"],
        allowTemperature=True,
        systemPrompt="You speak {{language}}. {{7*7}} ${x} {x.__class__}",
        topP=0.5,
        maxTokens=64,
        parameters={"logit_bias": {"7": -1}},
    )
    await client_for("chooser").call(
        "",
        {
            "feature": "choices",
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
                {"role": "user", "content": "marker-choices"},
            ],
            "context": "Notes",
            "variables": {"language": "{{7*7}} French"},
            "model": "sim/fast",
            "temperature": 0.25,
        },
    )
    (request,) = await sent_upstream(suite, "marker-choices")
    assert len(request["body"].pop("user")) == 32
    assert request["body"] == {
        "model": "sim/fast",
        "messages": [
            {
                "role": "system",
                "content": "You speak {{7*7}} French. {{7*7}} ${x} {x.__class__}",
            },
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Notes\n\nmarker-choices"},
        ],
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 64,
        "logit_bias": {"7": -1},
        "stream": True,
    }
    assert request["headers"]["http-referer"] == "https://demo-firerouter.web.app"
    assert request["headers"]["x-title"] == "Firerouter"
    assert request["headers"]["x-openrouter-title"] == "Firerouter"


async def test_a_model_that_fails_is_followed_by_the_fallbacks_in_order(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    fallbacks = ["sim/404", "sim/fast", "sim/paid"]
    await write_feature(firestore, "falls", model="sim/402", fallbackModels=fallbacks)
    asked = client_for("faller").stream("", {"feature": "falls", "prompt": "x"})
    frames = [frame async for frame in asked]
    retries = [m for kind, m in frames if kind == "message" and m["type"] == "retry"]
    assert [(r["model"], r["reason"]) for r in retries] == [
        ("sim/404", "no_credit"),
        ("sim/fast", "no_provider"),
    ]
    result = frames[-1][1]
    assert result["model"] == "sim/fast"
    assert result["attempts"] == [
        {"model": "sim/402", "reason": "no_credit"},
        {"model": "sim/404", "reason": "no_provider"},
        {"model": "sim/fast"},
    ]
    assert result["revision"] == 7


async def test_a_settings_document_broken_by_hand_does_not_break_the_feature(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    document = firestore.collection("features").document("broken")
    await document.set({"enabled": True, "revision": 9, "settings": {"temperature": "hot"}})
    revision = {"revision": 8, "settings": {"model": "sim/fast"}}
    await document.collection("revisions").document("8").set(revision)
    result = await client_for("broken").call("", {"feature": "broken", "prompt": "x"})
    assert result["revision"] == 8
    assert result["model"] == "sim/fast"


async def test_the_same_request_again_is_answered_once(
    suite: Suite, firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "again", model="sim/fast")
    client = client_for("repeater")
    asked = {"feature": "again", "prompt": "marker-again", "requestId": "r-1"}
    first = await client.call("", asked)
    assert await client.call("", asked) == first
    with pytest.raises(CallableFailure) as reused:
        await client.call("", {**asked, "prompt": "something else"})
    assert reused.value.details["reason"] == "request_id_reused"
    assert (await client_for("another").call("", asked))["generationId"] != first["generationId"]
    assert len(await sent_upstream(suite, "marker-again")) == 2


async def test_a_temporary_answer_is_not_kept(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "temporary", model="sim/fast")
    client = client_for("temporary")
    asked = {"feature": "temporary", "prompt": "psst", "requestId": "t-1", "temporary": True}
    first = await client.call("", asked)
    with pytest.raises(CallableFailure) as refused:
        await client.call("", asked)
    assert refused.value.details["reason"] == "result_not_kept"
    entry = await firestore.collection("generations").document(first["generationId"]).get()
    assert first["text"] not in str(entry.to_dict())
    assert "psst" not in str(entry.to_dict())


async def test_the_same_request_at_the_same_time_attaches_to_the_one_that_runs(
    suite: Suite, firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "attach", model="sim/ticks", maxTokens=15)
    asked = {"feature": "attach", "prompt": "marker-attach", "requestId": "a-1"}

    async def text_and_result(client: CallableClient) -> tuple[str, Any]:
        text = ""
        async for kind, value in client.stream("", asked):
            if kind == "result":
                return text, value
            text += value["delta"] if value["type"] == "text" else ""
        raise AssertionError("no result")

    first = asyncio.create_task(text_and_result(client_for("twice")))

    async def some_text() -> bool:
        return any(one["tokensSent"] > 2 for one in await sent_upstream(suite, "marker-attach"))

    await until(some_text)
    second = await text_and_result(client_for("twice"))
    assert await first == second
    assert second[0] == second[1]["text"]
    assert len(await sent_upstream(suite, "marker-attach")) == 1


async def test_one_of_two_listeners_may_leave(
    suite: Suite, firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "leave-one", model="sim/ticks", maxTokens=40)
    asked = {"feature": "leave-one", "prompt": "marker-leave-one", "requestId": "l-1"}
    joined = asyncio.Event()

    async def listen() -> Any:
        async for kind, value in client_for("pair").stream("", asked):
            joined.set()
            if kind == "result":
                return value
        raise AssertionError("a stream without a result")

    first = asyncio.create_task(client_for("pair").call("", asked))
    await until(lambda: sent_upstream(suite, "marker-leave-one"))
    second = asyncio.create_task(listen())
    await asyncio.wait_for(joined.wait(), 10)
    first.cancel()
    result = await second
    assert result["finishReason"] == "length"
    (request,) = await sent_upstream(suite, "marker-leave-one")
    assert not request["closedByClient"]


async def test_more_at_once_than_allowed_are_refused_and_the_others_run(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "crowd", model="sim/ticks", maxTokens=20)
    client = client_for("crowd")
    asked = {"feature": "crowd", "prompt": "x"}
    calls = [client.call("", asked) for _ in range(12)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [o for o in outcomes if isinstance(o, CallableFailure)]
    assert len(refused) == 12 - limits.CONCURRENT
    assert {o.details["reason"] for o in refused} == {"quota_exceeded"}
    assert {o.details["limit"] for o in refused} == {"concurrent"}
    assert (await client.call("", {"feature": "chat", "prompt": "y"}))["text"]


async def test_more_than_allowed_in_a_minute_are_refused(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "minute", model="sim/fast")
    client = client_for("hasty")
    reasons = []
    for _ in range(45):  # twenty a minute, and a minute may end in between
        try:
            await client.call("", {"feature": "minute", "prompt": "x"})
        except CallableFailure as refused:
            reasons.append(refused.details)
            break
    (details,) = reasons
    assert details["limit"] == "requestsPerMinute"
    assert 0 < details["retryAfterSeconds"] <= 60


@pytest.mark.usefixtures("paid_models")
async def test_a_paid_answer_is_charged_to_the_day_at_its_real_cost(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "paid", model="sim/paid", maxTokens=64)
    result = await client_for("payer").call("", {"feature": "paid", "prompt": "x"})
    assert result["usage"]["cost"] > 0
    assert "costIsEstimate" not in result["usage"]
    windows = firestore.collection("quotas").document("payer").collection("windows")
    found = {window.id: window.to_dict() or {} async for window in windows.stream()}
    assert counters.spent(found) == round(result["usage"]["cost"] * 1e9)


async def test_an_answer_is_kept_for_the_same_question_of_the_same_user(
    suite: Suite, firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "kept", model="sim/fast", cacheSeconds=60)
    ask = {"feature": "kept", "prompt": "marker-kept"}
    ann, ben = client_for("keeper"), client_for("other")
    first = await ann.call("", ask)
    frames = [frame async for frame in ann.stream("", ask)]
    again = frames[-1][1]
    assert (first["cached"], again["cached"]) == (False, True)
    assert again["text"] == first["text"]
    assert (
        "".join(m["delta"] for k, m in frames if k == "message" and m["type"] == "text")
        == (first["text"])
    )
    assert again["generationId"] != first["generationId"]
    assert again["usage"]["cost"] == 0
    assert again["attempts"] == []
    entry = (await firestore.document(f"generations/{again['generationId']}").get()).to_dict() or {}
    assert (entry["status"], entry["costNanoUsd"], entry["costIsEstimate"]) == ("done", 0, False)
    assert len(await sent_upstream(suite, "marker-kept")) == 1
    assert (await ben.call("", ask))["cached"] is False
    assert (await ann.call("", {**ask, "context": "another"}))["cached"] is False
    assert len(await sent_upstream(suite, "marker-kept")) == 3


async def test_an_answer_is_shared_where_the_feature_says_so_and_forgotten_in_time(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(
        firestore, "shared", model="sim/fast", cacheSeconds=60, cacheShared=True, stream=False
    )
    ask = {"feature": "shared", "prompt": "marker-shared"}
    await client_for("sharer").call("", ask)
    frames = [frame async for frame in client_for("taker").stream("", ask)]
    assert [m["type"] for kind, m in frames if kind == "message"] == ["start"]
    assert frames[-1][1]["cached"] is True
    async for kept in firestore.collection("responses").stream():
        if "marker-shared" in kept.get("answer")["text"]:
            await kept.reference.update({"expireAt": datetime.now(UTC)})
    assert (await client_for("late").call("", ask))["cached"] is False


@pytest.mark.parametrize("model", ["sim/cut-mid-stream", "sim/length-no-text"])
async def test_what_is_not_whole_or_is_temporary_is_not_kept(
    firestore: AsyncClient, client_for: ClientFor, model: str
) -> None:
    await write_feature(firestore, "unkept", model=model, cacheSeconds=60)
    await write_feature(firestore, "unkept-too", model="sim/fast", cacheSeconds=60)
    client = client_for("unkeeper")
    for _ in range(2):
        with contextlib.suppress(CallableFailure):
            result = await client.call("", {"feature": "unkept", "prompt": "marker-unkept"})
            assert result["cached"] is False
        ask = {"feature": "unkept-too", "prompt": f"marker-temporary {model}", "temporary": True}
        assert (await client.call("", ask))["cached"] is False
    texts = [r.get("answer")["text"] async for r in firestore.collection("responses").stream()]
    assert not [text for text in texts if "marker-unkept" in text or "marker-temporary" in text]


async def test_a_feature_that_does_not_stream_sends_its_answer_at_the_end(
    firestore: AsyncClient, client_for: ClientFor
) -> None:
    await write_feature(firestore, "quiet", model="sim/fast", stream=False)
    asked = client_for("listener").stream("", {"feature": "quiet", "prompt": "x"})
    frames = [frame async for frame in asked]
    assert [m["type"] for kind, m in frames if kind == "message"] == ["start"]
    assert frames[-1][0] == "result"
    assert "simulated answer" in frames[-1][1]["text"]
