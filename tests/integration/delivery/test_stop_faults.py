"""Stops that come at odd moments, and a listener in trouble: each answer ends in one settled entry.

Instances in this process, on the suite's Firestore; tests/system/test_stop.py goes through the
wire.
"""

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any

import pytest
from google.api_core import exceptions

from firerouter.app.limits import Limits
from firerouter.delivery import DeliveryLimits, StopLimits
from firerouter.errors import LedgerUnavailable
from firerouter.ledger.ids import generation_id
from scripts.devtools.suite import Suite
from tests.support import counters
from tests.support.eventually import EVENTUALLY_S, until
from tests.support.faulty_firestore import (
    FirestoreProxy,
    applied_twice,
    at_commit,
    connect_now,
    firestore_api,
    firestore_proxy,
)
from tests.support.in_process import Instance, World

UID = "user"
CENT = 10_000_000  # in nano dollars


@pytest.fixture
async def models(world: World) -> World:
    """Features by the names of simulated models, and answers that cost something."""
    await world.write("config/app", {"freeModelsOnly": False, "limits": {"reserveUsd": 0.01}})
    await world.write("config/pseudonyms", {"secret": "0" * 64})  # made by a first call, else
    for model in ("fast", "paid-ticks", "silent", "stall", "ticks"):
        # ticks come ten a second: long enough to be stopped, on a busy machine too
        settings = {"model": f"sim/{model}", "maxTokens": 90 if model == "paid-ticks" else 10}
        document = {"enabled": True, "revision": 1, "settings": settings}
        await world.write(f"features/{model}", document)
    await world.instance().call("refresh_catalog", None)  # by a first call, else
    return world


async def stop(instance: Instance, request_id: str) -> Any:
    return await instance.call("stop_generation", {"requestId": request_id}, UID)


async def begun(world: World, request_id: str) -> None:
    """Once OpenRouter has been asked and the ledger knows its id."""

    async def noted() -> Any:
        entry = await world.document(f"generations/{generation_id(UID, request_id)}")
        return any(attempt["upstreamId"] for attempt in entry.get("attempts", ()))

    await until(noted)


async def assert_settled_once(world: World, request_id: str, status: str) -> dict[str, Any]:
    """The entry, and that every counter was moved once and given back once."""
    entry = await world.document(f"generations/{generation_id(UID, request_id)}")
    windows = await world.all(f"quotas/{UID}/windows")
    assert entry["status"] == status
    assert windows["concurrent"]["count"] == 0
    assert counters.spent(windows) == entry["costNanoUsd"]
    assert counters.requests(windows) == len(await world.all("generations"))
    return entry


def logged(capsys: pytest.CaptureFixture[str], event: str) -> int:
    lines = capsys.readouterr().out.splitlines()
    return sum(json.loads(line)["message"] == event for line in lines if line.startswith("{"))


# -- odd moments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("twice", [False, True], ids=["once", "each commit applied twice"])
async def test_a_stop_in_the_text_settles_once_and_charges_what_is_estimated(
    models: World, twice: bool
) -> None:
    runs, other = models.instance(), models.instance()
    if twice:
        runs.commits(applied_twice)
        other.commits(applied_twice)
    data = {"requestId": "text", "prompt": models.project}
    asking = asyncio.create_task(runs.ask("paid-ticks", **data))
    await begun(models, "text")
    await models.sent_tokens(2)
    assert (await stop(other, "text"))["stopped"] is True
    result = await asyncio.wait_for(asking, EVENTUALLY_S)
    assert result["finishReason"] == "stopped"
    assert result["text"].startswith("tick-1 ")
    entry = await assert_settled_once(models, "text", "stopped")
    (attempt,) = entry["attempts"]
    tokens = attempt["promptTokens"] * 3_000 + attempt["completionTokens"] * 15_000
    assert (entry["costNanoUsd"], entry["costIsEstimate"]) == (tokens, True)
    assert attempt["completionTokens"] > 0
    assert entry["stop"]["by"] == UID
    # and the same request again has the same answer
    assert (await runs.ask("paid-ticks", **data))["text"] == result["text"]


@pytest.mark.parametrize("model", ["silent", "paid-ticks"])
async def test_a_stop_right_after_the_admission(models: World, model: str) -> None:
    runs, other = models.instance(), models.instance()
    runs.commits(at_commit(1, lambda: stop(other, "admitted"), after=True))
    result = await asyncio.wait_for(runs.ask(model, requestId="admitted"), EVENTUALLY_S)
    assert result["finishReason"] == "stopped"
    await assert_settled_once(models, "admitted", "stopped")


@pytest.mark.parametrize("twice", [False, True], ids=["once", "settled twice"])
async def test_a_stop_after_the_last_token_leaves_the_answer_whole(
    models: World, twice: bool
) -> None:
    runs, other = models.instance(), models.instance()
    if twice:
        runs.commits(applied_twice)
    # a short answer has two commits: admitted, settled
    runs.commits(at_commit(2, lambda: stop(other, "late"), after=False))
    result = await runs.ask("fast", requestId="late")
    assert result["finishReason"] in ("stop", "length")
    entry = await assert_settled_once(models, "late", "done")
    assert entry["stop"]["by"] == UID
    assert (await stop(other, "late"))["status"] == "done"


async def test_a_stop_on_an_admission_that_is_refused_does_not_keep_it(models: World) -> None:
    await models.write("config/app", {"freeModelsOnly": False, "limits": {"concurrent": 1}})
    runs, other = models.instance(), models.instance()
    first = asyncio.create_task(runs.ask("stall", requestId="first"))
    await begun(models, "first")
    late = models.instance()
    late.commits(at_commit(1, lambda: stop(other, "second"), after=True))
    refused = await late.refusal(
        "execute_prompt", {"feature": "fast", "prompt": "Hi", "requestId": "second"}, UID
    )
    assert refused.reason == "quota_exceeded"
    await stop(other, "first")
    await asyncio.wait_for(first, EVENTUALLY_S)
    assert not await models.document(f"generations/{generation_id(UID, 'second')}")
    await assert_settled_once(models, "first", "stopped")


async def test_a_stop_that_meets_a_note_is_written_all_the_same(models: World) -> None:
    runs, other = models.instance(), models.instance()
    asking = asyncio.create_task(runs.ask("stall", requestId="noted"))
    await begun(models, "noted")
    entry = models.firestore.document(f"generations/{generation_id(UID, 'noted')}")
    # between the stop's look and its write the entry changes
    other.commits(at_commit(1, lambda: entry.update({"attempts": []}), after=False))
    assert (await stop(other, "noted"))["stopped"] is True
    assert (await asyncio.wait_for(asking, EVENTUALLY_S))["finishReason"] == "stopped"
    await assert_settled_once(models, "noted", "stopped")


async def test_on_the_same_instance_no_listener_is_needed(models: World) -> None:
    instance = models.instance()
    _deaf(instance)
    asking = asyncio.create_task(instance.ask("stall", requestId="here"))
    await begun(models, "here")
    assert await stop(instance, "here") == {
        "generationId": generation_id(UID, "here"),
        "stopped": True,
        "status": "running",
    }
    assert (await asyncio.wait_for(asking, EVENTUALLY_S))["finishReason"] == "stopped"
    await assert_settled_once(models, "here", "stopped")


async def test_another_users_is_not_stopped_on_the_same_instance_either(models: World) -> None:
    instance = models.instance()
    asking = asyncio.create_task(instance.ask("stall", requestId="mine"))
    await begun(models, "mine")
    theirs = {"generationId": generation_id(UID, "mine")}
    assert (await instance.refusal("stop_generation", theirs, "eve")).reason == "generation_unknown"
    assert not asking.done()
    await stop(instance, "mine")
    await asyncio.wait_for(asking, EVENTUALLY_S)


# -- the listener in trouble -----------------------------------------------------------------------


def _deaf(instance: Instance, error: Exception | None = None) -> list[None]:
    """No listener can be opened: refused with `error`, or never answered. The openings."""
    openings: list[None] = []

    async def listen(**_: Any) -> Any:
        openings.append(None)
        if error is not None:
            raise error
        await asyncio.Event().wait()

    firestore_api(instance.app.firestore).listen = listen
    return openings


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "never answered"])
async def test_without_a_listener_answers_go_on_and_it_is_logged_once(
    models: World, capsys: pytest.CaptureFixture[str], refused: bool
) -> None:
    instance = models.instance()
    error = exceptions.PermissionDenied("no")  # type: ignore[no-untyped-call]
    openings = _deaf(instance, error if refused else None)
    for number in range(3):
        result = await instance.ask("ticks", requestId=f"deaf-{number}")
        assert result["finishReason"] in ("stop", "length")
        assert result["text"]
    await assert_settled_once(models, "deaf-2", "done")
    assert len(openings) > 1 if refused else len(openings) == 1
    assert logged(capsys, "stops_not_heard") == (1 if refused else 0)


async def test_a_stop_written_while_the_listener_was_broken_is_heard_afterwards(
    suite: Suite,
    models: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        runs, other = _through(proxy, models, monkeypatch), models.instance()
        asking = asyncio.create_task(runs.ask("stall", requestId="broken"))
        await begun(models, "broken")
        await proxy.stop()
        assert (await stop(other, "broken"))["stopped"] is True
        await asyncio.sleep(1.0)
        assert not asking.done()
        await proxy.start()
        result = await asyncio.wait_for(asking, EVENTUALLY_S)
        await runs.app.background.drain()
        assert result["finishReason"] == "stopped"
        await assert_settled_once(models, "broken", "stopped")
        assert logged(capsys, "stops_not_heard") == 1
        # and it goes on hearing
        asking = asyncio.create_task(runs.ask("stall", requestId="again"))
        await begun(models, "again")
        await stop(other, "again")
        assert (await asyncio.wait_for(asking, EVENTUALLY_S))["finishReason"] == "stopped"


def _through(proxy: FirestoreProxy, world: World, monkeypatch: pytest.MonkeyPatch) -> Instance:
    instance = world.instance()
    with monkeypatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", proxy.host)
        connect_now(instance.app.firestore)
    return instance


def _listening(after_s: float) -> Limits:
    """Limits by which a listener opens so long after an answer begins, and soon closes."""
    stops = replace(StopLimits(), rest_s=0.2, listen_after_s=after_s)
    return Limits(delivery=replace(DeliveryLimits(), stops=stops))


async def test_a_short_answer_opens_no_listener(models: World) -> None:
    runs = models.instance(limits=_listening(after_s=60.0))
    await runs.ask("fast")
    assert not runs.app.delivery.stops.is_listening


async def test_an_idle_instance_keeps_no_listener(models: World) -> None:
    runs, other = models.instance(limits=_listening(after_s=0.0)), models.instance()
    await runs.ask("fast")
    assert runs.app.delivery.stops.is_listening
    await until(lambda: not runs.app.delivery.stops.is_listening)
    asking = asyncio.create_task(runs.ask("stall", requestId="rested"))
    await begun(models, "rested")
    await stop(other, "rested")
    assert (await asyncio.wait_for(asking, EVENTUALLY_S))["finishReason"] == "stopped"


async def test_while_firestore_is_unavailable_a_stop_is_refused_as_such(
    suite: Suite, models: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with firestore_proxy(suite.firestore_host) as proxy:
        other = _through(proxy, models, monkeypatch)
        proxy.hold()
        data = {"generationId": secrets.token_hex(16)}
        refused = await other.refusal("stop_generation", data, UID)
    assert isinstance(refused, LedgerUnavailable)
    assert "stop_failed" in capfd.readouterr().out
